//! Tasks and runs as resources, which a person can attach to a conversation and a program can read and subscribe to.
//!
//! All are text, of bounded size: JSON, or plain text. A cut text says how to read the rest.

use super::arguments::CHARS_DEFAULT;
use super::as_tasks::refused;
use super::reports::{BYTES_OF_LIST, StatusReport, fit, sentence, tail};
use super::run_reports::RunReport;
use super::tools::McpTools;
use kirosu_protocol::run::TYPE_PLAN;
use kirosu_protocol::{GetAnswer, GetParams, ListParams, RunParams, Task, TaskId, text};
use rmcp::ErrorData;
use rmcp::model::{
    ListResourceTemplatesResult, ListResourcesResult, PaginatedRequestParams, ReadResourceResult,
    Resource, ResourceContents, ResourceTemplate,
};
use serde::Serialize;
use serde_json::Value;

const SCHEME: &str = "kirosu://";
const JSON: &str = "application/json";
const TEXT: &str = "text/plain";
/// Resources per page.
const PER_PAGE: u32 = 50;
/// Maximum characters of a text.
const TEXT_CHARS: usize = 100_000;
/// Characters of a title.
const TITLE_CHARS: usize = 80;
/// The forms of addresses: template, name, media type, description.
const TEMPLATES: [(&str, &str, &str, &str); 4] = [
    (
        "kirosu://tasks/{id}",
        "task",
        JSON,
        "A task: its status, result or error, and attempts, as get_task_status returns them.",
    ),
    (
        "kirosu://tasks/{id}/result",
        "task result",
        TEXT,
        "The result of a task that is done.",
    ),
    (
        "kirosu://tasks/{id}/output",
        "task output",
        TEXT,
        "The end of the output of a task's newest attempt.",
    ),
    (
        "kirosu://runs/{id}",
        "run",
        JSON,
        "A run of a plan: its state, result or error, and steps, as get_run returns them.",
    ),
];

/// The target of an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ResourceAddress {
    Task(TaskId),
    Result(TaskId),
    Output(TaskId),
    Run(TaskId),
}

impl ResourceAddress {
    /// Reads an address; `None` for any other text.
    pub(super) fn read(uri: &str) -> Option<ResourceAddress> {
        let mut parts = uri.strip_prefix(SCHEME)?.split('/');
        let (kind, id, part) = (parts.next()?, parts.next()?, parts.next());
        let is_number = !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_digit());
        let id = is_number.then(|| id.parse().ok()).flatten()?;
        if parts.next().is_some() {
            return None;
        }
        match (kind, part) {
            ("tasks", None) => Some(ResourceAddress::Task(id)),
            ("tasks", Some("result")) => Some(ResourceAddress::Result(id)),
            ("tasks", Some("output")) => Some(ResourceAddress::Output(id)),
            ("runs", None) => Some(ResourceAddress::Run(id)),
            _ => None,
        }
    }

    /// The task, or the task of the run.
    pub(super) fn task_id(self) -> TaskId {
        match self {
            ResourceAddress::Task(id)
            | ResourceAddress::Result(id)
            | ResourceAddress::Output(id)
            | ResourceAddress::Run(id) => id,
        }
    }
}

/// The error for an address that names nothing.
pub(super) fn unknown(uri: &str) -> ErrorData {
    let forms = TEMPLATES.map(|(template, ..)| template).join(", ");
    let text = format!("there is no resource {uri:?}; resources are {forms}");
    ErrorData::resource_not_found(text, None)
}

/// The forms of addresses.
pub(super) fn templates() -> ListResourceTemplatesResult {
    let all = TEMPLATES.iter().map(|(template, name, kind, about)| {
        ResourceTemplate::new(*template, *name)
            .with_mime_type(*kind)
            .with_description(*about)
    });
    ListResourceTemplatesResult::with_all_items(all.collect())
}

impl McpTools {
    /// A page of the newest tasks; those of plans are listed as runs.
    ///
    /// # Errors
    /// The cursor is none of an earlier page, or the hub refuses or cannot be reached.
    pub(super) async fn resources(
        &self,
        request: Option<PaginatedRequestParams>,
    ) -> Result<ListResourcesResult, ErrorData> {
        let cursor = request.and_then(|request| request.cursor);
        let before = match cursor.as_deref().map(str::parse::<TaskId>) {
            None => None,
            Some(Ok(before)) if before > 0 => Some(before),
            Some(_) => {
                let text = "the cursor must be the nextCursor of an earlier page";
                return Err(ErrorData::invalid_params(text, None));
            }
        };
        let ask = ListParams {
            limit: Some(PER_PAGE),
            before,
            preview_bytes: Some(BYTES_OF_LIST),
            ..ListParams::default()
        };
        let answer = self.request_idempotent(ask).await;
        let answer = answer.map_err(|why| refused(why.into()))?;
        let page = answer.tasks.iter().map(resource).collect();
        let mut page = ListResourcesResult::with_all_items(page);
        page.next_cursor = answer.next.map(|id| id.to_string());
        Ok(page)
    }

    /// The text of a resource.
    ///
    /// # Errors
    /// There is none, or not yet, or the hub cannot be reached.
    pub(super) async fn read(&self, uri: &str) -> Result<ReadResourceResult, ErrorData> {
        let address = ResourceAddress::read(uri).ok_or_else(|| unknown(uri))?;
        let chars = usize::try_from(CHARS_DEFAULT).unwrap_or(usize::MAX);
        let (kind, text) = match address {
            ResourceAddress::Run(id) => {
                let run = self.request_idempotent(RunParams::of(id)).await;
                let run = run.map_err(|why| refused(why.into()))?;
                (JSON, pretty(&RunReport::of(run, chars)))
            }
            ResourceAddress::Task(id) => {
                let task = self.whole(id, false).await?;
                (JSON, pretty(&StatusReport::of(task, chars)))
            }
            ResourceAddress::Result(id) => {
                let task = self.whole(id, false).await?.task;
                (TEXT, result_text(task)?)
            }
            ResourceAddress::Output(id) => (TEXT, output_text(id, self.whole(id, true).await?)),
        };
        let contents = ResourceContents::text(text, uri).with_mime_type(kind);
        Ok(ReadResourceResult::new(vec![contents]))
    }

    async fn whole(&self, task_id: TaskId, output: bool) -> Result<GetAnswer, ErrorData> {
        let ask = GetParams {
            task_id,
            output,
            ..GetParams::default()
        };
        let answer = self.request_idempotent(ask).await;
        answer.map_err(|why| refused(why.into()))
    }
}

fn resource(task: &Task) -> Resource {
    let id = task.task_id;
    let (folder, name) = match task.task_type == TYPE_PLAN {
        true => ("runs", format!("run {id}")),
        false => ("tasks", format!("task {id}")),
    };
    let title = text::shorten(&text::one_line(&task.prompt), TITLE_CHARS);
    Resource::new(format!("{SCHEME}{folder}/{id}"), name)
        .with_title(title)
        .with_description(sentence(task))
        .with_mime_type(JSON)
}

/// JSON that says, next to cut texts, how to read the whole ones.
fn pretty(report: &impl Serialize) -> String {
    let mut value = serde_json::to_value(report).unwrap_or_default();
    let is_cut = value.get("cut").is_some();
    if let (true, Value::Object(fields)) = (is_cut, &mut value) {
        let rest = "the tool get_task_status with max_chars 0 returns the whole texts";
        fields.insert("rest".to_owned(), rest.into());
    }
    serde_json::to_string_pretty(&value).unwrap_or_default()
}

fn result_text(task: Task) -> Result<String, ErrorData> {
    let id = task.task_id;
    let Some(result) = task.result else {
        let text = format!("there is no result of task {id}: it is {}", task.status);
        return Err(ErrorData::resource_not_found(text, None));
    };
    let all = result.chars().count();
    match fit(result, TEXT_CHARS) {
        (text, true) => Ok(text),
        (text, false) => Ok(format!(
            "{text}\n[cut after {TEXT_CHARS} of {all} characters; the tool get_task_status with task_id {id} and max_chars 0 returns all]"
        )),
    }
}

fn output_text(id: TaskId, answer: GetAnswer) -> String {
    let Some(newest) = answer.output.and_then(|mut attempts| attempts.pop()) else {
        return String::new();
    };
    match tail(newest.text, TEXT_CHARS) {
        (text, true) if !newest.cut => text,
        (text, _) => format!("[only the end; `kirosu logs {id}` prints all]\n{text}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_name_tasks_their_texts_and_runs() {
        for (uri, address) in [
            ("kirosu://tasks/42", Some(ResourceAddress::Task(42))),
            (
                "kirosu://tasks/42/result",
                Some(ResourceAddress::Result(42)),
            ),
            (
                "kirosu://tasks/42/output",
                Some(ResourceAddress::Output(42)),
            ),
            ("kirosu://runs/7", Some(ResourceAddress::Run(7))),
            ("kirosu://runs/7/result", None),
            ("kirosu://tasks/42/", None),
            ("kirosu://tasks/+42", None),
            ("kirosu://tasks/42/output/1", None),
            ("kirosu://tasks/99999999999999999999", None),
            ("kirosu://tasks/", None),
            ("file:///etc/passwd", None),
        ] {
            assert_eq!(ResourceAddress::read(uri), address, "{uri}");
        }
    }
}
