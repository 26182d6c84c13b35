//! The tools for many tasks: one call instead of one per task.

use super::arguments::{
    self, ITEM_CHARS_DEFAULT, ITEMS_MOST, OF_THIS_TOOL, check_names, checked, rename,
};
use super::batch_arguments::*;
use super::batch_reports::{
    CancelListReport, EnqueueListReport, MapReport, OutcomeReport, ResultListReport,
    WaitListReport, texts_per_page,
};
use super::error::ToolError;
use super::map_plan::{self, MAP};
use super::run_tools::{limit_tree, not_json};
use super::tools::{McpTools, chars_within, decider, longest_wait, max_chars, status_of};
use crate::new_run;
use kirosu_protocol::accept::read_unchecked;
use kirosu_protocol::{
    CancelParams, EnqueueBatchParams, Error, Group, IdRange, ListParams, ListStatus, Params,
    RunItemsParams, RunParams, TaskId, Verb,
};
use rmcp::model::JsonObject;
use rmcp::service::RequestContext;
use rmcp::{Json, RoleServer, tool, tool_router};
use serde_json::{Value, json};

#[tool_router(router = batch_router, vis = "pub(super)")]
impl McpTools {
    #[tool(
        title = "Enqueue several tasks",
        description = "Enqueues a list of tasks, all or none, and returns their numbers immediately, in the order of the list; the tasks are durable then. wait_for_tasks waits for them, get_results pages through their results. For one prompt over many items use map_items.",
        input_schema = schema_of_tasks(),
        annotations(read_only_hint = false, destructive_hint = false, idempotent_hint = false, open_world_hint = true)
    )]
    async fn enqueue_tasks(
        &self,
        given: JsonObject,
        context: RequestContext<RoleServer>,
    ) -> Result<Json<EnqueueListReport>, ToolError> {
        check_names(&given, &arguments::schema::<EnqueueTasks>(), OF_THIS_TOOL)?;
        let list = keyed_list(given)?;
        let text = serde_json::to_string(&list).map_err(not_json)?;
        let params = Params::parse(&text)?;
        // Unchecked, because the hub compiles the regexes and schemas, on another thread.
        let mut batch = read_unchecked(|| EnqueueBatchParams::read(&params, &self.hub.limits()))?;
        let parent = self.parent_of(&context)?;
        for task in &mut batch.tasks {
            task.parent_id = task.parent_id.or(parent);
        }
        let keyed = batch.tasks.iter().all(|it| it.idempotency_key.is_some());
        let answer = match keyed {
            true => self.request_idempotent(batch).await,
            false => self.hub.request(batch).await,
        };
        Ok(Json(EnqueueListReport::of(answer?)))
    }

    #[tool(
        title = "Run a prompt for many items",
        description = "Runs one prompt for each item of a list, by the swarm, as one run: waits for the end and returns the counts, and with reduce the merged result. If the timeout is over first, the run goes on: wait_for_task waits, get_results with run_id pages through the results, cancel_task cancels it, retry_run repeats what failed.",
        input_schema = schema_of_map(),
        annotations(read_only_hint = false, destructive_hint = false, idempotent_hint = false, open_world_hint = true)
    )]
    async fn map_items(
        &self,
        mut given: JsonObject,
        context: RequestContext<RoleServer>,
    ) -> Result<Json<MapReport>, ToolError> {
        check_names(&given, &arguments::schema::<MapItems>(), OF_THIS_TOOL)?;
        let own = ["timeout_seconds", "max_chars"];
        let own = own.map(|name| Some((name.to_owned(), given.remove(name)?)));
        let own: JsonObject = own.into_iter().flatten().collect();
        let own = serde_json::to_string(&own).map_err(not_json)?;
        let own = Params::parse(&own)?;
        let (longest, chars) = (longest_wait(&own)?, max_chars(&own)?);
        let mut call = map_plan::read(given, ITEMS_PER_MAP)?;
        limit_tree(&mut call.run);
        let text = serde_json::to_string(&call.run).map_err(not_json)?;
        let run = new_run::read(&text, &self.hub.limits())?;
        let task_id = self.add(run, &context).await?;
        let started =
            |why: ToolError| ToolError(format!("{} (run {task_id} has been started)", why.0));
        if !longest.is_zero() {
            let waited = self.wait(vec![task_id], longest, &context).await;
            waited.map_err(started)?;
        }
        let run = self.request_idempotent(RunParams::of(task_id)).await;
        let run = run.map_err(|why| started(why.into()))?;
        let report = MapReport::of(run, MAP, call.merges, call.items, chars);
        Ok(Json(report))
    }

    #[tool(
        title = "Wait for several tasks",
        description = "Waits until all of these tasks, or runs, have ended, and returns their results; if the timeout is over first, `timed_out` is true and it can be called again. Cancelling the call ends the wait, not the tasks.",
        input_schema = arguments::schema::<WaitForTasks>(),
        annotations(read_only_hint = true, open_world_hint = false)
    )]
    async fn wait_for_tasks(
        &self,
        given: JsonObject,
        context: RequestContext<RoleServer>,
    ) -> Result<Json<WaitListReport>, ToolError> {
        let text = checked::<WaitForTasks>(given, &[])?;
        let params = Params::parse(&text)?;
        let chars = chars_within(&params, ITEM_CHARS_DEFAULT)?;
        let longest = longest_wait(&params)?;
        let task_ids = self.task_ids(&params)?.ok_or_else(no_tasks)?;
        let tasks = self.wait(task_ids, longest, &context).await?;
        Ok(Json(WaitListReport::of(
            tasks,
            longest.as_secs_f64(),
            chars,
        )))
    }

    #[tool(
        title = "Read results",
        description = "Returns the results and errors of many tasks, or of the items of a run, page by page. Does not wait.",
        input_schema = arguments::schema::<GetResults>(),
        annotations(read_only_hint = true, open_world_hint = false)
    )]
    async fn get_results(&self, given: JsonObject) -> Result<Json<ResultListReport>, ToolError> {
        let text = checked::<GetResults>(given, &[])?;
        let params = Params::parse(&text)?;
        let chars = chars_within(&params, ITEM_CHARS_DEFAULT)?;
        let limit = params.opt_int("limit", 1..=ITEMS_MOST)?;
        let limit = usize::try_from(limit.unwrap_or(RESULTS_DEFAULT)).unwrap_or(1);
        let page = Page {
            chars,
            limit: limit.min(texts_per_page(chars)),
            cursor: params.opt_text("cursor")?.filter(|it| !it.is_empty()),
        };
        let task_ids = self.task_ids(&params)?;
        let run_id = params.opt_int("run_id", 1..=i64::MAX)?;
        let group = Group::read(&params, &self.hub.limits())?;
        let report = match (task_ids, run_id, group.is_empty()) {
            (Some(ids), None, true) => self.results_of(&ids, &params, page).await?,
            (None, Some(run_id), true) => self.results_of_run(run_id, &params, page).await?,
            (None, None, false) => self.results_of_group(group, &params, page).await?,
            _ => {
                let rule = "give either `task_ids`, or `run_id`, or `label` and `parent_id`";
                return Err(Error::invalid_params(rule).into());
            }
        };
        Ok(Json(report))
    }

    #[tool(
        title = "Cancel several tasks",
        description = "Cancels tasks that have not ended, running ones included: these, or all with a label, or all children of a task. Those that have ended are left as they are. Their effects so far are not undone.",
        input_schema = arguments::schema::<CancelTasks>(),
        annotations(read_only_hint = false, destructive_hint = true, idempotent_hint = true, open_world_hint = false)
    )]
    async fn cancel_tasks(
        &self,
        given: JsonObject,
        context: RequestContext<RoleServer>,
    ) -> Result<Json<CancelListReport>, ToolError> {
        let named = given
            .get("task_ids")
            .and_then(Value::as_array)
            .map(Vec::len);
        let text = checked::<CancelTasks>(given, &[("task_ids", "ids")])?;
        let ask = CancelParams {
            by: Some(decider(&context)),
            ..CancelParams::read(&Params::parse(&text)?, &self.hub.limits())?
        };
        let answer = self.request_idempotent(ask).await?;
        let cancelled = answer.cancelled.unwrap_or_default();
        let message = match named {
            Some(named) if cancelled < named as u64 => format!(
                "{cancelled} of {named} tasks are cancelled; the others had ended, or do not exist"
            ),
            _ => format!("{cancelled} tasks are cancelled"),
        };
        Ok(Json(CancelListReport { message, cancelled }))
    }
}

/// A page of results.
struct Page {
    /// Maximum characters of each text; 0 means no limit.
    chars: usize,
    limit: usize,
    cursor: Option<String>,
}

impl Page {
    /// The most bytes of each text that the hub returns: enough for these characters. 0 means whole texts.
    fn preview_bytes(&self) -> Option<u32> {
        u32::try_from(self.chars.saturating_mul(4)).ok()
    }

    /// The cursor as a number.
    fn number(&self) -> Result<Option<i64>, ToolError> {
        let Some(cursor) = &self.cursor else {
            return Ok(None);
        };
        let number = cursor.parse().ok().filter(|number| *number > 0);
        let refusal = || Error::invalid_params("`cursor` must be the `next` of an earlier page");
        Ok(Some(number.ok_or_else(refusal)?))
    }
}

impl McpTools {
    /// The different ids of `task_ids`; `None` if it is not given.
    fn task_ids(&self, params: &Params<'_>) -> Result<Option<Vec<TaskId>>, ToolError> {
        if params.raw("task_ids").is_none() {
            return Ok(None);
        }
        let mut task_ids = Vec::new();
        for id in params.ids("task_ids", &self.hub.limits())? {
            if !task_ids.contains(&id) {
                task_ids.push(id);
            }
        }
        match (1..=TASKS_MOST).contains(&task_ids.len()) {
            true => Ok(Some(task_ids)),
            false => Err(no_tasks()),
        }
    }

    async fn results_of(
        &self,
        task_ids: &[TaskId],
        params: &Params<'_>,
        page: Page,
    ) -> Result<ResultListReport, ToolError> {
        let begin = page.number()?.unwrap_or_default();
        let begin = usize::try_from(begin).unwrap_or(usize::MAX);
        let rest = task_ids.get(begin..).unwrap_or_default();
        let (ids, later) = rest.split_at(page.limit.min(rest.len()));
        if ids.is_empty() {
            return Ok(ResultListReport::of(Vec::new(), Vec::new(), None));
        }
        let wanted = status_of(params)?;
        let one = |id: &TaskId| IdRange {
            first: *id,
            last: *id,
        };
        let ask = ListParams {
            limit: None,
            ranges: ids.iter().map(one).collect(),
            preview_bytes: page.preview_bytes(),
            ..ListParams::default()
        };
        let mut found = self.request_idempotent(ask).await?.tasks;
        let is_found = |id: &TaskId| found.iter().any(|task| task.task_id == *id);
        let unknown = ids.iter().copied().filter(|id| !is_found(id)).collect();
        found.sort_by_key(|task| ids.iter().position(|id| *id == task.task_id));
        if let ListStatus::Is(status) = wanted {
            found.retain(|task| task.status == status);
        }
        let results = found.into_iter();
        let results = results.map(|it| OutcomeReport::of_task(it, page.chars));
        let next = (!later.is_empty()).then(|| (begin + ids.len()).to_string());
        Ok(ResultListReport::of(results.collect(), unknown, next))
    }

    async fn results_of_run(
        &self,
        run_id: TaskId,
        params: &Params<'_>,
        page: Page,
    ) -> Result<ResultListReport, ToolError> {
        let state = params.opt_text("status")?.filter(|word| !word.is_empty());
        let of_run = json!({"task_id": run_id, "state": state}).to_string();
        let ask = RunItemsParams {
            step: params.opt_text("step")?,
            results: true,
            limit: u32::try_from(page.limit).ok(),
            cursor: page.cursor,
            ..RunItemsParams::read(&Params::parse(&of_run)?, &self.hub.limits())?
        };
        let answer = self.request_idempotent(ask).await?;
        let results = answer.items.into_iter();
        let results = results.map(|it| OutcomeReport::of_item(it, page.chars));
        Ok(ResultListReport::of(
            results.collect(),
            Vec::new(),
            answer.next,
        ))
    }

    async fn results_of_group(
        &self,
        group: Group,
        params: &Params<'_>,
        page: Page,
    ) -> Result<ResultListReport, ToolError> {
        let ask = ListParams {
            status: status_of(params)?,
            limit: u32::try_from(page.limit).ok(),
            labels: group.labels,
            parent_id: group.parent_id,
            before: page.number()?,
            preview_bytes: page.preview_bytes(),
            ..ListParams::default()
        };
        let answer = self.request_idempotent(ask).await?;
        let results = answer.tasks.into_iter();
        let results = results.map(|it| OutcomeReport::of_task(it, page.chars));
        let next = answer.next.map(|id| id.to_string());
        Ok(ResultListReport::of(results.collect(), Vec::new(), next))
    }
}

fn no_tasks() -> ToolError {
    let text = format!("`task_ids` must be a list of 1 to {TASKS_MOST} task ids");
    Error::invalid_params(text).into()
}

/// The list as the protocol has it: the names checked, and a key for each task if the list has one.
fn keyed_list(mut given: JsonObject) -> Result<JsonObject, ToolError> {
    let invalid = |name: &str, rule: &str| -> ToolError {
        Error::invalid_params(format!("`{name}` must be {rule}")).into()
    };
    let key = match given.remove("idempotency_key") {
        None | Some(Value::Null) => None,
        Some(Value::String(key)) => Some(key).filter(|key| !key.is_empty()),
        Some(_) => return Err(invalid("idempotency_key", "a text")),
    };
    let Some(Value::Array(tasks)) = given.get_mut("tasks") else {
        return Err(invalid("tasks", "a list of at least one task"));
    };
    let schema = schema_of_task();
    for (at, task) in tasks.iter_mut().enumerate() {
        let Value::Object(task) = task else {
            return Err(invalid(&format!("tasks[{at}]"), "an object"));
        };
        let owner = format!("of `tasks[{at}]`; it takes");
        check_names(task, &schema, &owner)?;
        rename(task, &[("task_type", "type")]);
        if let (Some(key), None) = (&key, task.get("idempotency_key")) {
            let own = format!("{key}#{}", at + 1);
            task.insert("idempotency_key".to_owned(), own.into());
        }
    }
    Ok(given)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(value: Value) -> Result<Value, String> {
        let list = keyed_list(value.as_object().unwrap().clone());
        list.map(Value::Object).map_err(|why| why.0)
    }

    #[test]
    fn the_key_of_a_list_gives_one_to_each_task_without_its_own() {
        let given = json!({
            "idempotency_key": "k",
            "tasks": [{"prompt": "a", "task_type": "review"}, {"prompt": "b", "idempotency_key": "own"}],
        });
        let tasks = json!({"tasks": [
            {"prompt": "a", "type": "review", "idempotency_key": "k#1"}, {"prompt": "b", "idempotency_key": "own"},
        ]});
        assert_eq!(list(given), Ok(tasks));
    }

    #[test]
    fn an_unknown_argument_names_its_task() {
        let refused = list(json!({"tasks": [{"prompt": "a"}, {"prompt": "b", "handoff": true}]}));
        let refused = refused.unwrap_err();
        assert!(
            refused.starts_with("`handoff` is not an argument of `tasks[1]`; it takes accept,"),
            "{refused}"
        );
        for (given, rule) in [
            (
                json!({}),
                "`tasks` must be a list of at least one task (invalid_params)",
            ),
            (
                json!({"tasks": ["a"]}),
                "`tasks[0]` must be an object (invalid_params)",
            ),
        ] {
            assert_eq!(list(given).unwrap_err(), rule);
        }
    }
}
