//! What has come of an answer up to now: pure, bounded, the same for all APIs.

use serde_json::Value;

use super::refusal::ServiceRefusal;
use crate::event::{RunEvent, RunUsage, ToolStatus};
use crate::text::{CappedAnswer, first_bytes, pieces};

/// Bytes of one event of text, at most.
const PIECE: usize = 16 * 1024;
/// Bytes of a refusal's own words that are kept.
const REFUSAL: usize = 2 * 1024;

/// The model's last word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum StopReason {
    /// It said all it had to say.
    Done,
    /// Its limit of tokens was reached.
    Cut,
    /// It, or a filter, would not say it.
    Filtered,
    /// It waits for a tool.
    Tool,
    /// A reason that nobody knows.
    Other(String),
}

/// Gathers an answer, and the events that it makes.
#[derive(Debug)]
pub(super) struct ReplyBuilder {
    answer: CappedAnswer,
    has_text: bool,
    refusal: String,
    tool: Option<String>,
    usage: Option<RunUsage>,
    end: Option<StopReason>,
    error: Option<ServiceRefusal>,
    is_over: bool,
    events: Vec<RunEvent>,
}

/// All that was gathered.
#[derive(Debug)]
pub(super) struct GatheredReply {
    pub(super) text: String,
    pub(super) is_cut: bool,
    pub(super) refusal: String,
    pub(super) tool: Option<String>,
    pub(super) usage: Option<RunUsage>,
    pub(super) end: Option<StopReason>,
    pub(super) error: Option<ServiceRefusal>,
}

impl ReplyBuilder {
    /// Keeps `limit` bytes of the answer.
    pub(super) fn new(limit: usize) -> Self {
        Self {
            answer: CappedAnswer::new(limit),
            has_text: false,
            refusal: String::new(),
            tool: None,
            usage: None,
            end: None,
            error: None,
            is_over: false,
            events: Vec::new(),
        }
    }

    /// A piece of the answer.
    pub(super) fn text(&mut self, piece: &str) {
        self.has_text |= !piece.is_empty();
        let was_cut = self.answer.is_cut();
        let kept = self.answer.push(piece.as_bytes());
        for text in pieces(kept, PIECE) {
            let text = text.to_owned();
            self.events.push(RunEvent::Text { text });
        }
        if self.answer.is_cut() && !was_cut {
            self.warn("the answer is longer than is kept; the rest is dropped".to_owned());
        }
    }

    /// A piece of the reasoning.
    pub(super) fn thought(&mut self, piece: &str) {
        for text in pieces(piece, PIECE) {
            let text = text.to_owned();
            self.events.push(RunEvent::Thought { text });
        }
    }

    /// A piece of what the model says instead of an answer.
    pub(super) fn refusal(&mut self, piece: &str) {
        let room = REFUSAL - self.refusal.len();
        self.refusal.push_str(first_bytes(piece, room));
    }

    /// The model wants a tool that it was not offered by us.
    pub(super) fn asks_for(&mut self, tool: &str) {
        self.tool = Some(first_bytes(tool, 200).to_owned());
    }

    /// The service ran a tool of its own.
    pub(super) fn tool(&mut self, id: &str, name: &str, status: ToolStatus) {
        self.events.push(RunEvent::Tool {
            id: id.to_owned(),
            name: name.to_owned(),
            status,
            detail: None,
        });
    }

    /// The figures of the whole run up to now.
    pub(super) fn usage(&mut self, usage: RunUsage) {
        if self.usage.as_ref() != Some(&usage) {
            self.usage = Some(usage.clone());
            self.events.push(RunEvent::Usage { usage });
        }
    }

    /// What a person should know.
    pub(super) fn warn(&mut self, message: String) {
        self.events.push(RunEvent::Warning { message });
    }

    /// The last word; figures may still follow.
    pub(super) fn end(&mut self, end: StopReason) {
        self.end = Some(end);
    }

    /// Nothing follows.
    pub(super) fn over(&mut self) {
        self.end.get_or_insert(StopReason::Done);
        self.is_over = true;
    }

    /// The service gave up in the middle.
    pub(super) fn refuse(&mut self, value: &Value) {
        self.error = Some(ServiceRefusal::of(None, value));
        self.is_over = true;
    }

    pub(super) const fn is_over(&self) -> bool {
        self.is_over
    }

    pub(super) const fn has_text(&self) -> bool {
        self.has_text
    }

    pub(super) const fn wants_tool(&self) -> bool {
        self.tool.is_some()
    }

    /// The figures up to now.
    pub(super) fn used(&self) -> RunUsage {
        self.usage.clone().unwrap_or_default()
    }

    /// What is to be told since the last time.
    pub(super) fn take_events(&mut self) -> Vec<RunEvent> {
        std::mem::take(&mut self.events)
    }

    pub(super) fn finish(self) -> GatheredReply {
        GatheredReply {
            is_cut: self.answer.is_cut(),
            text: self.answer.finish(),
            refusal: self.refusal,
            tool: self.tool,
            usage: self.usage,
            end: self.end,
            error: self.error,
        }
    }
}
