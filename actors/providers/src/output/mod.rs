//! Turns the output of a program into events and an outcome.
//!
//! # Theory of operation
//!
//! This module has no I/O: bytes go in, in pieces of any size; [`RunEvent`]s come out, and at the end a [`RunReading`]. The
//! rules of a definition give the JSON its meaning; this module knows no CLI by name. JSON that no rule matches is ignored,
//! because a new version of a CLI may print new kinds of events. Text that is not JSON becomes a warning. Memory is bounded:
//! a line by 8 MiB, the answer by the job's limit. While the run continues, [`Outlook`] states whether the program works,
//! waits or has reported its end, so that a program that never exits can be ended. [`verdict`] then combines the reading
//! with the exit: a run of a JSON format succeeds only when the program reported success *and* exited with code 0.

mod denial;
mod frames;
pub(crate) mod json_line;
mod outlook;
mod rules;
#[cfg(test)]
mod tests;
mod text_reader;
mod usage;
mod verdict;

use std::sync::Arc;

use crate::definition::{Format, OutputRules};
use crate::event::{RunEvent, RunUsage};
use crate::limits::WorkDone;
use crate::text::{CappedAnswer, Decoder};
pub(crate) use denial::Denial;
use frames::FrameReader;
pub(crate) use outlook::{Outlook, ServiceWait, StderrWatch};
use serde_json::Value;
use text_reader::TextReader;
use usage::UsageCounter;
pub(crate) use verdict::{
    ProgramStatus, class_of, cut_short, doubt, is_error_answer, may_have_lost, reports_lost,
    verdict,
};

/// Bytes of a text event, at most.
const PIECE: usize = 16 * 1024;

/// Reads one run's stdout.
#[derive(Debug)]
pub(crate) enum RunOutputReader {
    /// Every byte is the answer.
    Raw(CappedAnswer),
    /// No byte is the answer: all text is reported, nothing is kept.
    Passing(Decoder),
    /// Text for people.
    Text(Box<TextReader>),
    /// JSON.
    Frames(Box<FrameReader>),
}

/// The end that a program reported.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) enum ReportedEnd {
    /// It reported no end.
    #[default]
    Unreported,
    /// It reported success.
    Done,
    /// It reported a failure.
    Failed {
        message: String,
        status: Option<u16>,
        class: Option<crate::FailureKind>,
        /// The frame of the report.
        frame: Value,
    },
}

/// The reading of a whole run.
#[derive(Debug, Default)]
pub(crate) struct RunReading {
    /// The answer, capped, with a mark where it was cut.
    pub(crate) answer: String,
    pub(crate) truncated: bool,
    /// Text only: the answer began with the mark of the model's words.
    pub(crate) is_spoken: bool,
    /// The last reported end; always `Unreported` for text.
    pub(crate) terminal: ReportedEnd,
    /// The last tool that was denied because no person could give a permission.
    pub(crate) denied: Option<Denial>,
    /// Whether any tool was called.
    pub(crate) used_tool: bool,
    /// The program's statement about a limit that its account has reached.
    pub(crate) limit: Option<Value>,
    /// The end of the stdout lines that are not JSON, where JSON was expected.
    pub(crate) noise: String,
    /// The last error without an end since the program last worked. Some programs exit after it.
    pub(crate) last_error: String,
    pub(crate) session: Option<String>,
    /// Usage of this run.
    pub(crate) usage: Option<RunUsage>,
    /// Totals of the conversation, where the program reports those.
    pub(crate) total: RunUsage,
}

impl RunReading {
    /// The message of a reported failure. Empty where there is none.
    pub(crate) fn error(&self) -> &str {
        match &self.terminal {
            ReportedEnd::Failed { message, .. } => message,
            _ => "",
        }
    }

    /// Whether the run has neither an answer nor a tool call.
    pub(crate) fn did_nothing(&self) -> bool {
        self.answer.trim().is_empty() && !self.used_tool
    }

    /// The work of the run besides its answer.
    fn work(&self) -> WorkDone {
        let usage = self.usage.as_ref();
        WorkDone {
            used_tool: self.used_tool,
            tokens: usage.map(RunUsage::all_output),
        }
    }

    /// Takes figures from a file of the program. `before` are the totals of the conversation before this run.
    pub(crate) fn take_usage(&mut self, output: &OutputRules, frame: &Value, before: RunUsage) {
        let mut tally = UsageCounter::new(before);
        if tally.take(&output.usage, frame) {
            self.usage = tally.usage();
            self.total = tally.total();
        }
    }
}

impl RunOutputReader {
    /// Reads bytes as they are and keeps `limit` of them.
    pub(crate) fn raw(limit: usize) -> Self {
        Self::Raw(CappedAnswer::new(limit))
    }

    /// Reads by the rules of a definition. `before` are the totals of the conversation before this run.
    pub(crate) fn new(output: &Arc<OutputRules>, limit: usize, before: RunUsage) -> Self {
        match output.format {
            Format::Text => Self::Text(Box::new(TextReader::new(output.clone(), limit))),
            Format::Json | Format::Jsonl => {
                Self::Frames(Box::new(FrameReader::new(output.clone(), limit, before)))
            }
        }
    }

    /// Takes the next bytes. Returns the events in them.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> Vec<RunEvent> {
        match self {
            Self::Raw(answer) => plain(answer, bytes),
            Self::Passing(decoder) => vec![RunEvent::Text {
                text: decoder.push(bytes),
            }],
            Self::Text(text) => text.push(bytes),
            Self::Frames(frames) => frames.push(bytes),
        }
    }

    /// The program's activity when it printed the last piece.
    pub(crate) fn outlook(&mut self) -> Outlook {
        match self {
            Self::Raw(_) | Self::Passing(_) => Outlook::Unchanged,
            Self::Text(text) => text.outlook(),
            Self::Frames(frames) => frames.outlook(),
        }
    }

    /// Whether an incomplete line is kept.
    pub(crate) fn has_partial(&self) -> bool {
        match self {
            Self::Raw(_) | Self::Passing(_) | Self::Text(_) => false,
            Self::Frames(frames) => frames.has_partial(),
        }
    }

    /// Reads the incomplete line if it is complete JSON. To be called after a silence.
    pub(crate) fn flush(&mut self) -> Vec<RunEvent> {
        match self {
            Self::Raw(_) | Self::Passing(_) | Self::Text(_) => Vec::new(),
            Self::Frames(frames) => frames.flush(),
        }
    }

    /// Ends the output. Returns the remaining events.
    pub(crate) fn end(&mut self) -> Vec<RunEvent> {
        match self {
            Self::Raw(_) | Self::Passing(_) | Self::Text(_) => Vec::new(),
            Self::Frames(frames) => frames.end(),
        }
    }

    /// The reading, after [`RunOutputReader::end`].
    pub(crate) fn finish(self) -> RunReading {
        match self {
            Self::Raw(answer) => whole(answer),
            Self::Passing(_) => RunReading::default(),
            Self::Text(text) => text.finish(),
            Self::Frames(frames) => frames.finish(),
        }
    }
}

fn plain(answer: &mut CappedAnswer, bytes: &[u8]) -> Vec<RunEvent> {
    let was_cut = answer.is_cut();
    let text = answer.push(bytes).to_owned();
    let mut events = Vec::new();
    if !text.is_empty() {
        events.push(RunEvent::Text { text });
    }
    if answer.is_cut() && !was_cut {
        events.push(cut_warning());
    }
    events
}

fn whole(answer: CappedAnswer) -> RunReading {
    RunReading {
        truncated: answer.is_cut(),
        answer: answer.finish(),
        ..RunReading::default()
    }
}

pub(crate) fn cut_warning() -> RunEvent {
    RunEvent::Warning {
        message: "the answer is longer than is kept; the rest is dropped\n".to_owned(),
    }
}
