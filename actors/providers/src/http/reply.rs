//! The part of an answer that has arrived: bounded, without I/O, the same for all APIs.

use kirosu_protocol::text::head;
use serde_json::Value;

use super::refusal::ServiceRefusal;
use crate::event::{RunEvent, RunUsage, ToolStatus};
use crate::text::{CappedAnswer, pieces};

/// Bytes of a text event, at most.
const PIECE: usize = 16 * 1024;
/// Bytes of a refusal's words that are kept.
const REFUSAL: usize = 2 * 1024;

/// The reason for which the model stopped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum StopReason {
    /// The answer is complete.
    Done,
    /// The token limit was reached.
    Cut,
    /// The model or a filter refused.
    Filtered,
    /// The model waits for a tool.
    Tool,
    /// An unknown reason.
    Other(String),
}

/// Collects an answer and its events.
#[derive(Debug)]
pub(super) struct ReplyBuilder {
    answer: CappedAnswer,
    has_text: bool,
    gathered: GatheredReply,
    is_over: bool,
    events: Vec<RunEvent>,
}

/// A collected answer.
#[derive(Debug, Default)]
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
    /// A builder that keeps `limit` bytes of the answer.
    pub(super) fn new(limit: usize) -> Self {
        Self {
            answer: CappedAnswer::new(limit),
            has_text: false,
            gathered: GatheredReply::default(),
            is_over: false,
            events: Vec::new(),
        }
    }

    /// Takes a piece of the answer.
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

    /// Takes a piece of the reasoning.
    pub(super) fn thought(&mut self, piece: &str) {
        for text in pieces(piece, PIECE) {
            let text = text.to_owned();
            self.events.push(RunEvent::Thought { text });
        }
    }

    /// Takes a piece of a refusal.
    pub(super) fn refusal(&mut self, piece: &str) {
        let room = REFUSAL - self.gathered.refusal.len();
        self.gathered.refusal.push_str(head(piece, room));
    }

    /// Notes that the model wants a tool, although it was offered none.
    pub(super) fn wants(&mut self, tool: &str) {
        self.gathered.tool = Some(head(tool, 200).to_owned());
    }

    /// Reports a tool that the service ran itself.
    pub(super) fn tool(&mut self, id: &str, name: &str, status: ToolStatus) {
        self.events.push(RunEvent::Tool {
            id: id.to_owned(),
            name: name.to_owned(),
            status,
            detail: None,
        });
    }

    /// Takes the figures of the run so far.
    pub(super) fn usage(&mut self, usage: RunUsage) {
        if self.gathered.usage.as_ref() != Some(&usage) {
            self.gathered.usage = Some(usage.clone());
            self.events.push(RunEvent::Usage { usage });
        }
    }

    /// Reports information for a person.
    pub(super) fn warn(&mut self, message: String) {
        self.events.push(RunEvent::Warning { message });
    }

    /// Takes the stop reason. Figures may still follow.
    pub(super) fn end(&mut self, end: StopReason) {
        self.gathered.end = Some(end);
    }

    /// Ends the answer.
    pub(super) fn over(&mut self) {
        self.gathered.end.get_or_insert(StopReason::Done);
        self.is_over = true;
    }

    /// Ends the answer with an error of the service.
    pub(super) fn refuse(&mut self, value: &Value) {
        self.gathered.error = Some(ServiceRefusal::of(None, value));
        self.is_over = true;
    }

    pub(super) const fn is_over(&self) -> bool {
        self.is_over
    }

    pub(super) const fn has_text(&self) -> bool {
        self.has_text
    }

    pub(super) const fn wants_tool(&self) -> bool {
        self.gathered.tool.is_some()
    }

    /// The figures so far.
    pub(super) fn used(&self) -> RunUsage {
        self.gathered.usage.clone().unwrap_or_default()
    }

    /// The events since the last call.
    pub(super) fn take_events(&mut self) -> Vec<RunEvent> {
        std::mem::take(&mut self.events)
    }

    pub(super) fn finish(self) -> GatheredReply {
        GatheredReply {
            is_cut: self.answer.is_cut(),
            text: self.answer.finish(),
            ..self.gathered
        }
    }
}
