//! The tools: each asks the hub and puts its answer into words.

use super::arguments::{self, *};
use super::progress::Teller;
use super::refusal::Refusal;
use super::reports::{BYTES_OF_LIST, Decided, Enqueued, Listed, StatusReport, Waited};
use super::schema;
use super::waiting::Waits;
use crate::link::{AskError, HubLink};
use kirosu_protocol::Subject;
use kirosu_protocol::accept::read_unchecked;
use kirosu_protocol::verbs::answer::AnswerParams;
use kirosu_protocol::verbs::approve::ApproveParams;
use kirosu_protocol::verbs::cancel::CancelParams;
use kirosu_protocol::verbs::enqueue::NewTask;
use kirosu_protocol::verbs::get::GetParams;
use kirosu_protocol::verbs::list::ListParams;
use kirosu_protocol::{Error, Fence, Params, Status, TaskId, Verb};
use rmcp::handler::server::router::tool::ToolRouter;
use rmcp::model::{Implementation, JsonObject, ServerCapabilities, ServerConfig};
use rmcp::service::RequestContext;
use rmcp::{Json, RoleServer, ServerHandler, tool, tool_handler, tool_router};
use std::sync::Arc;
use std::time::Duration;

const INSTRUCTIONS: &str = "Kirosu runs tasks by a swarm of AI agents, from a durable queue. Hand over a piece of work \
with enqueue_task, which returns at once; wait_for_task waits for its end and tells its result. A task does not see this \
conversation, so its prompt has to say everything. Several tasks run side by side: enqueue all, then wait for each.";

/// Header of an HTTP client that runs for a task: its number. What the client enqueues is a child of that task.
const TASK_HEADER: &str = "kirosu-task";

/// The server's tools over one connection to the hub. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Tools {
    hub: HubLink,
    /// The parent of what is enqueued without one.
    parent: Option<TaskId>,
    waits: Waits,
    router: Arc<ToolRouter<Tools>>,
}

impl Tools {
    pub(super) fn new(hub: HubLink, parent: Option<TaskId>) -> Tools {
        let mut router = Tools::tool_router();
        for route in router.map.values_mut() {
            let tool = &mut route.attr;
            tool.input_schema = Arc::new(schema::without_booleans(&tool.input_schema));
            tool.output_schema = tool
                .output_schema
                .as_ref()
                .map(|it| Arc::new(schema::without_booleans(it)));
        }
        Tools {
            hub,
            parent,
            waits: Waits::default(),
            router: Arc::new(router),
        }
    }

    /// The waits under way, for all clones alike.
    pub(super) fn waits(&self) -> Waits {
        self.waits.clone()
    }

    /// Asks the hub, and once more when the connection broke before the answer: for what may be said twice.
    async fn insist<V>(&self, ask: V) -> Result<V::Answer, AskError>
    where
        V: Verb + Clone + Send + Sync + 'static,
        V::Answer: Send,
    {
        match self.hub.ask(ask.clone()).await {
            Err(AskError::Broken(_)) => self.hub.ask(ask).await,
            outcome => outcome,
        }
    }

    /// The fence of what a task asks a person now, so that a decision that is sent again answers no later question.
    async fn question(&self, task_id: TaskId) -> Option<Fence> {
        let ask = GetParams {
            task_id,
            ..GetParams::default()
        };
        let task = self.hub.ask(ask).await.ok()?.task;
        let asks = matches!(task.status, Status::AwaitingApproval | Status::Queued);
        asks.then_some(task.fence)
    }

    /// Where a task stands after a decision that was carried out; none when the hub cannot be asked any more.
    async fn status(&self, task_id: TaskId) -> Option<Status> {
        let ask = GetParams {
            task_id,
            ..GetParams::default()
        };
        let answer = self.insist(ask).await.ok()?;
        Some(answer.task.status)
    }
}

#[tool_router]
impl Tools {
    #[tool(
        title = "Enqueue a task",
        description = "Hands a task to the swarm of agents and returns its number at once; the task is durable then. Use wait_for_task for its result. Give an idempotency_key where calling twice would do harm.",
        input_schema = arguments::schema::<EnqueueTask>(),
        annotations(read_only_hint = false, destructive_hint = false, idempotent_hint = false, open_world_hint = true)
    )]
    async fn enqueue_task(
        &self,
        given: JsonObject,
        context: RequestContext<RoleServer>,
    ) -> Result<Json<Enqueued>, Refusal> {
        let text = checked::<EnqueueTask>(given, &[("task_type", "type")])?;
        let params = Params::parse(&text)?;
        // The hub compiles what the clauses hold, on a thread for that.
        let mut task = read_unchecked(|| NewTask::read(&params, &self.hub.limits()))?;
        task.parent_id = match task.parent_id {
            None => stated_parent(&context)?.or(self.parent),
            named => named,
        };
        let (keyed, approval) = (task.idempotency_key.is_some(), task.requires_approval);
        let answer = match keyed {
            true => self.insist(task).await,
            false => self.hub.ask(task).await,
        };
        let task_id = answer?.task_id;
        let message = match approval {
            true => format!("enqueued task {task_id}; it runs after approve_task"),
            false => format!("enqueued task {task_id}"),
        };
        Ok(Json(Enqueued { message, task_id }))
    }

    #[tool(
        title = "List tasks",
        description = "Lists tasks, newest first, with long texts cut, and counts all of the hub's tasks by status.",
        input_schema = arguments::schema::<ListTasks>(),
        annotations(read_only_hint = true, open_world_hint = false)
    )]
    async fn list_tasks(&self, given: JsonObject) -> Result<Json<Listed>, Refusal> {
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
        let answer = self.insist(ask).await?;
        Ok(Json(Listed::of(answer.tasks, &answer.stats, answer.next)))
    }

    #[tool(
        title = "Look at a task",
        description = "Tells where a task stands: its status, result or error, attempts, and what the running attempt said last. Does not wait; wait_for_task does.",
        input_schema = arguments::schema::<GetTaskStatus>(),
        annotations(read_only_hint = true, open_world_hint = false)
    )]
    async fn get_task_status(&self, given: JsonObject) -> Result<Json<StatusReport>, Refusal> {
        let text = checked::<GetTaskStatus>(given, &[])?;
        let params = Params::parse(&text)?;
        let chars = max_chars(&params)?;
        let ask = GetParams::read(&params, &self.hub.limits())?;
        let answer = self.insist(ask).await?;
        Ok(Json(StatusReport::of(answer, chars)))
    }

    #[tool(
        title = "Wait for a task",
        description = "Waits until a task has ended and tells its result; when the time runs out first, `timed_out` is true and it can be called again. Sends progress notifications to a client that asks for them. Cancelling the call ends the wait, not the task.",
        input_schema = arguments::schema::<WaitForTask>(),
        annotations(read_only_hint = true, open_world_hint = false)
    )]
    async fn wait_for_task(
        &self,
        given: JsonObject,
        context: RequestContext<RoleServer>,
    ) -> Result<Json<Waited>, Refusal> {
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
            .wait(&self.hub, task_id, longest, Teller::new(&context));
        tokio::select! {
            task = wait => Ok(Json(Waited::of(task?, longest.as_secs_f64(), chars))),
            () = self.waits.ended() => Err(Refusal("the client has gone".to_owned())),
            () = context.ct.cancelled() => Err(Refusal(format!(
                "the wait for task {task_id} was cancelled; the task goes on"
            ))),
        }
    }

    #[tool(
        title = "Cancel a task",
        description = "Ends a task that has not ended; a running one is stopped. What it did so far is not undone.",
        input_schema = arguments::schema::<CancelTask>(),
        annotations(read_only_hint = false, destructive_hint = true, idempotent_hint = true, open_world_hint = false)
    )]
    async fn cancel_task(
        &self,
        given: JsonObject,
        context: RequestContext<RoleServer>,
    ) -> Result<Json<Decided>, Refusal> {
        let text = checked::<CancelTask>(given, &[])?;
        let task_id = Params::parse(&text)?.task_id()?;
        let ask = CancelParams {
            by: Some(decider(&context)),
            ..CancelParams::read(&Params::parse(&text)?, &self.hub.limits())?
        };
        self.insist(ask).await?;
        let status = self.status(task_id).await.map(|status| status.to_string());
        Ok(Json(Decided {
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
    ) -> Result<Json<Decided>, Refusal> {
        let text = checked::<AnswerTask>(given, &[])?;
        let ask = AnswerParams {
            by: Some(decider(&context)),
            ..AnswerParams::read(&Params::parse(&text)?, &self.hub.limits())?
        };
        let task_id = ask.task_id;
        self.insist(ask).await?;
        let status = self.status(task_id).await.map(|status| status.to_string());
        Ok(Json(Decided {
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
    ) -> Result<Json<Decided>, Refusal> {
        let text = checked::<ApproveTask>(given, &[])?;
        let mut ask = ApproveParams {
            by: Some(decider(&context)),
            ..ApproveParams::read(&Params::parse(&text)?, &self.hub.limits())?
        };
        let subject = ask.subject;
        if let (None, Subject::Task(task_id)) = (ask.fence, subject) {
            ask.fence = self.question(task_id).await;
        }
        self.insist(ask).await?;
        let Subject::Task(task_id) = subject else {
            return Ok(Json(Decided {
                message: format!("{subject} is approved; its agent may use the tool, once"),
                task_id: None,
                status: None,
            }));
        };
        let status = self.status(task_id).await;
        let stands = status.map(|status| format!("; it is {status} now"));
        Ok(Json(Decided {
            message: format!("task {task_id} is approved{}", stands.unwrap_or_default()),
            task_id: Some(task_id),
            status: status.map(|status| status.to_string()),
        }))
    }
}

#[tool_handler(router = self.router)]
impl ServerHandler for Tools {
    fn get_info(&self) -> ServerConfig {
        let us = Implementation::new("kirosu", env!("CARGO_PKG_VERSION")).with_title("Kirosu");
        ServerConfig::new(ServerCapabilities::builder().enable_tools().build())
            .with_server_info(us)
            .with_instructions(INSTRUCTIONS)
    }
}

/// How long each text may be, in characters; 0: no bound.
fn max_chars(params: &Params<'_>) -> Result<usize, Refusal> {
    let chars = params.opt_int("max_chars", 0..=CHARS_MOST)?;
    Ok(usize::try_from(chars.unwrap_or(CHARS_DEFAULT)).unwrap_or(usize::MAX))
}

/// The task that an HTTP client says it runs for.
fn stated_parent(context: &RequestContext<RoleServer>) -> Result<Option<TaskId>, Refusal> {
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
        Refusal(format!(
            "the header {TASK_HEADER} must hold the number of a task"
        ))
    };
    number.map(Some).ok_or_else(refusal)
}

/// Who decides, for the record: the client's name, as it gave it.
fn decider(context: &RequestContext<RoleServer>) -> String {
    let name = context.client_info().map(|client| client.name);
    match name.filter(|name| (1..=200).contains(&name.len())) {
        Some(name) => format!("mcp:{name}"),
        None => "mcp".to_owned(),
    }
}
