//! What a person who watches a run should read of it, as text.

use std::borrow::Cow;
use std::collections::HashMap;

use kirosu_providers::{Event, ToolStatus};
use serde_json::Value;

/// Characters of a tool's arguments, or of its error, that are shown.
const SHOWN: usize = 200;
/// Tool calls under way whose names are remembered.
const CALLS: usize = 256;

/// Turns events into text. Answers, stderr and warnings are shown as they are; a tool call has a line of its own when it
/// begins, and another when it fails.
#[derive(Debug)]
pub(super) struct Printed {
    thoughts: bool,
    /// What was shown last did not end its line.
    mid_line: bool,
    thinking: bool,
    /// Names of the calls under way, by their ids.
    calls: HashMap<String, String>,
}

impl Printed {
    /// `thoughts`: the model's reasoning is shown as well.
    pub(super) fn new(thoughts: bool) -> Self {
        Self {
            thoughts,
            mid_line: false,
            thinking: false,
            calls: HashMap::new(),
        }
    }

    /// The text to show; empty where there is nothing to read.
    pub(super) fn text<'e>(&mut self, event: &'e Event) -> Cow<'e, str> {
        let was_thinking = std::mem::take(&mut self.thinking);
        let text = match event {
            Event::Text { text } | Event::Stderr { text } if was_thinking => self.line(text),
            Event::Text { text } | Event::Stderr { text } => Cow::Borrowed(text.as_str()),
            Event::Warning { message } => self.line(message),
            Event::Thought { text } if self.thoughts => {
                self.thinking = true;
                match was_thinking {
                    true => Cow::Borrowed(text.as_str()),
                    false => self.line(&format!("[thinks] {text}")).into_owned().into(),
                }
            }
            Event::Thought { .. } => {
                self.thinking = was_thinking;
                Cow::Borrowed("")
            }
            Event::Permission { title, .. } => {
                let line = format!("[asks for permission: {}]\n", short(title));
                self.line(&line).into_owned().into()
            }
            Event::Tool {
                id,
                name,
                status,
                detail,
            } => {
                let line = self.tool(id, name, *status, detail.as_ref());
                self.line(&line).into_owned().into()
            }
            _ => Cow::Borrowed(""),
        };
        if !text.is_empty() {
            self.mid_line = !text.ends_with('\n');
        }
        text
    }

    /// On a line of its own.
    fn line<'t>(&self, text: &'t str) -> Cow<'t, str> {
        match self.mid_line && !text.is_empty() {
            true => Cow::Owned(format!("\n{text}")),
            false => Cow::Borrowed(text),
        }
    }

    fn tool(&mut self, id: &str, name: &str, status: ToolStatus, detail: Option<&Value>) -> String {
        let begun = match status {
            ToolStatus::Started if self.calls.contains_key(id) => return String::new(),
            ToolStatus::Started => None,
            _ => self.calls.remove(id),
        };
        let known = begun.as_deref().filter(|_| name.is_empty());
        let name = match known.unwrap_or(name) {
            "" => "tool",
            name => name,
        };
        let what = match (status, &begun) {
            (ToolStatus::Done, Some(_)) => return String::new(),
            // Some programs tell a call only when it is over; its output is not for this place.
            (ToolStatus::Done, None) => String::new(),
            _ => detail.map(detail_text).unwrap_or_default(),
        };
        let what = match what.is_empty() {
            true => what,
            false => format!(": {what}"),
        };
        if status == ToolStatus::Started && self.calls.len() < CALLS {
            self.calls.insert(id.to_owned(), name.to_owned());
        }
        match status {
            ToolStatus::Failed => format!("[tool {name} failed{what}]\n"),
            _ => format!("[tool {name}{what}]\n"),
        }
    }
}

/// One short line of a tool's arguments or output: a lone command or text as it is, else its JSON.
pub(super) fn detail_text(detail: &Value) -> String {
    let lone = match detail {
        Value::String(text) => Some(text.as_str()),
        Value::Object(fields) => fields.get("command").and_then(Value::as_str),
        _ => None,
    };
    match lone {
        Some(text) => short(text),
        None => short(&detail.to_string()),
    }
}

/// The text on one line, cut with a mark.
fn short(text: &str) -> String {
    let mut line = String::new();
    for (count, c) in text.trim().chars().enumerate() {
        if count == SHOWN {
            line.push('…');
            break;
        }
        line.push(if c.is_control() { ' ' } else { c });
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn tool(id: &str, name: &str, status: ToolStatus, detail: Value) -> Event {
        let (id, name) = (id.to_owned(), name.to_owned());
        let detail = Some(detail);
        Event::Tool {
            id,
            name,
            status,
            detail,
        }
    }

    fn shown(thoughts: bool, events: &[Event]) -> String {
        let mut printed = Printed::new(thoughts);
        let texts = events.iter().map(|event| printed.text(event).into_owned());
        texts.collect()
    }

    fn text(text: &str) -> Event {
        let text = text.to_owned();
        Event::Text { text }
    }

    #[test]
    fn a_tool_has_a_line_when_it_begins_and_when_it_fails() {
        let events = [
            text("I look."),
            tool(
                "1",
                "shell",
                ToolStatus::Started,
                json!({"command": "ls\n-la"}),
            ),
            tool("1", "", ToolStatus::Done, json!("a b c")),
            tool("2", "edit", ToolStatus::Started, json!({"path": "x"})),
            tool("2", "", ToolStatus::Failed, json!("denied")),
            tool("3", "bash", ToolStatus::Done, json!("out")),
            text("Done."),
        ];
        let expected = "I look.\n[tool shell: ls -la]\n[tool edit: {\"path\":\"x\"}]\n[tool edit failed: denied]\n[tool bash]\nDone.";
        assert_eq!(shown(false, &events), expected);
    }

    #[test]
    fn thoughts_are_shown_only_where_asked_for_and_apart_from_the_answer() {
        let thought = |text: &str| Event::Thought {
            text: text.to_owned(),
        };
        let events = [text("a\n"), thought("so"), thought(" it is"), text("b")];
        assert_eq!(shown(false, &events), "a\nb");
        assert_eq!(shown(true, &events), "a\n[thinks] so it is\nb");
    }

    #[test]
    fn what_is_shown_of_a_call_is_short() {
        let long = tool("1", "write", ToolStatus::Started, json!("x".repeat(9999)));
        let line = shown(false, &[long]);
        assert!(
            line.chars().count() < 250 && line.ends_with("…]\n"),
            "{line}"
        );
    }
}
