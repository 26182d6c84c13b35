//! The protocol of one agent process: pure. Messages and decisions go in, [`AcpAction`]s come out.
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
mod permissions;
mod settings;
mod updates;

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};

use super::permission_options;
use super::rpc::{self, RpcError, RpcMessage};
use super::rpc_failure;
use super::session_settings::{Setting, SettingControl};
use super::turn::{AgentTurn, TurnStart};
use super::verdict::TurnVerdict;
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
pub(super) enum AcpAction {
    /// One line to the agent.
    Send(Value),
    Emit(RunEvent),
    /// The agent waits before it asks its service again, or is stuck.
    Observe(Outlook),
    /// Somebody has to decide; the answer comes back under this key.
    RequestPermission(String, PermissionRequest),
    /// Open questions need no decision any more.
    WithdrawRequests,
    /// The prompt is answered: when the agent is quiet, [`AcpMachine::settled`] is to be called.
    Settle,
    /// The turn is over.
    End(TurnVerdict),
}

/// What is asked of the agent now.
#[derive(Debug, Clone, PartialEq)]
enum PendingCall {
    Initialize,
    /// `session/resume` or `session/load`.
    Resume,
    New,
    /// A setting; the ways that are left, and the value.
    Set(Setting, Vec<SettingControl>, String),
    Prompt,
}

/// How far a turn is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TurnStage {
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
struct Capabilities {
    resume: bool,
    load: bool,
    close: bool,
    http: bool,
    /// How one logs in, for people.
    logins: Vec<String>,
}

/// See the module.
#[derive(Debug)]
pub(super) struct AcpMachine {
    program: String,
    definition: Arc<Definition>,
    next_id: u64,
    agent: Option<Capabilities>,
    /// The session of the turn before: closed when another begins.
    former: Option<String>,
    waiting: Option<(u64, PendingCall)>,
    /// The answer to the prompt, while the turn settles.
    answer: Option<Value>,
    wishes: Vec<(Setting, Vec<String>)>,
    opened: Value,
    /// Permission requests without an answer: key, request id, tool call.
    asks: BTreeMap<String, (Value, Value, String)>,
    turn: AgentTurn,
}

type AcpActions = Vec<AcpAction>;

impl AcpMachine {
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
            turn: AgentTurn::new(TurnStart::default(), definition),
        }
    }

    /// Begins a turn.
    pub(super) fn begin(&mut self, start: TurnStart) -> AcpActions {
        self.turn = AgentTurn::new(start, &self.definition);
        self.asks.clear();
        self.answer = None;
        let mut actions = AcpActions::new();
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
        self.call(PendingCall::Initialize, "initialize", params, &mut actions);
        actions
    }

    /// Whether the prompt is with the agent.
    pub(super) fn is_prompting(&self) -> bool {
        matches!(self.waiting, Some((_, PendingCall::Prompt)))
    }

    pub(super) fn stage(&self) -> TurnStage {
        match &self.waiting {
            _ if self.answer.is_some() => TurnStage::Settling,
            Some((_, PendingCall::Prompt)) => TurnStage::Prompting,
            _ if self.agent.is_none() => TurnStage::Initializing,
            _ => TurnStage::Opening,
        }
    }

    /// Whether the turn has come to an answer or a use of a tool.
    pub(super) fn has_output(&self) -> bool {
        self.turn.has_output()
    }

    /// The agent has been quiet since it answered the prompt: the turn is over.
    pub(super) fn settled(&mut self) -> AcpActions {
        let mut actions = AcpActions::new();
        if let Some(answer) = self.answer.take() {
            let verdict = self.turn.ended(&self.program, &self.definition, &answer);
            if let TurnVerdict::Bad(FailureKind::RefusedByPolicy, _) = verdict
                && let Some(prompt) = self.turn.explanation()
            {
                self.prompt(&prompt, &mut actions);
                return actions;
            }
            let usage = self.turn.usage();
            actions.extend(usage.map(|usage| AcpAction::Emit(RunEvent::Usage { usage })));
            actions.push(AcpAction::End(verdict));
        }
        actions
    }

    /// Whether the agent is being asked for an old conversation.
    pub(super) fn is_resuming(&self) -> bool {
        matches!(self.waiting, Some((_, PendingCall::Resume)))
    }

    /// What can be gone on with after this turn, however it ends.
    pub(super) fn conversation(&self) -> Option<Conversation> {
        self.turn.conversation()
    }

    /// The turn, when it is over.
    pub(super) fn take_turn(&mut self) -> AgentTurn {
        self.waiting = None;
        std::mem::replace(
            &mut self.turn,
            AgentTurn::new(TurnStart::default(), &self.definition),
        )
    }

    /// Takes a message.
    pub(super) fn on(&mut self, message: RpcMessage) -> AcpActions {
        let mut actions = AcpActions::new();
        match message {
            RpcMessage::Answer { id, outcome } => {
                if let Some((_, call)) = self.waiting.take_if(|(it, _)| *it == id) {
                    self.answered(call, outcome, &mut actions);
                } else if id > self.next_id {
                    let message = format!("the agent answered request {id}, which was never made");
                    actions.push(AcpAction::Emit(RunEvent::Warning { message }));
                }
                // Else it answers a request of a turn before.
            }
            RpcMessage::Notification { method, params } if self.is_update(&method) => {
                self.update(&params, &mut actions);
            }
            RpcMessage::Notification { .. } => {}
            RpcMessage::Request { id, method, params }
                if method == "session/request_permission" =>
            {
                self.asked(id, &params, &mut actions);
            }
            RpcMessage::Request { id, method, .. } => {
                actions.push(AcpAction::Send(rpc::unknown_method(&id, &method)));
            }
        }
        actions
    }

    /// The turn shall end. Without a prompt under way there is nothing to wait for.
    pub(super) fn cancel(&mut self) -> AcpActions {
        let mut actions = AcpActions::new();
        if self.is_prompting() {
            let params = json!({"sessionId": self.turn.session()});
            actions.push(AcpAction::Send(rpc::notification("session/cancel", params)));
        }
        for (_, (id, ..)) in std::mem::take(&mut self.asks) {
            actions.push(AcpAction::Send(rpc::answer(
                &id,
                permission_options::cancelled(),
            )));
        }
        self.turn.cancelling = true;
        actions.push(AcpAction::WithdrawRequests);
        actions
    }

    fn call(&mut self, call: PendingCall, method: &str, params: Value, actions: &mut AcpActions) {
        self.next_id += 1;
        self.waiting = Some((self.next_id, call));
        actions.push(AcpAction::Send(rpc::request(self.next_id, method, params)));
    }

    fn prompt(&mut self, text: &str, actions: &mut AcpActions) {
        let prompt = json!({
            "sessionId": self.turn.session(),
            "prompt": [{"type": "text", "text": text}],
        });
        self.call(PendingCall::Prompt, "session/prompt", prompt, actions);
    }

    fn end(&mut self, class: FailureKind, message: String, actions: &mut AcpActions) {
        actions.push(AcpAction::End(TurnVerdict::Bad(class, message)));
    }

    fn answered(
        &mut self,
        call: PendingCall,
        outcome: Result<Value, RpcError>,
        actions: &mut AcpActions,
    ) {
        match (call, outcome) {
            (PendingCall::Initialize, Ok(result)) => self.initialized(&result, actions),
            (PendingCall::Resume, Ok(result)) => {
                let session = self.turn.start.resume.as_ref().map(|it| it.session.clone());
                self.began(session.unwrap_or_default(), result, actions);
            }
            (PendingCall::Resume, Err(error)) if self.is_lost(&error) => {
                actions.push(AcpAction::Emit(lost(&error.message)));
                self.turn.start.resume = None;
                self.open(actions);
            }
            (PendingCall::New, Ok(result)) => match result["sessionId"].as_str() {
                Some(session) => self.began(session.to_owned(), result, actions),
                None => {
                    let message = format!("'{}' opened a session without an id", self.program);
                    self.end(FailureKind::ProviderError, message, actions);
                }
            },
            (PendingCall::Set(setting, _, value), Ok(result)) => {
                self.has_set(setting, &value, &result, actions);
            }
            (PendingCall::Set(setting, ways, value), Err(error)) => {
                self.not_set(setting, ways, &value, &error, actions);
            }
            (PendingCall::Prompt, Ok(result)) => {
                self.answer = Some(result);
                actions.push(AcpAction::WithdrawRequests);
                actions.push(AcpAction::Settle);
            }
            (call, Err(error)) => {
                let verdict = self.refused(&call, &error);
                actions.push(AcpAction::WithdrawRequests);
                actions.push(AcpAction::End(verdict));
            }
        }
    }

    /// Whether an agent that does not resume a conversation has lost it, and is not merely kept from working.
    fn is_lost(&self, error: &RpcError) -> bool {
        let class = rpc_failure::class(&self.definition, error);
        matches!(class, FailureKind::ProviderError | FailureKind::BadInput)
    }

    fn refused(&self, call: &PendingCall, error: &RpcError) -> TurnVerdict {
        let what = match call {
            PendingCall::Initialize => "begin",
            PendingCall::Resume | PendingCall::New => "open a session",
            PendingCall::Set(..) => "be set up",
            PendingCall::Prompt => "answer",
        };
        let logins = self.agent.as_ref().map_or(&[][..], |it| &it.logins);
        rpc_failure::refused(&self.program, &self.definition, what, error, logins)
    }
}
