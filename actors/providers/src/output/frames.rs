//! JSON output: one document, or one object a line.

use std::sync::Arc;

use serde_json::Value;

use super::denial::Calls;
use super::lines::{LINE_BYTES, Line, Lines};
use super::outlook::{Outlook, Wait};
use super::usage::Tally;
use super::{PIECE, Reading, Terminal, cut_warning, json_line, rules};
use crate::definition::{Answer as How, FailRule, Format, Output, Rule, ToolRule};
use crate::event::{Event, ToolStatus, Usage};
use crate::invocation::{Answer, cut, floor_boundary};
use crate::limits::Moment;

/// Warnings about lines that are no JSON, at most; the rest is counted only.
const WARNINGS: usize = 8;
/// Characters of a bad line that its warning shows.
const SHOWN: usize = 200;
/// Bytes of bad lines that are kept: a program says its fatal errors there.
const NOISE: usize = 2 * 1024;

/// Reads frames.
#[derive(Debug)]
pub(crate) struct Frames {
    output: Arc<Output>,
    limit: usize,
    lines: Lines,
    /// `Format::Json`: all lines from the first that begins with a brace.
    document: Vec<u8>,
    bad_lines: usize,
    has_frames: bool,
    joined: Answer,
    last: String,
    result: Option<String>,
    terminal: Terminal,
    calls: Calls,
    /// Its statement about its account's limit.
    limited: Option<Value>,
    noise: String,
    outlook: Outlook,
    /// The last warning: programs repeat them.
    warned: String,
    /// The last error since it worked that a frame states without an end.
    last_error: String,
    session: Option<String>,
    tally: Tally,
}

impl Frames {
    pub(super) fn new(output: Arc<Output>, limit: usize, before: Usage) -> Self {
        Self {
            output,
            limit,
            lines: Lines::new(LINE_BYTES),
            document: Vec::new(),
            bad_lines: 0,
            has_frames: false,
            joined: Answer::new(limit),
            last: String::new(),
            result: None,
            terminal: Terminal::Unsaid,
            calls: Calls::default(),
            limited: None,
            noise: String::new(),
            outlook: Outlook::Unchanged,
            warned: String::new(),
            last_error: String::new(),
            session: None,
            tally: Tally::new(before),
        }
    }

    pub(super) fn push(&mut self, bytes: &[u8]) -> Vec<Event> {
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

    pub(super) fn flush(&mut self) -> Vec<Event> {
        let mut events = Vec::new();
        if let Some(line) = self.lines.whole_object() {
            self.line(line, &mut events);
        }
        events
    }

    pub(super) fn end(&mut self) -> Vec<Event> {
        let mut events = Vec::new();
        if let Some(line) = self.lines.end() {
            self.line(line, &mut events);
        }
        if !self.document.is_empty() {
            let document = std::mem::take(&mut self.document);
            self.parse(&document, &mut events);
        }
        events
    }

    pub(super) fn finish(self) -> Reading {
        let mut truncated = self.joined.is_cut();
        let pieces = match self.output.answer {
            How::Joined => self.joined.finish(),
            How::Last => self.last,
        };
        // A blank result says less than the text before it.
        let result = self.result.filter(|it| !it.trim().is_empty());
        let mut answer = result.unwrap_or(pieces);
        if answer.len() > self.limit && !truncated {
            cut(&mut answer, self.limit);
            truncated = true;
        }
        Reading {
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

    fn line(&mut self, line: Line, events: &mut Vec<Event>) {
        let line = match line {
            Line::Whole(line) => line,
            Line::TooLong => {
                let message =
                    format!("a line of more than {LINE_BYTES} bytes was dropped: too long to read");
                return events.push(Event::Warning { message });
            }
        };
        match self.output.format {
            Format::Json if self.document.is_empty() && !line.starts_with(b"{") => {}
            Format::Json if self.document.len() + line.len() < LINE_BYTES => {
                self.document.extend_from_slice(&line);
                self.document.push(b'\n');
            }
            // What is cut off makes the whole unreadable, and that is told at the end.
            Format::Json => {}
            _ if line.trim_ascii().is_empty() => {}
            _ => self.parse(&line, events),
        }
    }

    fn parse(&mut self, text: &[u8], events: &mut Vec<Event>) {
        let line = json_line::read(text);
        // A banner without a line end stands before the first frame. Later text with JSON in it is a log line.
        let is_log = line.behind_text && self.has_frames;
        if is_log || !line.noise.is_empty() {
            let text = match is_log {
                true => String::from_utf8_lossy(text),
                false => line.noise.into(),
            };
            self.bad_lines += 1;
            self.hear(&text);
            if self.bad_lines <= WARNINGS {
                let shown: String = text.chars().take(SHOWN).collect();
                let message = format!("the program printed what is not JSON: {shown}\n");
                events.push(Event::Warning { message });
            }
        }
        if is_log {
            return;
        }
        for frame in &line.values {
            self.has_frames = true;
            self.frame(frame, events);
        }
    }

    /// Keeps the end of what is no JSON, and looks for a wait in it.
    fn hear(&mut self, line: &str) {
        self.noise.push_str(line);
        self.noise.push('\n');
        let from = self.noise.len().saturating_sub(NOISE);
        let from = crate::invocation::ceil_boundary(&self.noise, from);
        self.noise.drain(..from);
        self.waits(Wait::of_line(&self.output, line, &Moment::now()));
    }

    fn waits(&mut self, wait: Option<Wait>) {
        if let Some(wait) = wait {
            self.outlook = Outlook::Waits(wait);
        }
    }

    /// A warning, once where it is repeated.
    fn warn(&mut self, message: String, events: &mut Vec<Event>) {
        if message != self.warned {
            self.warned.clone_from(&message);
            events.push(Event::Warning {
                message: message + "\n",
            });
        }
    }

    fn frame(&mut self, frame: &Value, events: &mut Vec<Event>) {
        let output = self.output.clone();
        if self.session.is_none()
            && let Some(session) = rules::texts(&output.session, frame).pop()
        {
            self.session = Some(session.clone());
            events.push(Event::Session { session });
        }
        // Only what a model or a tool does is work.
        let before = events.len();
        for text in rules::texts(&output.thought, frame) {
            pieces(&text, |text| events.push(Event::Thought { text }));
        }
        for text in rules::texts(&output.text, frame) {
            self.text(text, events);
        }
        if let Some(result) = rules::texts(&output.result, frame).pop() {
            self.result = Some(result);
        }
        self.tools(&output, frame, events);
        if events.len() > before {
            self.outlook = Outlook::of_work(events.last());
            self.last_error.clear();
        }
        for name in rules::texts(&output.mcp_failed, frame) {
            let message = format!(
                "the program did not take the MCP server '{name}', and works without its tools; see whether its command runs, or its address answers"
            );
            self.warn(message, events);
        }
        for message in rules::texts(&output.warning, frame) {
            self.waits(Wait::of_line(&output, &message, &Moment::now()));
            self.warn(message, events);
        }
        self.limits(&output, frame);
        self.denials(&output, frame, events);
        self.endings(&output, frame, events);
        if self.tally.take(&output.usage, frame)
            && let Some(usage) = self.tally.usage()
        {
            events.push(Event::Usage { usage });
        }
    }

    fn text(&mut self, mut text: String, events: &mut Vec<Event>) {
        match self.output.answer {
            How::Joined => {
                let was_cut = self.joined.is_cut();
                let kept = self.joined.push(text.as_bytes()).to_owned();
                pieces(&kept, |text| events.push(Event::Text { text }));
                if self.joined.is_cut() && !was_cut {
                    events.push(cut_warning());
                }
            }
            How::Last => {
                if !text.trim().is_empty() {
                    self.last.clone_from(&text);
                }
                // Messages stand on lines of their own.
                if !text.ends_with('\n') {
                    text.push('\n');
                }
                pieces(&text, |text| events.push(Event::Text { text }));
            }
        }
    }

    fn tools(&mut self, output: &Output, frame: &Value, events: &mut Vec<Event>) {
        // The first rule that means something of the frame counts, so that later ones may be wider.
        let told = output.tool.iter().find_map(|rule| {
            let mut elements = rules::meant(&rule.rule, frame).peekable();
            elements.peek()?;
            Some((rule, elements))
        });
        let Some((rule, elements)) = told else {
            return;
        };
        for element in elements {
            let id = rules::text(element, rule.id.as_deref()).unwrap_or_default();
            let name = rules::text(element, rule.name.as_deref());
            let name = name.unwrap_or_else(|| rule.named.clone());
            self.calls.take(&id, &name, rule.status);
            if let Some(input) = rule.input.as_deref().and_then(|it| element.pointer(it)) {
                events.push(Event::Tool {
                    id: id.clone(),
                    name: name.clone(),
                    status: ToolStatus::Started,
                    detail: Some(input.clone()),
                });
            }
            events.push(Event::Tool {
                id,
                name,
                status: rule.status,
                detail: detail(rule, element),
            });
        }
    }

    /// Limits of the account, and waits for its service.
    fn limits(&mut self, output: &Output, frame: &Value) {
        if let Some(data) = output.limit.iter().find_map(|it| valued(it, frame)) {
            self.limited = Some(data.clone());
        }
        let waits = output.wait.iter();
        if let Some((data, class)) = waits
            .filter_map(|wait| Some((valued(&wait.rule, frame)?, wait.class)))
            .next()
        {
            if let Value::String(text) = data {
                self.last_error.clone_from(text);
            }
            self.waits(Wait::of_data(data, class, &Moment::now()));
        }
    }

    fn denials(&mut self, output: &Output, frame: &Value, events: &mut Vec<Event>) {
        for rule in &output.denied {
            let denied: Vec<_> = rules::meant(&rule.rule, frame)
                .map(|element| {
                    let what = rules::text(element, rule.rule.value.as_deref());
                    let id = rules::text(element, rule.id.as_deref());
                    (what.unwrap_or_default(), id)
                })
                .collect();
            for (what, id) in denied {
                let what = self.calls.deny(what, id.as_deref());
                let message = format!("[tool {what} was denied: there is no person to ask]");
                self.warn(message, events);
            }
        }
    }

    /// Good and bad ends. Where the definition does not say that the last word counts, a bad one stays.
    fn endings(&mut self, output: &Output, frame: &Value, events: &mut Vec<Event>) {
        if matches!(self.terminal, Terminal::Failed { .. }) && !output.last_word {
            return;
        }
        // Of several rules for a frame the first counts that finds words.
        let mut found = output.fail.iter().filter_map(|fail| failed(fail, frame));
        let first = found.next();
        let has_words = |end: &Terminal| matches!(end, Terminal::Failed { message, class, .. } if class.is_some() || !message.trim().is_empty());
        let failed = match first {
            Some(end) if !has_words(&end) => Some(found.find(has_words).unwrap_or(end)),
            first => first,
        };
        if let Some(failed) = failed {
            if let Terminal::Failed { message, .. } = &failed
                && !message.is_empty()
                && message.trim() != self.last.trim()
            {
                self.warn(message.clone(), events);
            }
            self.terminal = failed;
            self.outlook = Outlook::Ended;
            return;
        }
        if output
            .done
            .iter()
            .any(|rule| rules::first(rule, frame).is_some())
        {
            self.terminal = Terminal::Done;
            self.outlook = Outlook::Ended;
        }
    }
}

/// The bad end that a rule finds in a frame.
fn failed(fail: &FailRule, frame: &Value) -> Option<Terminal> {
    let (message, element) = rules::meant(&fail.rule, frame)
        .map(|element| {
            let message = rules::text(element, fail.rule.value.as_deref());
            (message.unwrap_or_default(), element)
        })
        .find(|(message, _)| message.to_lowercase().contains(&fail.contains))?;
    let status = fail.status.as_deref().and_then(|it| element.pointer(it));
    Some(Terminal::Failed {
        message,
        status: status
            .and_then(Value::as_u64)
            .and_then(|it| u16::try_from(it).ok()),
        class: fail.class,
        frame: frame.clone(),
    })
}

/// The value of the first element that a rule means; without a pointer the element itself.
fn valued<'v>(rule: &'v Rule, frame: &'v Value) -> Option<&'v Value> {
    let element = rules::first(rule, frame)?;
    element.pointer(rule.value.as_deref().unwrap_or_default())
}

fn detail(rule: &ToolRule, element: &Value) -> Option<Value> {
    let value = rule.rule.value.as_deref()?;
    element.pointer(value).cloned()
}

/// Cuts a text between characters into pieces of an event's size.
fn pieces(text: &str, mut take: impl FnMut(String)) {
    let mut rest = text;
    while !rest.is_empty() {
        let (piece, tail) = rest.split_at(floor_boundary(rest, PIECE));
        take(piece.to_owned());
        rest = tail;
    }
}
