//! The tools: each sends requests to the hub and reports the answer.

use super::arguments::{self, *};
use super::decision_tools::DECISIONS;
use super::error::ToolError;
use super::progress::ProgressReporter;
use super::prompts::SavedPlans;
use super::reports::{
    BYTES_OF_LIST, DecisionReport, EnqueueReport, ListReport, StatusReport, WaitReport,
};
use super::schema;
use super::subscriptions::Subscriptions;
use super::waiting::TaskWaits;
use crate::link::{HubError, HubLink};
use kirosu_protocol::accept::read_unchecked;
use kirosu_protocol::{
    CancelParams, Error, GetParams, ListParams, ListStatus, NewTask, Params, Status, Task, TaskId,
    Verb, WaitChildrenParams,
};
use rmcp::handler::server::router::tool::ToolRouter;
use rmcp::model::JsonObject;
use rmcp::service::RequestContext;
use rmcp::{Json, RoleServer, tool, tool_router};
use std::sync::Arc;
use std::time::Duration;

/// Header with the number of the task for which an HTTP client runs. The client's tasks become children of that task.
const TASK_HEADER: &str = "kirosu-task";

/// The server's tools over one connection to the hub. Cheap to clone.
#[derive(Clone)]
pub(super) struct McpTools {
    pub(super) hub: HubLink,
    /// The parent of tasks that are enqueued without one.
    pub(super) parent: Option<TaskId>,
    /// The plans that are prompts.
    pub(super) plans: Option<Arc<dyn SavedPlans>>,
    pub(super) subscriptions: Subscriptions,
    pub(super) router: Arc<ToolRouter<McpTools>>,
    waits: TaskWaits,
}

impl McpTools {
    /// `decisions`: whether the model gets the tools that decide in a person's name.
    pub(super) fn new(hub: HubLink, decisions: bool) -> McpTools {
        McpTools {
            hub,
            parent: None,
            plans: None,
            subscriptions: Subscriptions::default(),
            router: Arc::new(McpTools::router(decisions)),
            waits: TaskWaits::default(),
        }
    }

    /// The same for another session.
    pub(super) fn for_session(&self) -> McpTools {
        McpTools {
            subscriptions: Subscriptions::default(),
            ..self.clone()
        }
    }

    /// All tools, in the form that all clients accept.
    pub(super) fn router(decisions: bool) -> ToolRouter<McpTools> {
        let mut router = McpTools::tool_router()
            + McpTools::batch_router()
            + McpTools::decision_router()
            + McpTools::run_router();
        if !decisions {
            DECISIONS.iter().for_each(|tool| router.remove_route(tool));
        }
        for route in router.map.values_mut() {
            let tool = &mut route.attr;
            tool.input_schema = Arc::new(schema::without_booleans(&tool.input_schema));
            tool.output_schema = tool
                .output_schema
                .as_ref()
                .map(|it| Arc::new(schema::without_booleans(it)));
        }
        router
    }

    /// The current waits; all clones share them.
    pub(super) fn waits(&self) -> TaskWaits {
        self.waits.clone()
    }

    /// Adds a task: a child of the one that the client states, unless it names another parent.
    pub(super) async fn add(
        &self,
        mut task: NewTask,
        context: &RequestContext<RoleServer>,
    ) -> Result<TaskId, ToolError> {
        task.parent_id = match task.parent_id {
            None => self.parent_of(context)?,
            named => named,
        };
        let answer = match task.idempotency_key.is_some() {
            true => self.request_idempotent(task).await,
            false => self.hub.request(task).await,
        };
        Ok(answer?.task_id)
    }

    /// The parent of tasks without a named one: the task that the client states.
    pub(super) fn parent_of(
        &self,
        context: &RequestContext<RoleServer>,
    ) -> Result<Option<TaskId>, ToolError> {
        Ok(stated_parent(context)?.or(self.parent))
    }

    /// Waits for tasks until the end of the call, with progress for a client that has requested it.
    pub(super) async fn wait(
        &self,
        task_ids: Vec<TaskId>,
        longest: Duration,
        context: &RequestContext<RoleServer>,
    ) -> Result<Vec<Task>, ToolError> {
        let reporter = ProgressReporter::new(context);
        let of = match task_ids.as_slice() {
            [task_id] => format!("task {task_id} was cancelled; the task continues"),
            several => format!("{} tasks was cancelled; they continue", several.len()),
        };
        let wait = self.waits.wait(&self.hub, task_ids, longest, reporter);
        tokio::select! {
            tasks = wait => tasks,
            () = self.waits.ended() => Err(ToolError("the client has disconnected".to_owned())),
            () = context.ct.cancelled() => Err(ToolError(format!("the wait for {of}"))),
        }
    }

    /// Sends a request, and repeats it once if the connection broke before the answer. Only for idempotent requests.
    pub(super) async fn request_idempotent<V>(&self, ask: V) -> Result<V::Answer, HubError>
    where
        V: Verb + Clone + Send + Sync + 'static,
        V::Answer: Send,
    {
        match self.hub.request(ask.clone()).await {
            Err(HubError::Interrupted(_)) => self.hub.request(ask).await,
            outcome => outcome,
        }
    }

    /// The status of a task after a decision; `None` if the hub cannot be reached.
    pub(super) async fn status(&self, task_id: TaskId) -> Option<Status> {
        let ask = GetParams {
            task_id,
            ..GetParams::default()
        };
        let answer = self.request_idempotent(ask).await.ok()?;
        Some(answer.task.status)
    }
}

#[tool_router]
impl McpTools {
    #[tool(
        title = "Enqueue a task",
        description = "Enqueues a task for the swarm of agents and returns its number immediately; the task is durable then. Use wait_for_task for its result. Use an idempotency_key if a second call would do harm.",
        input_schema = arguments::schema::<EnqueueTask>(),
        annotations(read_only_hint = false, destructive_hint = false, idempotent_hint = false, open_world_hint = true)
    )]
    async fn enqueue_task(
        &self,
        given: JsonObject,
        context: RequestContext<RoleServer>,
    ) -> Result<Json<EnqueueReport>, ToolError> {
        let text = checked::<EnqueueTask>(given, &[("task_type", "type")])?;
        let params = Params::parse(&text)?;
        // Unchecked, because the hub compiles the regexes and schemas, on another thread.
        let task = read_unchecked(|| NewTask::read(&params, &self.hub.limits()))?;
        let approval = task.requires_approval;
        let task_id = self.add(task, &context).await?;
        let message = match approval {
            true => format!("enqueued task {task_id}; it runs after a person has approved it"),
            false => format!("enqueued task {task_id}"),
        };
        Ok(Json(EnqueueReport { message, task_id }))
    }

    #[tool(
        title = "List tasks",
        description = "Lists tasks, newest first, with long texts cut, and counts all of the hub's tasks by status.",
        input_schema = arguments::schema::<ListTasks>(),
        annotations(read_only_hint = true, open_world_hint = false)
    )]
    async fn list_tasks(&self, given: JsonObject) -> Result<Json<ListReport>, ToolError> {
        let text = checked::<ListTasks>(given, &[("task_type", "type")])?;
        let params = Params::parse(&text)?;
        let status = status_of(&params)?;
        let limit = params.opt_int("limit", 1..=LIST_MOST)?;
        let ask = ListParams {
            limit: u32::try_from(limit.unwrap_or(LIST_DEFAULT)).ok(),
            preview_bytes: Some(BYTES_OF_LIST),
            status,
            ..ListParams::read(&params, &self.hub.limits())?
        };
        let answer = self.request_idempotent(ask).await?;
        Ok(Json(ListReport::of(
            answer.tasks,
            &answer.stats,
            answer.next,
        )))
    }

    #[tool(
        title = "Look at a task",
        description = "Returns the status of a task, its result or error, its attempts, and the latest progress of the running attempt. Does not wait; wait_for_task does.",
        input_schema = arguments::schema::<GetTaskStatus>(),
        annotations(read_only_hint = true, open_world_hint = false)
    )]
    async fn get_task_status(&self, given: JsonObject) -> Result<Json<StatusReport>, ToolError> {
        let text = checked::<GetTaskStatus>(given, &[])?;
        let params = Params::parse(&text)?;
        let chars = max_chars(&params)?;
        let ask = GetParams::read(&params, &self.hub.limits())?;
        let answer = self.request_idempotent(ask).await?;
        Ok(Json(StatusReport::of(answer, chars)))
    }

    #[tool(
        title = "Wait for a task",
        description = "Waits until a task has ended and returns its result; if the timeout is over first, `timed_out` is true and it can be called again. Sends progress notifications to a client that requests them. Cancelling the call ends the wait, not the task.",
        input_schema = arguments::schema::<WaitForTask>(),
        annotations(read_only_hint = true, open_world_hint = false)
    )]
    async fn wait_for_task(
        &self,
        given: JsonObject,
        context: RequestContext<RoleServer>,
    ) -> Result<Json<WaitReport>, ToolError> {
        let text = checked::<WaitForTask>(given, &[])?;
        let params = Params::parse(&text)?;
        let chars = max_chars(&params)?;
        let task_id = params.task_id()?;
        let longest = longest_wait(&params)?;
        let tasks = self.wait(vec![task_id], longest, &context).await?;
        let task = tasks.into_iter().next();
        let task = task.ok_or_else(|| ToolError(format!("task {task_id} was not returned")))?;
        Ok(Json(WaitReport::of(task, longest.as_secs_f64(), chars)))
    }

    #[tool(
        title = "Wait for the added tasks after this turn",
        description = "For an agent that runs a task of Kirosu and has enqueued others: its task waits for them once the agent has ended its turn, without occupying an agent. End the turn right after this call, without a result; the next turn begins with the results of the added tasks.",
        input_schema = arguments::schema::<WaitForChildren>(),
        annotations(read_only_hint = false, destructive_hint = false, idempotent_hint = true, open_world_hint = false)
    )]
    async fn wait_for_children(
        &self,
        given: JsonObject,
    ) -> Result<Json<DecisionReport>, ToolError> {
        checked::<WaitForChildren>(given, &[])?;
        let ask = WaitChildrenParams::default();
        let answer = self.request_idempotent(ask).await?;
        Ok(Json(DecisionReport {
            message: format!(
                "task {} waits for {} of {} added tasks once this turn has ended: end it now",
                answer.task_id, answer.unfinished, answer.children
            ),
            task_id: Some(answer.task_id),
            status: None,
        }))
    }

    #[tool(
        title = "Cancel a task",
        description = "Cancels a task that has not ended; a running one is stopped. Its effects so far are not undone.",
        input_schema = arguments::schema::<CancelTask>(),
        annotations(read_only_hint = false, destructive_hint = true, idempotent_hint = true, open_world_hint = false)
    )]
    async fn cancel_task(
        &self,
        given: JsonObject,
        context: RequestContext<RoleServer>,
    ) -> Result<Json<DecisionReport>, ToolError> {
        let text = checked::<CancelTask>(given, &[])?;
        let task_id = Params::parse(&text)?.task_id()?;
        let ask = CancelParams {
            by: Some(decider(&context)),
            ..CancelParams::read(&Params::parse(&text)?, &self.hub.limits())?
        };
        self.request_idempotent(ask).await?;
        let status = self.status(task_id).await.map(|status| status.to_string());
        Ok(Json(DecisionReport {
            message: format!("task {task_id} is cancelled"),
            task_id: Some(task_id),
            status,
        }))
    }
}

/// Maximum characters of each text; 0 means no limit.
pub(super) fn max_chars(params: &Params<'_>) -> Result<usize, ToolError> {
    chars_within(params, CHARS_DEFAULT)
}

/// As [`max_chars`], with another default.
pub(super) fn chars_within(params: &Params<'_>, default: i64) -> Result<usize, ToolError> {
    let chars = params.opt_int("max_chars", 0..=CHARS_MOST)?;
    Ok(usize::try_from(chars.unwrap_or(default)).unwrap_or(usize::MAX))
}

/// The longest time of a wait.
pub(super) fn longest_wait(params: &Params<'_>) -> Result<Duration, ToolError> {
    let ms = match params.raw("timeout_seconds") {
        None => WAIT_DEFAULT_MS,
        Some(_) => params
            .opt_seconds("timeout_seconds", 0..=WAIT_MOST_MS)?
            .unwrap_or(0),
    };
    Ok(Duration::from_millis(ms))
}

/// The task for which an HTTP client runs, from its header.
fn stated_parent(context: &RequestContext<RoleServer>) -> Result<Option<TaskId>, ToolError> {
    let parts = context.extensions.get::<http::request::Parts>();
    let Some(value) = parts.and_then(|parts| parts.headers.get(TASK_HEADER)) else {
        return Ok(None);
    };
    let text = value.to_str().unwrap_or_default().trim();
    if text.is_empty() {
        return Ok(None);
    }
    let number = text.parse().ok().filter(|id| *id > 0);
    let refusal = || {
        ToolError(format!(
            "the header {TASK_HEADER} must hold the number of a task"
        ))
    };
    number.map(Some).ok_or_else(refusal)
}

/// The name under which a decision is recorded: the name that the client has sent.
pub(super) fn decider(context: &RequestContext<RoleServer>) -> String {
    let name = context.client_info().map(|client| client.name);
    match name.filter(|name| (1..=200).contains(&name.len())) {
        Some(name) => format!("mcp:{name}"),
        None => "mcp".to_owned(),
    }
}

/// The status by which a list is filtered.
pub(super) fn status_of(params: &Params<'_>) -> Result<ListStatus, ToolError> {
    let Some(word) = params.opt_text("status")?.filter(|word| !word.is_empty()) else {
        return Ok(ListStatus::Any);
    };
    let status = Status::from_name(&word).map(ListStatus::Is);
    let refusal = || {
        let words = Status::ALL.map(Status::as_str).join(", ");
        Error::invalid_params(format!("`status` must be one of {words} (got {word:?})"))
    };
    Ok(status.ok_or_else(refusal)?)
}
