//! The protocol state machine of one agent process, without I/O: messages and decisions go in, [`AcpAction`]s come out.
//!
//! ```text
//! initialize ──▶ session/resume or load ──▶ mode ──▶ model ──▶ session/prompt ──▶ settle ──▶ end
//!  (once)   │          │ refused: warning, new session             │ permission request: decided or cancelled
//!           └─────▶ session/new ──────────▶                        │ cancel: every open request gets `cancelled`
//! ```
//!
//! After the response to the prompt the turn stays open for a short time, in which late updates still belong to it.
//!
//! One turn runs at a time. Requests for other sessions are cancelled and their updates ignored: an agent can be late.

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

pub(super) use opening::{lost, not_continued};

/// Permission requests of an agent that can be open at the same time. Further ones get `cancelled`.
const OPEN_REQUESTS: usize = 64;

/// An action for the caller. Actions are carried out in order.
#[derive(Debug, PartialEq)]
pub(super) enum AcpAction {
    /// Send one line to the agent.
    Send(Value),
    Emit(RunEvent),
    /// Note that the agent waits before it calls its service again, or is stuck.
    Observe(Outlook),
    /// Get a decision and pass it to [`AcpMachine::decided`] with this key.
    RequestPermission(String, PermissionRequest),
    /// Drop the open permission requests: they need no decision any more.
    WithdrawRequests,
    /// The prompt has its response: call [`AcpMachine::settled`] when the agent is silent.
    Settle,
    /// The turn is over.
    End(TurnVerdict),
}

/// The request that waits for its response.
#[derive(Debug, Clone, PartialEq)]
enum PendingMethod {
    Initialize,
    /// `session/resume` or `session/load`.
    Resume,
    New,
    /// A setting, the controls that were not tried yet, and the value.
    Set(Setting, Vec<SettingControl>, String),
    Prompt,
}

/// The progress of a turn.
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

/// Capabilities of the agent, from its response to `initialize`.
#[derive(Debug, Clone, Default)]
struct Capabilities {
    resume: bool,
    load: bool,
    close: bool,
    http: bool,
    /// Names of the ways to log in, for people.
    logins: Vec<String>,
}

/// The state machine. See the module.
#[derive(Debug)]
pub(super) struct AcpMachine {
    program: String,
    definition: Arc<Definition>,
    next_id: u64,
    agent: Option<Capabilities>,
    /// The session of the previous turn, closed when another begins.
    former: Option<String>,
    waiting: Option<(u64, PendingMethod)>,
    /// The response to the prompt, while the turn settles.
    answer: Option<Value>,
    wanted_settings: Vec<(Setting, Vec<String>)>,
    opened: Value,
    /// Permission requests without a response: key, request id, options, tool call.
    requests: BTreeMap<String, (Value, Value, String)>,
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
            wanted_settings: Vec::new(),
            opened: Value::Null,
            requests: BTreeMap::new(),
            turn: AgentTurn::new(TurnStart::default(), definition),
        }
    }

    /// Begins a turn.
    pub(super) fn begin(&mut self, start: TurnStart) -> AcpActions {
        self.turn = AgentTurn::new(start, &self.definition);
        self.requests.clear();
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
                // The program then sends notices as updates of their own and not in the answer.
                "session": {"notices": {}},
            },
            "clientInfo": {"name": "kirosu", "title": "Kirosu", "version": env!("CARGO_PKG_VERSION")},
        });
        let meta = &self.definition.acp.client_meta;
        if !meta.is_empty() {
            params["clientCapabilities"]["_meta"] = json!(meta);
        }
        self.call(
            PendingMethod::Initialize,
            "initialize",
            params,
            &mut actions,
        );
        actions
    }

    /// Whether the prompt waits for its response.
    pub(super) fn is_prompting(&self) -> bool {
        matches!(self.waiting, Some((_, PendingMethod::Prompt)))
    }

    pub(super) fn stage(&self) -> TurnStage {
        match &self.waiting {
            _ if self.answer.is_some() => TurnStage::Settling,
            Some((_, PendingMethod::Prompt)) => TurnStage::Prompting,
            _ if self.agent.is_none() => TurnStage::Initializing,
            _ => TurnStage::Opening,
        }
    }

    /// Whether the turn has an answer or a tool call.
    pub(super) fn has_output(&self) -> bool {
        self.turn.has_output()
    }

    /// Ends the turn: the agent has been silent since its response to the prompt. A refusal whose reason the agent does not
    /// know yet is followed by another prompt.
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

    /// Whether the agent is opening an earlier conversation.
    pub(super) fn is_resuming(&self) -> bool {
        matches!(self.waiting, Some((_, PendingMethod::Resume)))
    }

    /// The conversation that a later turn can continue, whatever the end of this one.
    pub(super) fn conversation(&self) -> Option<Conversation> {
        self.turn.conversation()
    }

    /// Takes the turn out of the machine when it is over.
    pub(super) fn take_turn(&mut self) -> AgentTurn {
        self.waiting = None;
        std::mem::replace(
            &mut self.turn,
            AgentTurn::new(TurnStart::default(), &self.definition),
        )
    }

    /// Handles a message from the agent.
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
                // Else it responds to a request of an earlier turn.
            }
            RpcMessage::Notification { method, params } if self.is_update(&method) => {
                self.update(&params, &mut actions);
            }
            RpcMessage::Notification { .. } => {}
            RpcMessage::Request { id, method, params }
                if method == "session/request_permission" =>
            {
                self.permission_requested(id, &params, &mut actions);
            }
            RpcMessage::Request { id, method, .. } => {
                actions.push(AcpAction::Send(rpc::unknown_method(&id, &method)));
            }
        }
        actions
    }

    /// Cancels the turn. Without a prompt under way there is nothing to wait for.
    pub(super) fn cancel(&mut self) -> AcpActions {
        let mut actions = AcpActions::new();
        if self.is_prompting() {
            let params = json!({"sessionId": self.turn.session()});
            actions.push(AcpAction::Send(rpc::notification("session/cancel", params)));
        }
        for (_, (id, ..)) in std::mem::take(&mut self.requests) {
            actions.push(AcpAction::Send(rpc::answer(
                &id,
                permission_options::cancelled(),
            )));
        }
        self.turn.cancelling = true;
        actions.push(AcpAction::WithdrawRequests);
        actions
    }

    fn call(&mut self, call: PendingMethod, method: &str, params: Value, actions: &mut AcpActions) {
        self.next_id += 1;
        self.waiting = Some((self.next_id, call));
        actions.push(AcpAction::Send(rpc::request(self.next_id, method, params)));
    }

    fn prompt(&mut self, text: &str, actions: &mut AcpActions) {
        let prompt = json!({
            "sessionId": self.turn.session(),
            "prompt": [{"type": "text", "text": text}],
        });
        self.call(PendingMethod::Prompt, "session/prompt", prompt, actions);
    }

    fn end(&mut self, class: FailureKind, message: String, actions: &mut AcpActions) {
        actions.push(AcpAction::End(TurnVerdict::Bad(class, message)));
    }

    fn answered(
        &mut self,
        call: PendingMethod,
        outcome: Result<Value, RpcError>,
        actions: &mut AcpActions,
    ) {
        match (call, outcome) {
            (PendingMethod::Initialize, Ok(result)) => self.initialized(&result, actions),
            (PendingMethod::Resume, Ok(result)) => {
                let session = self.turn.start.resume.as_ref().map(|it| it.session.clone());
                self.session_opened(session.unwrap_or_default(), result, actions);
            }
            (PendingMethod::Resume, Err(error))
                if self.is_lost(&error) && self.turn.start.must_resume =>
            {
                self.cannot_resume(&error.message, actions);
            }
            (PendingMethod::Resume, Err(error)) if self.is_lost(&error) => {
                actions.push(AcpAction::Emit(lost(&error.message)));
                self.turn.start.resume = None;
                self.open(actions);
            }
            (PendingMethod::New, Ok(result)) => match result["sessionId"].as_str() {
                Some(session) => self.session_opened(session.to_owned(), result, actions),
                None => {
                    let message = format!("'{}' opened a session without an id", self.program);
                    self.end(FailureKind::ProviderError, message, actions);
                }
            },
            (PendingMethod::Set(setting, _, value), Ok(result)) => {
                self.has_set(setting, &value, &result, actions);
            }
            (PendingMethod::Set(setting, ways, value), Err(error)) => {
                self.not_set(setting, ways, &value, &error, actions);
            }
            (PendingMethod::Prompt, Ok(result)) => {
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

    /// Whether the agent no longer has the conversation, and was not merely prevented from working.
    fn is_lost(&self, error: &RpcError) -> bool {
        let class = rpc_failure::class(&self.definition, error);
        matches!(class, FailureKind::ProviderError | FailureKind::BadInput)
    }

    fn refused(&self, call: &PendingMethod, error: &RpcError) -> TurnVerdict {
        let what = match call {
            PendingMethod::Initialize => "begin",
            PendingMethod::Resume | PendingMethod::New => "open a session",
            PendingMethod::Set(..) => "be set up",
            PendingMethod::Prompt => "answer",
        };
        let logins = self.agent.as_ref().map_or(&[][..], |it| &it.logins);
        rpc_failure::refused(&self.program, &self.definition, what, error, logins)
    }
}
