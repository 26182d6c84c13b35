//! JSON output: one document, or one object per line.

mod ends;
mod work;

use std::sync::Arc;

use kirosu_protocol::text::tail;
use serde_json::Value;

use super::denial::Calls;
use super::json_line::{JsonLine, Lead};
use super::outlook::{Outlook, ServiceWait};
use super::usage::UsageCounter;
use super::{PIECE, ReportedEnd, RunReading, json_line, rules};
use crate::definition::{AnswerMode, Format, OutputRules};
use crate::event::{RunEvent, RunUsage};
use crate::limits::{ReferenceTime, WorkDone};
use crate::text::lines::{LINE_BYTES, OutputLine, OutputLines};
use crate::text::{CappedAnswer, cut, pieces};

/// Warnings about lines that are not JSON, at most. Later lines are only counted.
const WARNINGS: usize = 8;
/// Characters of a bad line that its warning shows.
const SHOWN: usize = 200;
/// Bytes of such lines that are kept: a program may print its fatal errors there.
const NOISE: usize = 2 * 1024;

/// Frames that are kept for the end because it is doubtful whether they count, at most.
const DOUBTFUL: usize = 64;

/// The status of JSON values after text on the same line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum LineTrust {
    /// They are frames.
    Full,
    /// They may be frames.
    Doubt,
    /// They are a part of the text.
    Nothing,
}

/// Reads the frames of a run.
#[derive(Debug)]
pub(crate) struct FrameReader {
    output: Arc<OutputRules>,
    limit: usize,
    lines: OutputLines,
    /// `Format::Json`: all lines from the first one with a brace.
    document: Vec<u8>,
    bad_lines: usize,
    has_frames: bool,
    /// Frames after text that may be a sentence. They count where the run reports its end in no other way.
    doubtful: Vec<Value>,
    joined: CappedAnswer,
    last: String,
    result: Option<String>,
    terminal: ReportedEnd,
    calls: Calls,
    /// The program's statement about its account's limit.
    limited: Option<Value>,
    noise: String,
    outlook: Outlook,
    /// The last warning, because programs repeat them.
    warned: String,
    /// The last error without an end since the program last worked.
    last_error: String,
    session: Option<String>,
    tally: UsageCounter,
}

impl FrameReader {
    pub(super) fn new(output: Arc<OutputRules>, limit: usize, before: RunUsage) -> Self {
        Self {
            output,
            limit,
            lines: OutputLines::new(LINE_BYTES),
            document: Vec::new(),
            bad_lines: 0,
            has_frames: false,
            doubtful: Vec::new(),
            joined: CappedAnswer::new(limit),
            last: String::new(),
            result: None,
            terminal: ReportedEnd::Unreported,
            calls: Calls::default(),
            limited: None,
            noise: String::new(),
            outlook: Outlook::Unchanged,
            warned: String::new(),
            last_error: String::new(),
            session: None,
            tally: UsageCounter::new(before),
        }
    }

    pub(super) fn push(&mut self, bytes: &[u8]) -> Vec<RunEvent> {
        let mut events = Vec::new();
        for line in self.lines.push(bytes) {
            self.line(line, &mut events);
        }
        events
    }

    /// The program's activity according to the frames since the last call.
    pub(super) fn outlook(&mut self) -> Outlook {
        std::mem::take(&mut self.outlook)
    }

    pub(super) const fn has_partial(&self) -> bool {
        self.lines.has_partial()
    }

    pub(super) fn flush(&mut self) -> Vec<RunEvent> {
        let mut events = Vec::new();
        if let Some(line) = self.lines.whole_object() {
            self.line(line, &mut events);
        }
        events
    }

    pub(super) fn end(&mut self) -> Vec<RunEvent> {
        let mut events = Vec::new();
        if let Some(line) = self.lines.end() {
            self.line(line, &mut events);
        }
        if !self.document.is_empty() {
            let document = std::mem::take(&mut self.document);
            self.parse(&document, &mut events);
        }
        if self.terminal == ReportedEnd::Unreported {
            for frame in std::mem::take(&mut self.doubtful) {
                self.frame(&frame, &mut events);
            }
        }
        events
    }

    pub(super) fn finish(self) -> RunReading {
        let mut truncated = self.joined.is_cut();
        let pieces = match self.output.answer {
            AnswerMode::Joined => self.joined.finish(),
            AnswerMode::Last => self.last,
        };
        // A blank result is less useful than the text before it.
        let result = self.result.filter(|it| !it.trim().is_empty());
        let mut answer = result.unwrap_or(pieces);
        if answer.len() > self.limit && !truncated {
            cut(&mut answer, self.limit);
            truncated = true;
        }
        RunReading {
            answer,
            is_spoken: false,
            truncated,
            terminal: self.terminal,
            used_tool: self.calls.any(),
            denied: self.calls.denial(),
            limit: self.limited,
            noise: self.noise,
            last_error: self.last_error,
            session: self.session,
            usage: self.tally.usage(),
            total: self.tally.total(),
        }
    }

    fn line(&mut self, line: OutputLine, events: &mut Vec<RunEvent>) {
        let line = match line {
            OutputLine::Whole(line) => line,
            OutputLine::TooLong => {
                let message =
                    format!("a line of more than {LINE_BYTES} bytes was dropped: too long to read");
                return events.push(RunEvent::Warning { message });
            }
        };
        match self.output.format {
            Format::Json if self.document.is_empty() && !line.contains(&b'{') => {}
            Format::Json if self.document.len() + line.len() < LINE_BYTES => {
                self.document.extend_from_slice(&line);
                self.document.push(b'\n');
            }
            // A document that is cut off cannot be parsed, which is reported at the end.
            Format::Json => {}
            _ if line.trim_ascii().is_empty() => {}
            _ => self.parse(&line, events),
        }
    }

    fn parse(&mut self, text: &[u8], events: &mut Vec<RunEvent>) {
        let line = json_line::read(text);
        let trust = self.trust_in(&line);
        let is_log = trust != LineTrust::Full;
        if is_log || !line.noise.is_empty() {
            let text = match is_log {
                true => String::from_utf8_lossy(text),
                false => line.noise.into(),
            };
            self.bad_lines += 1;
            self.keep_noise(&text);
            if self.bad_lines <= WARNINGS {
                let shown: String = text.chars().take(SHOWN).collect();
                let message = format!("the program printed a line that is not JSON: {shown}\n");
                events.push(RunEvent::Warning { message });
            }
        }
        if trust == LineTrust::Doubt && self.doubtful.len() < DOUBTFUL {
            self.doubtful.extend(line.values);
            return;
        }
        if is_log {
            return;
        }
        for value in &line.values {
            self.has_frames = true;
            match value {
                // All frames of a run in one list.
                Value::Array(frames) if self.output.format == Format::Jsonl => {
                    frames.iter().for_each(|it| self.frame(it, events));
                }
                frame => self.frame(frame, events),
            }
        }
    }

    /// Distinguishes frames after text from JSON that a text quotes: a rule matches the frames, the text does not introduce
    /// them, and they belong to this conversation where they name one.
    fn trust_in(&self, line: &JsonLine) -> LineTrust {
        let Some(lead) = line.lead.filter(|_| self.has_frames) else {
            return LineTrust::Full;
        };
        let mut conversations = line
            .values
            .iter()
            .flat_map(|it| rules::texts(&self.output.session, it));
        let named = conversations.next();
        let is_same = named.as_ref().map(|it| Some(it) == self.session.as_ref());
        let is_known = |frame: &Value| rules::know(&self.output, frame);
        match (lead, is_same) {
            _ if !line.values.iter().all(is_known) => LineTrust::Nothing,
            (Lead::Introduction, _) | (_, Some(false)) => LineTrust::Nothing,
            (Lead::Glued, _) | (Lead::Sentence, Some(true)) => LineTrust::Full,
            (Lead::Sentence, None) => LineTrust::Doubt,
        }
    }

    /// The wait of a program whose answer so far is a limit's notice or an error, after which nothing more can follow.
    fn stuck(&self) -> Option<ServiceWait> {
        let answer = match (&self.result, self.output.answer) {
            (Some(result), _) => result,
            (None, AnswerMode::Joined) => self.joined.text(),
            (None, AnswerMode::Last) => self.last.as_str(),
        };
        let usage = self.tally.usage();
        let work = WorkDone {
            used_tool: self.calls.any(),
            tokens: usage.as_ref().map(RunUsage::all_output),
        };
        ServiceWait::of_answer(&self.output, answer, work, &ReferenceTime::now())
    }

    /// Keeps the end of the lines that are not JSON, and looks for a wait in them.
    fn keep_noise(&mut self, line: &str) {
        self.noise.push_str(line);
        self.noise.push('\n');
        let kept = tail(&self.noise, NOISE).len();
        self.noise.drain(..self.noise.len() - kept);
        self.wait_of(line);
    }

    /// Looks for a wait in the program's words.
    fn wait_of(&mut self, text: &str) {
        match ServiceWait::of_line(&self.output, text, &ReferenceTime::now()) {
            Outlook::Unchanged => {}
            wait => self.outlook = wait,
        }
    }

    /// Sends a warning, unless it repeats the last one.
    fn warn(&mut self, message: String, events: &mut Vec<RunEvent>) {
        if message != self.warned {
            self.warned.clone_from(&message);
            events.push(RunEvent::Warning {
                message: message + "\n",
            });
        }
    }

    fn frame(&mut self, frame: &Value, events: &mut Vec<RunEvent>) {
        let output = self.output.clone();
        if self.session.is_none()
            && let Some(session) = rules::texts(&output.session, frame).pop()
        {
            self.session = Some(session.clone());
            events.push(RunEvent::Session { session });
        }
        // Only output of a model or a tool is work.
        let before = events.len();
        for text in rules::texts(&output.thought, frame) {
            events.extend(pieces(&text, PIECE).map(|text| RunEvent::Thought { text: text.into() }));
        }
        for text in rules::texts(&output.text, frame) {
            self.text(text, events);
        }
        if let Some(result) = rules::texts(&output.result, frame).pop() {
            self.result = Some(result);
        }
        self.tools(&output, frame, events);
        if events.len() > before {
            self.outlook = match self.stuck() {
                Some(wait) => Outlook::Stuck(wait),
                None => Outlook::of_work(events.last()),
            };
            self.last_error.clear();
        }
        for name in rules::texts(&output.mcp_failed, frame) {
            let message = format!(
                "the program did not take the MCP server '{name}', and works without its tools; check that its command runs, or that its address responds"
            );
            self.warn(message, events);
        }
        for message in rules::texts(&output.warning, frame) {
            self.wait_of(&message);
            self.warn(message, events);
        }
        self.limits(&output, frame);
        self.denials(&output, frame, events);
        self.endings(&output, frame, events);
        if self.tally.take(&output.usage, frame)
            && let Some(usage) = self.tally.usage()
        {
            events.push(RunEvent::Usage { usage });
        }
    }
}
