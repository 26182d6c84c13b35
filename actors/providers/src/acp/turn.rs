//! One prompt and everything that the agent sends for it.

use std::borrow::Cow;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use kirosu_protocol::text::head;
use serde_json::Value;

use super::notices::Notices;
use super::permission_options::Offer;
use super::session_settings::Setting;
use super::tools::ToolCalls;
use super::usage::TurnUsageCounter;
use super::verdict::{self, TurnVerdict};
use crate::definition::{Definition, SystemWay};
use crate::event::{RunEvent, RunUsage};
use crate::limits::{ReferenceTime, WorkDone};
use crate::mcp::McpServer;
use crate::outcome::Conversation;
use crate::output::{ServiceWait, cut_warning, is_error_answer};
use crate::permission::PermissionRequest;
use crate::text::{CappedAnswer, pieces};

/// Bytes of one event of text, at most.
const PIECE: usize = 16 * 1024;
/// Bytes of the text after a denial that are kept, for the search for errors.
const SINCE: usize = 256;

/// Bytes of the last message that are kept, for the search for errors.
const MESSAGE: usize = 2 * 1024;

/// Prompts per run, at most, that explain a refusal to an agent that ended its turn.
const EXPLANATIONS: u32 = 3;

/// Finds the absolute path of a program.
pub(super) type Find = Arc<dyn Fn(&str) -> Option<String> + Send + Sync>;

/// The input of a turn.
#[derive(Clone)]
pub(super) struct TurnStart {
    pub(super) cwd: PathBuf,
    pub(super) prompt: String,
    pub(super) system: Option<String>,
    pub(super) model: Option<String>,
    /// Acceptable modes; the first that the agent offers is set. Empty means the agent's own choice.
    pub(super) mode: Vec<String>,
    pub(super) mcp: Vec<McpServer>,
    pub(super) resume: Option<Conversation>,
    /// Whether the turn fails where the agent cannot resume the conversation. Otherwise a new one begins.
    pub(super) must_resume: bool,
    /// Bytes of the answer that are kept, at most.
    pub(super) limit: usize,
    pub(super) find: Find,
}

impl Default for TurnStart {
    fn default() -> Self {
        Self {
            cwd: PathBuf::new(),
            prompt: String::new(),
            system: None,
            model: None,
            mode: Vec::new(),
            mcp: Vec::new(),
            resume: None,
            must_resume: false,
            limit: 0,
            find: Arc::new(|_| None),
        }
    }
}

impl fmt::Debug for TurnStart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Never the prompt.
        f.debug_struct("Start")
            .field("cwd", &self.cwd)
            .field("mode", &self.mode)
            .finish_non_exhaustive()
    }
}

/// The text of a turn, for its verdict.
pub(super) struct TurnText<'t> {
    /// The reason of a denial, where nothing but an error followed it.
    pub(super) denied: Option<&'t str>,
    /// The whole answer.
    pub(super) answer: &'t str,
    /// The beginning of the last message.
    pub(super) last_message: &'t str,
    /// The program's last notice, where the turn has no other output.
    pub(super) notice: Option<&'t str>,
    /// The work of the turn besides the answer.
    pub(super) work: WorkDone,
}

/// The state of a turn.
#[derive(Debug)]
pub(super) struct AgentTurn {
    pub(super) start: TurnStart,
    pub(super) cancelling: bool,
    /// Settings that the agent reported since they were last set.
    pub(super) seen: Vec<(Setting, String)>,
    pub(super) has_warned_servers: bool,
    session: Option<String>,
    answer: CappedAnswer,
    /// Id of the message that the last text belonged to, and whether a tool ran since.
    message: Option<String>,
    interrupted: bool,
    has_text: bool,
    /// The beginning of the current message.
    last_message: String,
    tools: ToolCalls,
    notices: Notices,
    tally: TurnUsageCounter,
    /// Refusals of a person that the agent does not know yet: title and reason. The number of prompts that explained some.
    unexplained: Vec<(String, String)>,
    explained: u32,
    /// The reason of the last denial.
    denied: Option<String>,
    /// The beginning of the text after it.
    text_since_denial: String,
}

impl AgentTurn {
    pub(super) fn new(start: TurnStart, definition: &Definition) -> Self {
        let before = start.resume.as_ref().map(|it| it.total.clone());
        Self {
            answer: CappedAnswer::new(start.limit),
            tools: ToolCalls::new(&definition.acp),
            notices: Notices::new(&definition.acp),
            tally: TurnUsageCounter::new(definition.acp.usage, before.unwrap_or_default()),
            start,
            cancelling: false,
            seen: Vec::new(),
            has_warned_servers: false,
            session: None,
            message: None,
            interrupted: false,
            has_text: false,
            last_message: String::new(),
            unexplained: Vec::new(),
            explained: 0,
            denied: None,
            text_since_denial: String::new(),
        }
    }

    /// The open session's id; empty before there is one.
    pub(super) fn session(&self) -> &str {
        self.session.as_deref().unwrap_or_default()
    }

    pub(super) fn session_opened(&mut self, session: &str) {
        if self.start.resume.is_none() {
            self.tally.restart();
        }
        self.session = Some(session.to_owned());
    }

    /// The warning about a mode that the agent chose by itself.
    pub(super) fn left_mode(&self, now: &str) -> Option<RunEvent> {
        let wanted = &self.start.mode;
        let is_new = self.seen.iter().all(|(_, seen)| seen != now);
        let strange = !wanted.is_empty() && wanted.iter().all(|it| it != now);
        (strange && is_new).then(|| RunEvent::Warning {
            message: format!(
                "the agent switched from mode {} to mode {now} by itself",
                wanted[0]
            ),
        })
    }

    /// The text of the prompt.
    pub(super) fn prompt(&self, way: SystemWay) -> String {
        match (&self.start.system, way) {
            (Some(system), SystemWay::Before) => format!("{system}\n\n{}", self.start.prompt),
            _ => self.start.prompt.clone(),
        }
    }

    pub(super) fn conversation(&self) -> Option<Conversation> {
        Some(Conversation {
            session: self.session.clone()?,
            total: self.tally.total(),
        })
    }

    pub(super) fn usage(&self) -> Option<RunUsage> {
        self.tally.usage()
    }

    /// The answer so far, and whether it was cut.
    pub(super) fn into_answer(self) -> (String, bool) {
        let cut = self.answer.is_cut();
        (self.answer.finish(), cut)
    }

    /// Whether the turn has an answer or a tool call.
    pub(super) fn has_output(&self) -> bool {
        self.has_text || self.tools.any()
    }

    /// The notice of the program in an update.
    pub(super) fn notice(&mut self, update: &Value) -> Option<String> {
        self.notices.take(update)
    }

    /// The wait of an agent whose answer so far is a limit's notice or an error, after which nothing more can follow.
    pub(super) fn stuck(&self, definition: &Definition) -> Option<ServiceWait> {
        let answer = self.answer.text();
        ServiceWait::of_answer(
            &definition.output,
            answer,
            self.work(),
            &ReferenceTime::now(),
        )
    }

    fn work(&self) -> WorkDone {
        let usage = self.tally.usage();
        WorkDone {
            used_tool: self.tools.any(),
            tokens: usage.as_ref().map(RunUsage::all_output),
        }
    }

    /// Takes a `session/update`. Unknown kinds are ignored.
    pub(super) fn update(&mut self, update: &Value) -> Vec<RunEvent> {
        let text = || text_of(&update["content"]);
        match update["sessionUpdate"].as_str() {
            Some("agent_message_chunk") => match text() {
                Some(text) => self.text(&text, update["messageId"].as_str()),
                None => Vec::new(),
            },
            Some("agent_thought_chunk") => pieces(&text().unwrap_or_default(), PIECE)
                .map(|text| RunEvent::Thought { text: text.into() })
                .collect(),
            Some("tool_call" | "tool_call_update") => {
                self.interrupted = true;
                self.tools.update(update)
            }
            Some("usage_update") if self.tally.update(update) => {
                let usage = self.tally.usage();
                usage
                    .map(|usage| RunEvent::Usage { usage })
                    .into_iter()
                    .collect()
            }
            _ => Vec::new(),
        }
    }

    fn text(&mut self, text: &str, message: Option<&str>) -> Vec<RunEvent> {
        if text.is_empty() {
            return Vec::new();
        }
        let is_other =
            message.is_some() && self.message.is_some() && self.message.as_deref() != message;
        let is_new = self.has_text && (is_other || self.interrupted);
        let gap = if is_new { "\n\n" } else { "" };
        if is_new {
            self.last_message.clear();
        }
        if self.last_message.len() < MESSAGE {
            self.last_message.push_str(head(text, MESSAGE));
        }
        self.message = message.map(str::to_owned);
        self.interrupted = false;
        self.has_text = true;
        if self.text_since_denial.trim().len() < SINCE {
            self.text_since_denial.push_str(head(text, SINCE));
        }
        let was_cut = self.answer.is_cut();
        let whole = format!("{gap}{text}");
        let kept = self.answer.push(whole.as_bytes());
        let mut events: Vec<RunEvent> = pieces(kept, PIECE)
            .map(|text| RunEvent::Text { text: text.into() })
            .collect();
        if self.answer.is_cut() && !was_cut {
            events.push(cut_warning());
        }
        events
    }

    /// Takes a permission request. Returns it with the events that report it.
    pub(super) fn request(
        &mut self,
        tool_call: &Value,
        key: &str,
        offer: Offer,
    ) -> (PermissionRequest, Vec<RunEvent>) {
        let request = PermissionRequest {
            is_unallowable: offer == Offer::Nothing,
            options: match offer {
                Offer::Choose(options) => options,
                Offer::Yes | Offer::Nothing => Vec::new(),
            },
            ..self.tools.request(tool_call, key)
        };
        let mut reported: Vec<RunEvent> = self.tools.begin(&request.call).into_iter().collect();
        reported.push(RunEvent::Permission {
            id: request.call.clone(),
            title: request.title.clone(),
            detail: request.input.clone(),
        });
        (request, reported)
    }

    /// Notes that a call was denied. Returns the failure of its tool, once.
    pub(super) fn denied(&mut self, call: &str, reason: &str) -> Option<RunEvent> {
        let reason = Some(reason).filter(|it| !it.is_empty());
        self.denied = Some(reason.unwrap_or("no reason given").to_owned());
        self.text_since_denial.clear();
        self.interrupted = true;
        self.tools.denied(call, reason)
    }

    /// Notes a person's refusal and its reason. The protocol has no place for the reason in the response to the request.
    pub(super) fn refused(&mut self, call: &str, reason: &str) {
        let title = self.tools.title(call);
        self.unexplained.push((title, reason.to_owned()));
    }

    /// The next prompt of a turn that ended because of a refusal: it states the reason, so that the agent can continue.
    /// `None` where the agent knows the reason, has ended too often, or the turn is being cancelled.
    pub(super) fn explanation(&mut self) -> Option<String> {
        if self.unexplained.is_empty() || self.cancelling || self.explained >= EXPLANATIONS {
            return None;
        }
        self.explained += 1;
        self.text_since_denial.clear();
        let reported = self.unexplained.drain(..);
        let mut text: String = reported
            .map(|(title, reason)| format!("The person refused \"{title}\": {reason}\n"))
            .collect();
        text.push_str("Go on with the task in a way that respects this, as far as you can.");
        Some(text)
    }

    /// The verdict of the turn, from the response to the prompt.
    pub(super) fn ended(
        &mut self,
        program: &str,
        definition: &Definition,
        result: &Value,
    ) -> TurnVerdict {
        self.tally.answer(result);
        let stop = result["stopReason"].as_str().unwrap_or("none");
        let since = self.text_since_denial.trim();
        let is_silent = since.is_empty() || is_error_answer(&definition.output, since);
        let denied = self.denied.as_deref().filter(|_| is_silent);
        let reported = TurnText {
            work: self.work(),
            notice: Some(self.notices.last()).filter(|it| !it.is_empty() && !self.has_output()),
            denied,
            answer: self.answer.text(),
            last_message: &self.last_message,
        };
        verdict::stopped(program, definition, stop, &reported)
    }
}

/// The text of a content block, or of a list of them. `None` for other kinds of content.
pub(super) fn text_of(content: &Value) -> Option<Cow<'_, str>> {
    let one = |block: &'_ Value| block["text"].as_str().map(str::to_owned);
    match content {
        Value::Array(blocks) => {
            let texts: Vec<String> = blocks.iter().filter_map(one).collect();
            (!texts.is_empty()).then(|| texts.concat().into())
        }
        block => block["text"].as_str().map(Cow::Borrowed),
    }
}
