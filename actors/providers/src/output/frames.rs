//! JSON output: one document, or one object a line.

use std::sync::Arc;

use serde_json::Value;

use super::lines::{LINE_BYTES, Line, Lines};
use super::usage::Tally;
use super::{PIECE, Reading, Terminal, cut_warning, json_line, rules};
use crate::definition::{Answer as How, Format, Output};
use crate::event::{Event, Usage};
use crate::invocation::{Answer, cut, floor_boundary};

/// Warnings about lines that are no JSON, at most; the rest is counted only.
const WARNINGS: usize = 8;
/// Characters of a bad line that its warning shows.
const SHOWN: usize = 200;

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
    denied: Option<String>,
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
            denied: None,
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
        let mut answer = self.result.unwrap_or(pieces);
        if answer.len() > self.limit && !truncated {
            cut(&mut answer, self.limit);
            truncated = true;
        }
        Reading {
            answer,
            truncated,
            terminal: self.terminal,
            denied: self.denied,
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
            self.bad_lines += 1;
            if self.bad_lines <= WARNINGS {
                let text = match is_log {
                    true => String::from_utf8_lossy(text),
                    false => line.noise.into(),
                };
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

    fn frame(&mut self, frame: &Value, events: &mut Vec<Event>) {
        let output = self.output.clone();
        if self.session.is_none()
            && let Some(session) = rules::texts(&output.session, frame).pop()
        {
            self.session = Some(session.clone());
            events.push(Event::Session { session });
        }
        for text in rules::texts(&output.thought, frame) {
            pieces(&text, |text| events.push(Event::Thought { text }));
        }
        for text in rules::texts(&output.text, frame) {
            self.text(text, events);
        }
        if let Some(result) = rules::texts(&output.result, frame).pop() {
            self.result = Some(result);
        }
        for message in rules::texts(&output.warning, frame) {
            events.push(Event::Warning {
                message: message + "\n",
            });
        }
        self.tools(&output, frame, events);
        self.endings(&output, frame);
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

    fn tools(&self, output: &Output, frame: &Value, events: &mut Vec<Event>) {
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
            events.push(Event::Tool {
                id: rules::text(element, rule.id.as_deref()).unwrap_or_default(),
                name: rules::text(element, rule.name.as_deref()).unwrap_or_default(),
                status: rule.status,
                detail: rule
                    .rule
                    .value
                    .as_deref()
                    .and_then(|it| element.pointer(it))
                    .cloned(),
            });
        }
    }

    /// A bad end stays: what is said after it does not make it good.
    fn endings(&mut self, output: &Output, frame: &Value) {
        for rule in &output.denied {
            if let Some(element) = rules::first(rule, frame) {
                let what = rules::text(element, rule.value.as_deref());
                self.denied = Some(what.unwrap_or_default());
            }
        }
        if matches!(self.terminal, Terminal::Failed { .. }) {
            return;
        }
        for fail in &output.fail {
            let Some(element) = rules::first(&fail.rule, frame) else {
                continue;
            };
            let status = fail.status.as_deref().and_then(|it| element.pointer(it));
            self.terminal = Terminal::Failed {
                message: rules::text(element, fail.rule.value.as_deref()).unwrap_or_default(),
                status: status
                    .and_then(Value::as_u64)
                    .and_then(|it| u16::try_from(it).ok()),
                class: fail.class,
            };
            return;
        }
        if output
            .done
            .iter()
            .any(|rule| rules::first(rule, frame).is_some())
        {
            self.terminal = Terminal::Done;
        }
    }
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
