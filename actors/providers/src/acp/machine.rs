//! The protocol of one agent process: pure. Messages and decisions go in, [`Action`]s come out.
//!
//! ```text
//! initialize ──▶ session/resume or load ──▶ mode ──▶ model ──▶ session/prompt ──▶ settle ──▶ end
//!  (once)   │          │ refused: told, and anew                    │ asks: decided or cancelled
//!           └─────▶ session/new ──────────▶                         │ cancel: every ask is answered cancelled
//! ```
//!
//! After the answer to the prompt the turn stays open for a short while, in which late updates still belong to it.
//!
//! One turn at a time. What belongs to another session than the turn's is answered or passed over: an agent may be late.

mod opening;
mod questions;
mod settings;
mod updates;

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};

use super::offers::{Choice, Setting};
use super::options;
use super::refusal;
use super::rpc::{self, Message, RpcError};
use super::turn::{Start, Turn};
use super::verdict::Verdict;
use crate::definition::Definition;
use crate::event::RunEvent;
use crate::outcome::{Conversation, FailureKind};
use crate::output::Outlook;
use crate::permission::PermissionRequest;

pub(super) use opening::lost;

/// Questions of an agent that may wait side by side; those beyond are answered `cancelled`.
const ASKS: usize = 64;

/// What is to be done, in order.
#[derive(Debug, PartialEq)]
pub(super) enum Action {
    /// One line to the agent.
    Send(Value),
    Tell(RunEvent),
    /// The agent waits before it asks its service again, or is stuck.
    Look(Outlook),
    /// Somebody has to decide; the answer comes back under this key.
    Ask(String, PermissionRequest),
    /// Open questions need no decision any more.
    Withdraw,
    /// The prompt is answered: when the agent is quiet, [`Machine::settled`] is to be called.
    Settle,
    /// The turn is over.
    End(Verdict),
}

/// What is asked of the agent now.
#[derive(Debug, Clone, PartialEq)]
enum Call {
    Initialize,
    /// `session/resume` or `session/load`.
    Resume,
    New,
    /// A setting; the ways that are left, and the value.
    Set(Setting, Vec<Choice>, String),
    Prompt,
}

/// How far a turn is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// The agent has not answered `initialize`.
    Initializing,
    /// A session is being opened and set up.
    Opening,
    /// The prompt is with the agent.
    Prompting,
    /// The prompt is answered.
    Settling,
}

/// What the agent can do, from its answer to `initialize`.
#[derive(Debug, Clone, Default)]
struct Agent {
    resume: bool,
    load: bool,
    close: bool,
    http: bool,
    /// How one logs in, for people.
    logins: Vec<String>,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Machine {
    program: String,
    definition: Arc<Definition>,
    next_id: u64,
    agent: Option<Agent>,
    /// The session of the turn before: closed when another begins.
    former: Option<String>,
    waiting: Option<(u64, Call)>,
    /// The answer to the prompt, while the turn settles.
    answer: Option<Value>,
    wishes: Vec<(Setting, Vec<String>)>,
    opened: Value,
    /// Permission requests without an answer: key, request id, tool call.
    asks: BTreeMap<String, (Value, Value, String)>,
    turn: Turn,
}

type Actions = Vec<Action>;

impl Machine {
    pub(super) fn new(program: &str, definition: &Arc<Definition>) -> Self {
        Self {
            program: program.to_owned(),
            definition: definition.clone(),
            next_id: 0,
            agent: None,
            former: None,
            waiting: None,
            answer: None,
            wishes: Vec::new(),
            opened: Value::Null,
            asks: BTreeMap::new(),
            turn: Turn::new(Start::default(), definition),
        }
    }

    /// Begins a turn.
    pub(super) fn begin(&mut self, start: Start) -> Actions {
        self.turn = Turn::new(start, &self.definition);
        self.asks.clear();
        self.answer = None;
        let mut actions = Actions::new();
        if self.agent.is_some() {
            self.open(&mut actions);
            return actions;
        }
        let mut params = json!({
            "protocolVersion": 1,
            "clientCapabilities": {
                "fs": {"readTextFile": false, "writeTextFile": false},
                "terminal": false,
                // Notices of the program then come as updates of their own, and not in the answer.
                "session": {"notices": {}},
            },
            "clientInfo": {"name": "kirosu", "title": "Kirosu", "version": env!("CARGO_PKG_VERSION")},
        });
        let meta = &self.definition.acp.client_meta;
        if !meta.is_empty() {
            params["clientCapabilities"]["_meta"] = json!(meta);
        }
        self.call(Call::Initialize, "initialize", params, &mut actions);
        actions
    }

    /// Whether the prompt is with the agent.
    pub(super) fn is_prompting(&self) -> bool {
        matches!(self.waiting, Some((_, Call::Prompt)))
    }

    pub(super) fn stage(&self) -> Stage {
        match &self.waiting {
            _ if self.answer.is_some() => Stage::Settling,
            Some((_, Call::Prompt)) => Stage::Prompting,
            _ if self.agent.is_none() => Stage::Initializing,
            _ => Stage::Opening,
        }
    }

    /// Whether the turn has come to an answer or a use of a tool.
    pub(super) fn has_output(&self) -> bool {
        self.turn.has_output()
    }

    /// The agent has been quiet since it answered the prompt: the turn is over.
    pub(super) fn settled(&mut self) -> Actions {
        let mut actions = Actions::new();
        if let Some(answer) = self.answer.take() {
            let verdict = self.turn.ended(&self.program, &self.definition, &answer);
            if let Verdict::Bad(FailureKind::RefusedByPolicy, _) = verdict
                && let Some(prompt) = self.turn.explanation()
            {
                self.prompt(&prompt, &mut actions);
                return actions;
            }
            let usage = self.turn.usage();
            actions.extend(usage.map(|usage| Action::Tell(RunEvent::Usage { usage })));
            actions.push(Action::End(verdict));
        }
        actions
    }

    /// Whether the agent is being asked for an old conversation.
    pub(super) fn is_resuming(&self) -> bool {
        matches!(self.waiting, Some((_, Call::Resume)))
    }

    /// What can be gone on with after this turn, however it ends.
    pub(super) fn conversation(&self) -> Option<Conversation> {
        self.turn.conversation()
    }

    /// The turn, when it is over.
    pub(super) fn take_turn(&mut self) -> Turn {
        self.waiting = None;
        std::mem::replace(
            &mut self.turn,
            Turn::new(Start::default(), &self.definition),
        )
    }

    /// Takes a message.
    pub(super) fn on(&mut self, message: Message) -> Actions {
        let mut actions = Actions::new();
        match message {
            Message::Answer { id, outcome } => {
                if let Some((_, call)) = self.waiting.take_if(|(it, _)| *it == id) {
                    self.answered(call, outcome, &mut actions);
                } else if id > self.next_id {
                    let message = format!("the agent answered request {id}, which was never made");
                    actions.push(Action::Tell(RunEvent::Warning { message }));
                }
                // Else it answers a request of a turn before.
            }
            Message::Notification { method, params } if self.is_update(&method) => {
                self.update(&params, &mut actions);
            }
            Message::Notification { .. } => {}
            Message::Request { id, method, params } if method == "session/request_permission" => {
                self.asked(id, &params, &mut actions);
            }
            Message::Request { id, method, .. } => {
                actions.push(Action::Send(rpc::unknown_method(&id, &method)));
            }
        }
        actions
    }

    /// The turn shall end. Without a prompt under way there is nothing to wait for.
    pub(super) fn cancel(&mut self) -> Actions {
        let mut actions = Actions::new();
        if self.is_prompting() {
            let params = json!({"sessionId": self.turn.session()});
            actions.push(Action::Send(rpc::notification("session/cancel", params)));
        }
        for (_, (id, ..)) in std::mem::take(&mut self.asks) {
            actions.push(Action::Send(rpc::answer(&id, options::cancelled())));
        }
        self.turn.cancelling = true;
        actions.push(Action::Withdraw);
        actions
    }

    fn call(&mut self, call: Call, method: &str, params: Value, actions: &mut Actions) {
        self.next_id += 1;
        self.waiting = Some((self.next_id, call));
        actions.push(Action::Send(rpc::request(self.next_id, method, params)));
    }

    fn prompt(&mut self, text: &str, actions: &mut Actions) {
        let prompt = json!({
            "sessionId": self.turn.session(),
            "prompt": [{"type": "text", "text": text}],
        });
        self.call(Call::Prompt, "session/prompt", prompt, actions);
    }

    fn end(&mut self, class: FailureKind, message: String, actions: &mut Actions) {
        actions.push(Action::End(Verdict::Bad(class, message)));
    }

    fn answered(&mut self, call: Call, outcome: Result<Value, RpcError>, actions: &mut Actions) {
        match (call, outcome) {
            (Call::Initialize, Ok(result)) => self.initialized(&result, actions),
            (Call::Resume, Ok(result)) => {
                let session = self.turn.start.resume.as_ref().map(|it| it.session.clone());
                self.began(session.unwrap_or_default(), result, actions);
            }
            (Call::Resume, Err(error)) if self.is_lost(&error) => {
                actions.push(Action::Tell(lost(&error.message)));
                self.turn.start.resume = None;
                self.open(actions);
            }
            (Call::New, Ok(result)) => match result["sessionId"].as_str() {
                Some(session) => self.began(session.to_owned(), result, actions),
                None => {
                    let message = format!("'{}' opened a session without an id", self.program);
                    self.end(FailureKind::ProviderError, message, actions);
                }
            },
            (Call::Set(setting, _, value), Ok(result)) => {
                self.has_set(setting, &value, &result, actions);
            }
            (Call::Set(setting, ways, value), Err(error)) => {
                self.not_set(setting, ways, &value, &error, actions);
            }
            (Call::Prompt, Ok(result)) => {
                self.answer = Some(result);
                actions.push(Action::Withdraw);
                actions.push(Action::Settle);
            }
            (call, Err(error)) => {
                let verdict = self.refused(&call, &error);
                actions.push(Action::Withdraw);
                actions.push(Action::End(verdict));
            }
        }
    }

    /// Whether an agent that does not resume a conversation has lost it, and is not merely kept from working.
    fn is_lost(&self, error: &RpcError) -> bool {
        let class = refusal::class(&self.definition, error);
        matches!(class, FailureKind::ProviderError | FailureKind::BadInput)
    }

    fn refused(&self, call: &Call, error: &RpcError) -> Verdict {
        let what = match call {
            Call::Initialize => "begin",
            Call::Resume | Call::New => "open a session",
            Call::Set(..) => "be set up",
            Call::Prompt => "answer",
        };
        let logins = self.agent.as_ref().map_or(&[][..], |it| &it.logins);
        refusal::refused(&self.program, &self.definition, what, error, logins)
    }
}
