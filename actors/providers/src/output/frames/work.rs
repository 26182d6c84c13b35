//! The work of a model or a tool in a frame: text, tool calls, denials.

use serde_json::Value;

use super::FrameReader;
use crate::definition::{AnswerMode, OutputRules, ToolRule};
use crate::event::{RunEvent, ToolStatus};
use crate::output::{PIECE, cut_warning, rules};
use crate::text::pieces;

impl FrameReader {
    pub(super) fn text(&mut self, mut text: String, events: &mut Vec<RunEvent>) {
        match self.output.answer {
            AnswerMode::Joined => {
                let was_cut = self.joined.is_cut();
                let kept = self.joined.push(text.as_bytes());
                events.extend(texts(kept));
                if self.joined.is_cut() && !was_cut {
                    events.push(cut_warning());
                }
            }
            AnswerMode::Last => {
                if !text.trim().is_empty() {
                    self.last.clone_from(&text);
                }
                // Each message gets a line of its own.
                if !text.ends_with('\n') {
                    text.push('\n');
                }
                events.extend(texts(&text));
            }
        }
    }

    pub(super) fn tools(
        &mut self,
        output: &OutputRules,
        frame: &Value,
        events: &mut Vec<RunEvent>,
    ) {
        // The first rule that selects an element counts, so that later rules may be more general.
        let reported = output.tool.iter().find_map(|rule| {
            let mut elements = rules::meant(&rule.rule, frame).peekable();
            elements.peek()?;
            Some((rule, elements))
        });
        let Some((rule, elements)) = reported else {
            return;
        };
        for element in elements {
            let id = rules::text(element, rule.id.as_deref()).unwrap_or_default();
            let name = rules::text(element, rule.name.as_deref());
            let name = name.unwrap_or_else(|| rule.named.clone());
            self.calls.take(&id, &name, rule.status);
            if let Some(input) = rule.input.as_deref().and_then(|it| element.pointer(it)) {
                events.push(RunEvent::Tool {
                    id: id.clone(),
                    name: name.clone(),
                    status: ToolStatus::Started,
                    detail: Some(input.clone()),
                });
            }
            events.push(RunEvent::Tool {
                id,
                name,
                status: rule.status,
                detail: detail(rule, element),
            });
        }
    }

    pub(super) fn denials(
        &mut self,
        output: &OutputRules,
        frame: &Value,
        events: &mut Vec<RunEvent>,
    ) {
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
}

fn texts(text: &str) -> impl Iterator<Item = RunEvent> {
    pieces(text, PIECE).map(|text| RunEvent::Text { text: text.into() })
}

fn detail(rule: &ToolRule, element: &Value) -> Option<Value> {
    let value = rule.rule.value.as_deref()?;
    element.pointer(value).cloned()
}
