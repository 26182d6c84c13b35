//! The Tasks extension of MCP (`io.modelcontextprotocol/tasks`): a call that takes long is answered with a handle.
//!
//! A task of Kirosu is one of MCP, with the same number. So nothing is kept here, and a handle is valid after a restart of the
//! gateway and of the hub. Because a number does not say which tool made the handle, the final result has the fields of all tools
//! that make some: those of `wait_for_task`, and for a run the counts of `map_items`.

use super::arguments::CHARS_DEFAULT;
use super::batch_reports::MapReport;
use super::error::ToolError;
use super::map_plan::MAP;
use super::reports::{WaitReport, sentence};
use super::tools::{McpTools, decider};
use kirosu_protocol::run::TYPE_PLAN;
use kirosu_protocol::{
    CancelParams, ErrorCode, GetParams, RunParams, Status, Target, Task, TaskId,
};
use rmcp::handler::server::tool::ToolCallContext;
use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, CreateTaskResult, DetailedTask,
    JsonObject, ProtocolVersion, Task as McpTask, TaskPayload, TaskStatus,
};
use rmcp::service::RequestContext;
use rmcp::{ErrorData, RoleServer};
use serde_json::{Value, json};

/// The tools that are answered with a handle, and whether they wait.
const TOOLS: [(&str, bool); 4] = [
    ("enqueue_task", false),
    ("map_items", true),
    ("run_plan", false),
    ("wait_for_task", true),
];
/// The suggested pause between two questions for the status.
const POLL_MS: u64 = 1000;

/// Whether a call is answered with a handle: the client has declared the extension, speaks a revision that has it, and names no
/// time for a wait.
pub(super) fn is_one(
    request: &CallToolRequestParams,
    context: &RequestContext<RoleServer>,
) -> bool {
    let declared = context
        .client_capabilities()
        .is_some_and(|capabilities| capabilities.supports_tasks());
    let revision = context.protocol_version();
    let is_new = revision.is_some_and(|it| it.as_str() >= ProtocolVersion::V_2026_07_28.as_str());
    let has_time = request
        .arguments
        .as_ref()
        .is_some_and(|given| given.contains_key("timeout_seconds"));
    declared && is_new && !has_time && TOOLS.iter().any(|(name, _)| *name == request.name)
}

impl McpTools {
    /// Calls a tool without a wait, and returns the handle of its task. A result that is final already, or an error, is returned
    /// itself.
    ///
    /// # Errors
    /// There is no such tool.
    pub(super) async fn call_as_task(
        &self,
        mut request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        if TOOLS
            .iter()
            .any(|(name, waits)| *waits && *name == request.name)
        {
            let given = request.arguments.get_or_insert_default();
            given.insert("timeout_seconds".to_owned(), 0.into());
        }
        let call = ToolCallContext::new(self, request, context);
        let response = self.router.call(call).await?;
        let CallToolResponse::Complete(result) = &response else {
            return Ok(response);
        };
        let facts = result.structured_content.as_ref();
        let fact = |name: &str| facts.and_then(|facts| facts.get(name));
        let task_id = fact("task_id").and_then(Value::as_i64);
        let is_final = fact("finished").and_then(Value::as_bool) == Some(true);
        let (Some(task_id), false) = (task_id, is_final || result.is_error == Some(true)) else {
            return Ok(response);
        };
        match self.task(task_id).await {
            Ok(task) => Ok(CreateTaskResult::new(handle(&task)).into()),
            // The call itself went well: its own result has the number.
            Err(_) => Ok(response),
        }
    }

    async fn task(&self, task_id: TaskId) -> Result<Task, ToolError> {
        let ask = GetParams {
            task_id,
            ..GetParams::default()
        };
        Ok(self.request_idempotent(ask).await?.task)
    }

    /// `tasks/get`.
    ///
    /// # Errors
    /// `invalid_params` if the task is unknown or not the client's; an internal error if the hub cannot be reached.
    pub(super) async fn detailed(&self, task_id: &str) -> Result<DetailedTask, ErrorData> {
        let task = self.task(number(task_id)?).await.map_err(refused)?;
        let handle = handle(&task);
        let payload = match task.status {
            Status::Done | Status::Failed => TaskPayload::Completed {
                result: self.result(task).await?,
            },
            Status::Cancelled => TaskPayload::Cancelled,
            _ => TaskPayload::Working,
        };
        Ok(DetailedTask::new(handle, payload))
    }

    /// The result of the call, for a task that has ended.
    async fn result(&self, task: Task) -> Result<JsonObject, ErrorData> {
        let (task_id, is_run) = (task.task_id, task.task_type == TYPE_PLAN);
        let chars = usize::try_from(CHARS_DEFAULT).unwrap_or(usize::MAX);
        let mut facts = json!(WaitReport::of(task, 0.0, chars));
        if is_run {
            let run = self.request_idempotent(RunParams::of(task_id)).await;
            let run = run.map_err(|why| refused(why.into()))?;
            let step = run.steps.iter().find(|step| step.path == MAP);
            let items = step.and_then(|step| step.total).unwrap_or_default();
            let items = usize::try_from(items).unwrap_or(usize::MAX);
            let counts = json!(MapReport::of(run, MAP, false, items, chars));
            let counts = counts.as_object().cloned().unwrap_or_default();
            if let Some(facts) = facts.as_object_mut() {
                for (name, value) in counts {
                    facts.entry(name).or_insert(value);
                }
            }
        }
        match json!(CallToolResult::structured(facts)) {
            Value::Object(result) => Ok(result),
            _ => Err(ErrorData::internal_error("the result is no object", None)),
        }
    }

    /// `tasks/cancel`. A task that has ended stays as it is.
    ///
    /// # Errors
    /// As [`detailed`](Self::detailed).
    pub(super) async fn cancel(
        &self,
        task_id: &str,
        context: &RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        let ask = CancelParams {
            target: Target::Task(number(task_id)?),
            by: Some(decider(context)),
            reason: None,
        };
        match self.request_idempotent(ask).await {
            Ok(_) => Ok(()),
            Err(crate::link::HubError::Refused(why)) if why.code == ErrorCode::WrongState => Ok(()),
            Err(why) => Err(refused(why.into())),
        }
    }
}

fn number(task_id: &str) -> Result<TaskId, ErrorData> {
    let number = task_id.parse().ok().filter(|id| *id > 0);
    number.ok_or_else(|| {
        let text = format!("no task has the id {task_id:?} (unknown_task)");
        ErrorData::invalid_params(text, None)
    })
}

/// A refusal of the hub, as an error of the protocol.
pub(super) fn refused(why: ToolError) -> ErrorData {
    match why.0.ends_with("(nothing was done)") {
        true => ErrorData::internal_error(why.0, None),
        false => ErrorData::invalid_params(why.0, None),
    }
}

/// The state of a task of Kirosu as one of MCP. One that has failed is completed: its result says why.
fn handle(task: &Task) -> McpTask {
    let status = match task.status {
        Status::Done | Status::Failed => TaskStatus::Completed,
        Status::Cancelled => TaskStatus::Cancelled,
        _ => TaskStatus::Working,
    };
    let number = task.task_id.to_string();
    let (created, updated) = (moment(task.created_at), moment(task.updated_at));
    McpTask::new(number, status, created, updated)
        .with_status_message(sentence(task))
        .with_poll_interval_ms(POLL_MS)
}

/// Unix seconds as the text that the protocol has.
fn moment(seconds: f64) -> String {
    let ms = (seconds * 1000.0).round();
    // Times of the hub are between 1970 and 9999.
    jiff::Timestamp::from_millisecond(ms as i64)
        .unwrap_or_default()
        .to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_texts_and_numbers_are_ids() {
        assert_eq!(moment(1_780_000_000.25), "2026-05-28T20:26:40.25Z");
        assert_eq!(number("42").unwrap(), 42);
        for wrong in ["", "0", "-1", "x", "4 2"] {
            assert!(number(wrong).is_err(), "{wrong}");
        }
    }
}
