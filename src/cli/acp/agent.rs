//! The agent's side of the protocol: reads messages, keeps the conversations, and answers requests.

use super::history;
use super::hub::HubAccess;
use super::prompt::Message;
use super::request_error::RequestError;
use super::session::{EditorSession, PastTurn, RunningTurn, is_id, new_id};
use super::turn::{PromptEnd, PromptTurn};
use super::wire::{EditorLine, Wire};
use super::{choices, workdir};
use crate::cli::{Failure, HubClient};
use kirosu_config::PoolSection;
use kirosu_providers::rpc::{
    self, INVALID_PARAMS, INVALID_REQUEST, METHOD_NOT_FOUND, PARSE_ERROR, RpcMessage,
};
use serde_json::{Value, json};
use std::cell::RefCell;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use tokio::sync::{Mutex, MutexGuard, Notify, watch};
use tokio::task::spawn_local;

/// The version of the protocol.
const VERSION: u64 = 1;
/// Conversations that are open at once.
const SESSIONS: usize = 1000;

/// Choices of the command line and the settings.
pub struct Options {
    /// The queue of tasks.
    pub queue: String,
    /// The model of tasks.
    pub model: Option<String>,
    /// The pools of the settings of this machine.
    pub pools: Vec<PoolSection>,
}

/// The agent.
pub struct Agent {
    /// The editor.
    pub wire: Wire,
    /// The hub.
    pub hub: Rc<HubAccess>,
    /// The options.
    pub options: Options,
    sessions: RefCell<HashMap<String, Rc<EditorSession>>>,
    capabilities: RefCell<Value>,
    /// Held while the current folder of the process is that of a project.
    folder: Mutex<()>,
    turn_ended: Notify,
}

/// The current folder of the process is that of a project as long as this exists.
pub struct EnteredFolder<'a> {
    before: Option<PathBuf>,
    _guard: MutexGuard<'a, ()>,
}

impl Drop for EnteredFolder<'_> {
    fn drop(&mut self) {
        if let Some(before) = &self.before {
            // The folder from which the editor started this program may be gone; nothing here depends on it.
            let _ = std::env::set_current_dir(before);
        }
    }
}

impl Agent {
    /// An agent without conversations.
    pub fn new(wire: Wire, hub: HubAccess, options: Options) -> Rc<Agent> {
        Rc::new(Agent {
            wire,
            hub: Rc::new(hub),
            options,
            sessions: RefCell::default(),
            capabilities: RefCell::default(),
            folder: Mutex::new(()),
            turn_ended: Notify::new(),
        })
    }

    /// Whether the editor shows forms.
    pub fn has_forms(&self) -> bool {
        self.capabilities.borrow()["elicitation"]["form"].is_object()
    }

    /// Makes a project's folder the current one, for plans and their files, which are named from there.
    ///
    /// # Errors
    /// There is no such folder.
    pub async fn enter(&self, folder: &Path) -> Result<EnteredFolder<'_>, Failure> {
        let guard = self.folder.lock().await;
        let before = std::env::current_dir().ok();
        std::env::set_current_dir(folder).map_err(|why| {
            Failure::local(format!("cannot use the folder {}", folder.display()), why)
        })?;
        Ok(EnteredFolder {
            before,
            _guard: guard,
        })
    }

    /// Handles a line of the editor.
    pub async fn take(self: &Rc<Self>, line: EditorLine) {
        let EditorLine::Text(line) = line else {
            let refusal =
                RequestError::new(INVALID_REQUEST, "the line is too long and was skipped");
            return self.wire.send(&refusal.response(&Value::Null)).await;
        };
        let read = rpc::read(&line);
        if read.messages.is_empty() && !read.noise.is_empty() {
            let is_json = serde_json::from_slice::<serde::de::IgnoredAny>(&line).is_ok();
            let refusal = match is_json {
                true => RequestError::new(INVALID_REQUEST, "the line is not a JSON-RPC message"),
                false => RequestError::new(PARSE_ERROR, "the line is not JSON"),
            };
            return self.wire.send(&refusal.response(&Value::Null)).await;
        }
        for message in read.messages {
            match message {
                RpcMessage::Request { id, method, params } => {
                    self.request(id, &method, params).await;
                }
                RpcMessage::Notification { method, params } => self.notified(&method, &params),
                RpcMessage::Answer { id, outcome } => self.wire.answered(id, outcome),
            }
        }
    }

    fn notified(&self, method: &str, params: &Value) {
        match method {
            "session/cancel" => {
                if let Ok(session) = self.session(params) {
                    session.cancel();
                }
            }
            "$/cancel_request" => {
                let sessions = self.sessions.borrow();
                let is_of = |session: &&Rc<EditorSession>| {
                    let state = session.state.borrow();
                    let running = state.running.as_ref();
                    running.is_some_and(|it| it.request == params["requestId"])
                };
                if let Some(session) = sessions.values().find(is_of) {
                    session.cancel();
                }
            }
            _ => {}
        }
    }

    /// Answers a request: at once what needs no hub, so that a later message finds its effect.
    async fn request(self: &Rc<Self>, id: Value, method: &str, params: Value) {
        let answer = match method {
            "initialize" => Ok(self.initialize(&params)),
            "authenticate" => Ok(json!({})),
            "session/set_config_option" => self.set_option(&params),
            "session/prompt" => match self.prompt(&id, &params) {
                Ok(()) => return,
                Err(why) => Err(why),
            },
            "session/new" | "session/load" | "session/resume" | "session/list"
            | "session/close" => {
                let (agent, method) = (self.clone(), method.to_owned());
                spawn_local(async move { agent.with_hub(id, &method, params).await });
                return;
            }
            other => Err(RequestError::new(
                METHOD_NOT_FOUND,
                format!("there is no method {other}"),
            )),
        };
        self.answer(&id, answer).await;
    }

    async fn answer(&self, id: &Value, answer: Result<Value, RequestError>) {
        let response = match answer {
            Ok(result) => rpc::answer(id, result),
            Err(refusal) => refusal.response(id),
        };
        self.wire.send(&response).await;
    }

    fn initialize(&self, params: &Value) -> Value {
        *self.capabilities.borrow_mut() = params["clientCapabilities"].clone();
        json!({
            "protocolVersion": VERSION,
            "agentInfo": {"name": "kirosu", "title": "Kirosu", "version": env!("CARGO_PKG_VERSION")},
            "authMethods": [],
            "agentCapabilities": {
                "loadSession": true,
                "promptCapabilities": {"image": false, "audio": false, "embeddedContext": true},
                "mcpCapabilities": {"http": false, "sse": false},
                "sessionCapabilities": {"list": {}, "resume": {}, "close": {}},
            },
        })
    }

    async fn with_hub(self: Rc<Self>, id: Value, method: &str, params: Value) {
        let opened = match method {
            "session/new" => self.new_session(&params).await,
            "session/load" => self.load(&params, true).await,
            "session/resume" => self.load(&params, false).await,
            "session/list" => {
                let answer = match self.hub.main().await {
                    Ok(hub) => history::list(&hub, &params).await,
                    Err(why) => Err(why.into()),
                };
                return self.answer(&id, answer).await;
            }
            _ => {
                let answer = self.close(&params).await;
                return self.answer(&id, answer).await;
            }
        };
        let (session, answer) = match opened {
            Ok(session) => {
                let mut answer =
                    json!({"configOptions": choices::options(&session.state.borrow())});
                if method == "session/new" {
                    answer["sessionId"] = session.id.as_str().into();
                }
                (Some(session), Ok(answer))
            }
            Err(why) => (None, Err(why)),
        };
        self.answer(&id, answer).await;
        // An editor knows the session only after the answer.
        if let Some(session) = session
            && let Ok(hub) = self.hub.main().await
        {
            self.turn(&session, hub, watch::channel(false).1)
                .announce()
                .await;
        }
    }

    async fn new_session(&self, params: &Value) -> Result<Rc<EditorSession>, RequestError> {
        let hub = self.hub.main().await?;
        let id = new_id().map_err(|why| Failure::local("there are no random numbers", why))?;
        self.open(&hub, &id, params).await
    }

    /// Opens a conversation for a project.
    async fn open(
        &self,
        hub: &HubClient,
        id: &str,
        params: &Value,
    ) -> Result<Rc<EditorSession>, RequestError> {
        let cwd = PathBuf::from(params["cwd"].as_str().unwrap_or_default());
        if !cwd.is_absolute() {
            let why = "`cwd` must be the absolute path of a folder";
            return Err(RequestError::new(INVALID_PARAMS, why));
        }
        let queue = self.options.queue.clone();
        let queues = choices::queues(hub, &queue).await?;
        let session = EditorSession::new(id.to_owned(), cwd, queue);
        {
            let mut state = session.state.borrow_mut();
            state.queues = queues;
            state.note = self.note(&session.cwd, params);
        }
        let mut sessions = self.sessions.borrow_mut();
        if sessions.len() >= SESSIONS && !sessions.contains_key(id) {
            let why = format!("{SESSIONS} sessions are open; close some with session/close");
            return Err(RequestError::new(INVALID_REQUEST, why));
        }
        sessions.insert(id.to_owned(), session.clone());
        Ok(session)
    }

    /// The note for the person before the first turn of a conversation.
    fn note(&self, cwd: &Path, params: &Value) -> Option<String> {
        let mut notes = Vec::new();
        let servers = params["mcpServers"].as_array().into_iter().flatten();
        let servers: Vec<&str> = servers.filter_map(|it| it["name"].as_str()).collect();
        if !servers.is_empty() {
            notes.push(format!(
                "the MCP servers of the editor ({}) are not used: the agents have those of their pools",
                servers.join(", ")
            ));
        }
        if let Err(elsewhere) = workdir::of(cwd, &self.options.queue, &self.options.pools) {
            notes.push(elsewhere);
        }
        (!notes.is_empty()).then(|| notes.join("\n"))
    }

    /// Opens an earlier conversation, and repeats it if `is_shown`.
    async fn load(
        &self,
        params: &Value,
        is_shown: bool,
    ) -> Result<Rc<EditorSession>, RequestError> {
        let id = params["sessionId"].as_str().unwrap_or_default();
        if !is_id(id) {
            return Err(RequestError::no_session(id));
        }
        let is_busy = |it: &Rc<EditorSession>| it.state.borrow().running.is_some();
        if self.sessions.borrow().get(id).is_some_and(is_busy) {
            return Err(RequestError::new(
                INVALID_REQUEST,
                "a turn of this session runs",
            ));
        }
        let hub = self.hub.main().await?;
        let tasks = history::tasks(&hub, id).await?;
        if tasks.is_empty() {
            return Err(RequestError::no_session(id));
        }
        let session = self.open(&hub, id, params).await?;
        for task in tasks.iter().filter(|_| is_shown) {
            for update in history::repeated(&hub, task).await? {
                self.wire.update(id, update).await;
            }
        }
        let turns = tasks.iter().map(PastTurn::of).collect();
        session.state.borrow_mut().load(turns);
        Ok(session)
    }

    async fn close(&self, params: &Value) -> Result<Value, RequestError> {
        let session = self.session(params)?;
        session.cancel();
        self.sessions.borrow_mut().remove(&session.id);
        self.idle(std::slice::from_ref(&session)).await;
        Ok(json!({}))
    }

    fn session(&self, params: &Value) -> Result<Rc<EditorSession>, RequestError> {
        let id = params["sessionId"].as_str().unwrap_or_default();
        let session = self.sessions.borrow().get(id).cloned();
        session.ok_or_else(|| RequestError::no_session(id))
    }

    fn set_option(&self, params: &Value) -> Result<Value, RequestError> {
        let session = self.session(params)?;
        let mut state = session.state.borrow_mut();
        choices::set(&mut state, params)?;
        Ok(json!({"configOptions": choices::options(&state)}))
    }

    /// Begins a turn.
    fn prompt(self: &Rc<Self>, id: &Value, params: &Value) -> Result<(), RequestError> {
        let session = self.session(params)?;
        let message = Message::read(&params["prompt"])?;
        let (cancel, wish) = watch::channel(false);
        {
            let mut state = session.state.borrow_mut();
            if state.running.is_some() {
                let why = "a turn of this session runs; cancel it, or wait for its end";
                return Err(RequestError::new(INVALID_REQUEST, why));
            }
            state.running = Some(RunningTurn {
                request: id.clone(),
                task: None,
                cancel,
            });
        }
        let (agent, id) = (self.clone(), id.clone());
        spawn_local(async move {
            let outcome = match agent.hub.main().await {
                Ok(hub) => agent.turn(&session, hub, wish).run(&message).await,
                Err(why) => Err(why.into()),
            };
            session.state.borrow_mut().running = None;
            let answer = outcome.map(|stop: PromptEnd| json!({"stopReason": stop.as_str()}));
            agent.answer(&id, answer).await;
            agent.turn_ended.notify_waiters();
        });
        Ok(())
    }

    fn turn(
        self: &Rc<Self>,
        session: &Rc<EditorSession>,
        hub: HubClient,
        cancel: watch::Receiver<bool>,
    ) -> PromptTurn {
        PromptTurn {
            agent: self.clone(),
            session: session.clone(),
            hub,
            cancel,
        }
    }

    /// Cancels all turns, and waits for their ends.
    pub async fn cancel_all(&self) {
        let sessions: Vec<Rc<EditorSession>> = self.sessions.borrow().values().cloned().collect();
        sessions.iter().for_each(|session| session.cancel());
        self.idle(&sessions).await;
    }

    /// The tasks of the turns that run.
    pub fn running(&self) -> Vec<i64> {
        let sessions = self.sessions.borrow();
        let task = |session: &Rc<EditorSession>| session.state.borrow().running.as_ref()?.task;
        sessions.values().filter_map(task).collect()
    }

    /// Waits until none of the sessions has a turn.
    async fn idle(&self, sessions: &[Rc<EditorSession>]) {
        loop {
            let ended = self.turn_ended.notified();
            if !sessions
                .iter()
                .any(|it| it.state.borrow().running.is_some())
            {
                return;
            }
            ended.await;
        }
    }
}
