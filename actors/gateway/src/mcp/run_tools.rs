//! The tools for runs of plans. A run is a task, so wait_for_task and cancel_task work for it, too.

use super::arguments::{self, ITEM_CHARS_DEFAULT, ITEMS_MOST, OF_THIS_TOOL, check_names, checked};
use super::error::ToolError;
use super::run_arguments::*;
use super::run_reports::{ItemListReport, RunListReport, RunReport, StartReport};
use super::tools::{McpTools, chars_within, max_chars};
use crate::new_run;
use kirosu_protocol::{Error, Params, RunItemsParams, RunParams, RunRetryParams, RunsParams, Verb};
use rmcp::model::JsonObject;
use rmcp::service::RequestContext;
use rmcp::{Json, RoleServer, tool, tool_router};
use serde_json::json;

#[tool_router(router = run_router, vis = "pub(super)")]
impl McpTools {
    #[tool(
        title = "Run a plan",
        description = "Starts a run of a plan: several steps, each of which makes one task or one task per item of a list, in the order of their dependencies. Returns the number of the run immediately; it is durable then. For many similar tasks use this instead of many calls of enqueue_task. wait_for_task waits for its end, get_run shows its steps, cancel_task cancels it with its tasks.",
        input_schema = arguments::schema::<RunPlan>(),
        annotations(read_only_hint = false, destructive_hint = false, idempotent_hint = false, open_world_hint = true)
    )]
    async fn run_plan(
        &self,
        mut given: JsonObject,
        context: RequestContext<RoleServer>,
    ) -> Result<Json<StartReport>, ToolError> {
        check_names(&given, &arguments::schema::<RunPlan>(), OF_THIS_TOOL)?;
        limit_tree(&mut given);
        let text = serde_json::to_string(&given).map_err(not_json)?;
        let task = new_run::read(&text, &self.hub.limits())?;
        let approval = task.requires_approval;
        let task_id = self.add(task, &context).await?;
        let message = match approval {
            true => format!("run {task_id} begins after a person has approved it"),
            false => format!("started run {task_id}"),
        };
        Ok(Json(StartReport { message, task_id }))
    }

    #[tool(
        title = "List runs",
        description = "Lists runs of plans, newest first, with their states and the counts of their items.",
        input_schema = arguments::schema::<ListRuns>(),
        annotations(read_only_hint = true, open_world_hint = false)
    )]
    async fn list_runs(&self, given: JsonObject) -> Result<Json<RunListReport>, ToolError> {
        let text = checked::<ListRuns>(given, &[])?;
        let mut ask = RunsParams::read(&Params::parse(&text)?, &self.hub.limits())?;
        ask.limit = ask.limit.or(Some(PAGE_DEFAULT));
        let answer = self.request_idempotent(ask).await?;
        Ok(Json(RunListReport::of(answer)))
    }

    #[tool(
        title = "Look at a run",
        description = "Returns the state of a run of a plan, its result or error, and its steps with their states, reasons and counts, failed ones first. Does not wait; wait_for_task does.",
        input_schema = arguments::schema::<GetRun>(),
        annotations(read_only_hint = true, open_world_hint = false)
    )]
    async fn get_run(&self, given: JsonObject) -> Result<Json<RunReport>, ToolError> {
        let text = checked::<GetRun>(given, &[])?;
        let params = Params::parse(&text)?;
        let chars = max_chars(&params)?;
        let ask = RunParams::read(&params, &self.hub.limits())?;
        let answer = self.request_idempotent(ask).await?;
        Ok(Json(RunReport::of(answer, chars)))
    }

    #[tool(
        title = "List the items of a run",
        description = "Lists the items of the steps of a run: those that failed with their errors (state: failed), or those that are done with their results (results: true).",
        input_schema = arguments::schema::<ListRunItems>(),
        annotations(read_only_hint = true, open_world_hint = false)
    )]
    async fn list_run_items(&self, given: JsonObject) -> Result<Json<ItemListReport>, ToolError> {
        let text = checked::<ListRunItems>(given, &[])?;
        let params = Params::parse(&text)?;
        let chars = chars_within(&params, ITEM_CHARS_DEFAULT)?;
        let limit = params.opt_int("limit", 1..=ITEMS_MOST)?;
        let limit = limit.and_then(|limit| u32::try_from(limit).ok());
        let ask = RunItemsParams {
            limit: limit.or(Some(ITEMS_DEFAULT)),
            ..RunItemsParams::read(&params, &self.hub.limits())?
        };
        let answer = self.request_idempotent(ask).await?;
        Ok(Json(ItemListReport::of(answer, chars)))
    }

    #[tool(
        title = "Repeat what failed in a run",
        description = "Repeats the items of a run that failed or were cancelled, then the steps that depend on them; nothing else runs again. Repeat only what may succeed now: look at the errors with list_run_items first.",
        input_schema = arguments::schema::<RetryRun>(),
        annotations(read_only_hint = false, destructive_hint = false, idempotent_hint = false, open_world_hint = true)
    )]
    async fn retry_run(&self, given: JsonObject) -> Result<Json<StartReport>, ToolError> {
        let text = checked::<RetryRun>(given, &[])?;
        let ask = RunRetryParams::read(&Params::parse(&text)?, &self.hub.limits())?;
        let task_id = ask.task_id;
        let what = match (&ask.step, &ask.item) {
            (Some(step), Some(item)) => format!("the item {item:?} of the step {step}"),
            (Some(step), None) => format!("the step {step}"),
            (None, _) => "what failed".to_owned(),
        };
        self.hub.request(ask).await?;
        Ok(Json(StartReport {
            message: format!("repeating {what} in run {task_id}"),
            task_id,
        }))
    }
}

/// Makes the limits `tokens` and `usd` the budget of the run with all its tasks.
pub(super) fn limit_tree(fields: &mut JsonObject) {
    let limits = ["tokens", "usd"].map(|name| Some((name.to_owned(), fields.remove(name)?)));
    let limits: JsonObject = limits.into_iter().flatten().collect();
    if !limits.is_empty() {
        fields.insert("budget".into(), json!({ "tree": limits }));
    }
}

pub(super) fn not_json(why: serde_json::Error) -> ToolError {
    Error::invalid_params(format!("the arguments are not JSON: {why}")).into()
}
