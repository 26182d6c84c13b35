//! The tools: each sends requests to the hub and reports the answer.

use super::arguments::{self, *};
use super::error::ToolError;
use super::progress::ProgressReporter;
use super::reports::{
    BYTES_OF_LIST, DecisionReport, EnqueueReport, ListReport, StatusReport, WaitReport,
};
use super::schema;
use super::waiting::TaskWaits;
use crate::link::{HubError, HubLink};
use kirosu_protocol::accept::read_unchecked;
use kirosu_protocol::{
    AnswerParams, Approval, ApprovalsParams, ApproveParams, CancelParams, Error, Fence, GetParams,
    ListParams, NewTask, Params, PermissionId, Status, Subject, TaskId, Verb, WaitChildrenParams,
};
use rmcp::handler::server::router::tool::ToolRouter;
use rmcp::model::{Implementation, JsonObject, ServerCapabilities, ServerConfig};
use rmcp::service::RequestContext;
use rmcp::{Json, RoleServer, ServerHandler, tool, tool_handler, tool_router};
use std::sync::Arc;
use std::time::Duration;

const INSTRUCTIONS: &str = "Kirosu runs tasks by a swarm of AI agents, from a durable queue. Enqueue a piece of work \
with enqueue_task, which returns immediately; wait_for_task waits for its end and returns its result. A task does not see \
this conversation, so its prompt must be complete. Several tasks run at the same time: enqueue all, then wait for each. For one prompt over many items, or steps \
that depend on each other, start one run with run_plan.";

/// The tools that decide in a person's name. A model that may call them can approve its own work.
const DECISIONS: [&str; 2] = ["answer_task", "approve_task"];

/// Header with the number of the task for which an HTTP client runs. The client's tasks become children of that task.
const TASK_HEADER: &str = "kirosu-task";

/// The server's tools over one connection to the hub. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct McpTools {
    pub(super) hub: HubLink,
    /// The parent of tasks that are enqueued without one.
    pub(super) parent: Option<TaskId>,
    waits: TaskWaits,
    router: Arc<ToolRouter<McpTools>>,
}

impl McpTools {
    /// `decisions`: whether the model gets the tools that decide in a person's name.
    pub(super) fn new(hub: HubLink, parent: Option<TaskId>, decisions: bool) -> McpTools {
        let mut router = McpTools::tool_router() + McpTools::run_router();
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
        McpTools {
            hub,
            parent,
            waits: TaskWaits::default(),
            router: Arc::new(router),
        }
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
            None => stated_parent(context)?.or(self.parent),
            named => named,
        };
        let answer = match task.idempotency_key.is_some() {
            true => self.request_idempotent(task).await,
            false => self.hub.request(task).await,
        };
        Ok(answer?.task_id)
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

    /// The fence of the approval or answer for which a task waits now, so that a repeated decision does not apply to a
    /// later one.
    async fn open_fence(&self, task_id: TaskId) -> Option<Fence> {
        let ask = GetParams {
            task_id,
            ..GetParams::default()
        };
        let task = self.hub.request(ask).await.ok()?.task;
        let waits = matches!(task.status, Status::AwaitingApproval | Status::Queued);
        waits.then_some(task.fence)
    }

    /// A permission request by its number; `None` if there is none, or the hub cannot be reached.
    async fn asked(&self, approval_id: PermissionId) -> Option<Approval> {
        let page = self
            .request_idempotent(ApprovalsParams::only(approval_id))
            .await;
        page.ok()?.only(approval_id)
    }

    /// The status of a task after a decision; `None` if the hub cannot be reached.
    async fn status(&self, task_id: TaskId) -> Option<Status> {
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
        let text = checked::<ListTasks>(given, &[])?;
        let params = Params::parse(&text)?;
        let status = params.opt_text("status")?.filter(|word| !word.is_empty());
        if let Some(word) = status
            && Status::from_name(&word).is_none()
        {
            let words = Status::ALL.map(Status::as_str).join(", ");
            let text = format!("`status` must be one of {words} (got {word:?})");
            return Err(Error::invalid_params(text).into());
        }
        let limit = params.opt_int("limit", 1..=LIST_MOST)?;
        let ask = ListParams {
            limit: u32::try_from(limit.unwrap_or(LIST_DEFAULT)).ok(),
            preview_bytes: Some(BYTES_OF_LIST),
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
        let ms = match params.raw("timeout_seconds") {
            None => WAIT_DEFAULT_MS,
            Some(_) => params
                .opt_seconds("timeout_seconds", 0..=WAIT_MOST_MS)?
                .unwrap_or(0),
        };
        let longest = Duration::from_millis(ms);
        let wait = self
            .waits
            .wait(&self.hub, task_id, longest, ProgressReporter::new(&context));
        tokio::select! {
            task = wait => Ok(Json(WaitReport::of(task?, longest.as_secs_f64(), chars))),
            () = self.waits.ended() => Err(ToolError("the client has disconnected".to_owned())),
            () = context.ct.cancelled() => Err(ToolError(format!(
                "the wait for task {task_id} was cancelled; the task continues"
            ))),
        }
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

    #[tool(
        title = "Answer a task",
        description = "Gives a person's answer to a task of type human: the text is its result. It is the person's answer: call it only with what the user has said.",
        input_schema = arguments::schema::<AnswerTask>(),
        annotations(read_only_hint = false, destructive_hint = true, idempotent_hint = true, open_world_hint = true)
    )]
    async fn answer_task(
        &self,
        given: JsonObject,
        context: RequestContext<RoleServer>,
    ) -> Result<Json<DecisionReport>, ToolError> {
        let text = checked::<AnswerTask>(given, &[])?;
        let ask = AnswerParams {
            by: Some(decider(&context)),
            ..AnswerParams::read(&Params::parse(&text)?, &self.hub.limits())?
        };
        let task_id = ask.task_id;
        self.request_idempotent(ask).await?;
        let status = self.status(task_id).await.map(|status| status.to_string());
        Ok(Json(DecisionReport {
            message: format!("task {task_id} is answered"),
            task_id: Some(task_id),
            status,
        }))
    }

    #[tool(
        title = "Approve a task",
        description = "Lets a task that waits for a person's approval run, answers a task of type human with no more than yes (answer_task takes a text), or (with approval_id) lets a running agent use a tool, once. It is a person's decision: call it only when the user has said so for this one.",
        input_schema = arguments::schema::<ApproveTask>(),
        annotations(read_only_hint = false, destructive_hint = true, idempotent_hint = true, open_world_hint = true)
    )]
    async fn approve_task(
        &self,
        given: JsonObject,
        context: RequestContext<RoleServer>,
    ) -> Result<Json<DecisionReport>, ToolError> {
        let text = checked::<ApproveTask>(given, &[])?;
        let mut ask = ApproveParams {
            by: Some(decider(&context)),
            ..ApproveParams::read(&Params::parse(&text)?, &self.hub.limits())?
        };
        let subject = ask.subject;
        if let (None, Subject::Task(task_id)) = (ask.fence, subject) {
            ask.fence = self.open_fence(task_id).await;
        }
        let asked = match subject {
            Subject::Approval(id) => self.asked(id).await,
            Subject::Task(_) => None,
        };
        self.request_idempotent(ask).await?;
        let Subject::Task(task_id) = subject else {
            let call = asked.map(|asked| format!(": {}", asked.tool_and_question()));
            return Ok(Json(DecisionReport {
                message: format!(
                    "{subject} is approved; its agent may use the tool, once{}",
                    call.unwrap_or_default()
                ),
                task_id: None,
                status: None,
            }));
        };
        let status = self.status(task_id).await;
        let stands = status.map(|status| format!("; it is {status} now"));
        Ok(Json(DecisionReport {
            message: format!("task {task_id} is approved{}", stands.unwrap_or_default()),
            task_id: Some(task_id),
            status: status.map(|status| status.to_string()),
        }))
    }
}

#[tool_handler(router = self.router)]
impl ServerHandler for McpTools {
    fn get_info(&self) -> ServerConfig {
        let us = Implementation::new("kirosu", env!("CARGO_PKG_VERSION")).with_title("Kirosu");
        ServerConfig::new(ServerCapabilities::builder().enable_tools().build())
            .with_server_info(us)
            .with_instructions(INSTRUCTIONS)
    }
}

/// Maximum characters of each text; 0 means no limit.
pub(super) fn max_chars(params: &Params<'_>) -> Result<usize, ToolError> {
    let chars = params.opt_int("max_chars", 0..=CHARS_MOST)?;
    Ok(usize::try_from(chars.unwrap_or(CHARS_DEFAULT)).unwrap_or(usize::MAX))
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
fn decider(context: &RequestContext<RoleServer>) -> String {
    let name = context.client_info().map(|client| client.name);
    match name.filter(|name| (1..=200).contains(&name.len())) {
        Some(name) => format!("mcp:{name}"),
        None => "mcp".to_owned(),
    }
}
