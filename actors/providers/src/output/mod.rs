//! From what a program prints to events and an outcome.
//!
//! # Theory of operation
//!
//! Pure: bytes go in, in whatever pieces; [`RunEvent`]s come out, and at the end a [`RunReading`]. A definition's rules say
//! which JSON means what; no CLI is known by name here. What no rule speaks of is passed over: a new version of a CLI
//! may print new kinds of events. What is not JSON is a warning. Memory is bounded: a line by 8 MiB, the
//! answer by the job's limit. While the run goes on, [`Outlook`] says whether the program works, waits or has said its
//! end, so that one that never exits can be ended. [`verdict`] then weighs what was read against how the program ended: a run of a JSON
//! format is good only when the program said so *and* exited with 0.

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
    ProgramStatus, class_of, cut_short, doubt, has_lost, is_error_answer, may_have_lost, verdict,
};

/// Bytes of one event of text, at most.
const PIECE: usize = 16 * 1024;

/// Reads one run's stdout.
#[derive(Debug)]
pub(crate) enum OutputReader {
    /// Every byte is the answer.
    Raw(CappedAnswer),
    /// No byte is the answer: all is told, nothing is kept.
    Passing(Decoder),
    /// Text for people.
    Text(Box<TextReader>),
    /// JSON.
    Frames(Box<FrameReader>),
}

/// How a run said that it ended.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) enum ReportedEnd {
    /// Nothing was said.
    #[default]
    Unreported,
    /// Well.
    Done,
    /// Badly.
    Failed {
        message: String,
        status: Option<u16>,
        class: Option<crate::FailureKind>,
        /// The frame that said it.
        frame: Value,
    },
}

/// What was read of a whole run.
#[derive(Debug, Default)]
pub(crate) struct RunReading {
    /// The answer, capped, with a mark where it was cut.
    pub(crate) answer: String,
    pub(crate) truncated: bool,
    /// Text only: the model was heard, as the answer began with its mark.
    pub(crate) is_spoken: bool,
    /// The last word; always `Unsaid` for text.
    pub(crate) terminal: ReportedEnd,
    /// The last tool that was denied for want of a person.
    pub(crate) denied: Option<Denial>,
    /// Whether any tool was called.
    pub(crate) used_tool: bool,
    /// The program's statement about a limit that its account has reached.
    pub(crate) limit: Option<Value>,
    /// The end of what was printed on stdout and is no JSON, where JSON was expected.
    pub(crate) noise: String,
    /// The last error since it worked that a frame states without an end: some programs exit after it.
    pub(crate) last_error: String,
    pub(crate) session: Option<String>,
    /// What this run used.
    pub(crate) usage: Option<RunUsage>,
    /// Totals of the conversation, where that is what the program tells.
    pub(crate) total: RunUsage,
}

impl RunReading {
    /// The message of a bad end; empty where none was said.
    pub(crate) fn error(&self) -> &str {
        match &self.terminal {
            ReportedEnd::Failed { message, .. } => message,
            _ => "",
        }
    }

    /// Neither an answer nor a tool came of it.
    pub(crate) fn did_nothing(&self) -> bool {
        self.answer.trim().is_empty() && !self.used_tool
    }

    /// What the run did beside its answer.
    fn work(&self) -> WorkDone {
        let usage = self.usage.as_ref();
        WorkDone {
            used_tool: self.used_tool,
            tokens: usage.map(RunUsage::all_output),
        }
    }

    /// Takes figures that the program left elsewhere. `before`: totals of the conversation before this run.
    pub(crate) fn take_usage(&mut self, output: &OutputRules, frame: &Value, before: RunUsage) {
        let mut tally = UsageCounter::new(before);
        if tally.take(&output.usage, frame) {
            self.usage = tally.usage();
            self.total = tally.total();
        }
    }
}

impl OutputReader {
    /// Reads bytes as they are, keeping `limit` of them.
    pub(crate) fn raw(limit: usize) -> Self {
        Self::Raw(CappedAnswer::new(limit))
    }

    /// Reads by a definition. `before`: totals of the conversation that goes on.
    pub(crate) fn new(output: &Arc<OutputRules>, limit: usize, before: RunUsage) -> Self {
        match output.format {
            Format::Text => Self::Text(Box::new(TextReader::new(output.clone(), limit))),
            Format::Json | Format::Jsonl => {
                Self::Frames(Box::new(FrameReader::new(output.clone(), limit, before)))
            }
        }
    }

    /// Takes the next bytes.
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

    /// Whether bytes wait for the end of their line.
    pub(crate) fn has_partial(&self) -> bool {
        match self {
            Self::Raw(_) | Self::Passing(_) | Self::Text(_) => false,
            Self::Frames(frames) => frames.has_partial(),
        }
    }

    /// Nothing came for a while: reads a line without its end where it is whole already.
    pub(crate) fn flush(&mut self) -> Vec<RunEvent> {
        match self {
            Self::Raw(_) | Self::Passing(_) | Self::Text(_) => Vec::new(),
            Self::Frames(frames) => frames.flush(),
        }
    }

    /// There are no more bytes.
    pub(crate) fn end(&mut self) -> Vec<RunEvent> {
        match self {
            Self::Raw(_) | Self::Passing(_) | Self::Text(_) => Vec::new(),
            Self::Frames(frames) => frames.end(),
        }
    }

    /// What was read, after [`OutputReader::end`].
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
