//! The text of a run for a person who watches it.

use std::borrow::Cow;
use std::collections::HashMap;

use kirosu_providers::{RunEvent, ToolStatus};
use serde_json::Value;

/// Maximum number of characters shown of a tool's arguments or error.
const SHOWN: usize = 200;
/// Lines shown of a tool's output, from its beginning and from its end.
const OUTPUT_HEAD: usize = 5;
const OUTPUT_TAIL: usize = 5;
/// Maximum number of running tool calls whose names are remembered.
const CALLS: usize = 256;

/// Turns events into text. Answers, stderr and warnings are shown as they are. A tool call has a line when it begins,
/// then the beginning and end of its output, and another line when it fails.
#[derive(Debug)]
pub(super) struct Printed {
    thoughts: bool,
    /// Whether the last text did not end its line.
    mid_line: bool,
    thinking: bool,
    /// Names of running calls, by id.
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

    /// Returns the text to show; empty if there is none.
    pub(super) fn text<'e>(&mut self, event: &'e RunEvent) -> Cow<'e, str> {
        let was_thinking = std::mem::take(&mut self.thinking);
        let text = match event {
            RunEvent::Text { text } | RunEvent::Stderr { text } if was_thinking => self.line(text),
            RunEvent::Text { text } | RunEvent::Stderr { text } => Cow::Borrowed(text.as_str()),
            RunEvent::Warning { message } if message.ends_with('\n') => self.line(message),
            RunEvent::Warning { message } => self.line(&format!("{message}\n")).into_owned().into(),
            RunEvent::Thought { text } if self.thoughts => {
                self.thinking = true;
                match was_thinking {
                    true => Cow::Borrowed(text.as_str()),
                    false => self.line(&format!("[thinks] {text}")).into_owned().into(),
                }
            }
            RunEvent::Thought { .. } => {
                self.thinking = was_thinking;
                Cow::Borrowed("")
            }
            RunEvent::Permission { title, .. } => {
                let line = format!("[asks for permission: {}]\n", short(title));
                self.line(&line).into_owned().into()
            }
            RunEvent::Tool {
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

    /// Puts text on a line of its own.
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
        let output = match status {
            ToolStatus::Started => String::new(),
            _ => detail.map(output_text).unwrap_or_default(),
        };
        let what = match status {
            ToolStatus::Started => detail.map(detail_text).unwrap_or_default(),
            // A short output is shown in the line itself.
            ToolStatus::Failed if output.trim().lines().count() < 2 => short(&output),
            _ => String::new(),
        };
        let block = match what.is_empty() {
            true => block(&output),
            false => String::new(),
        };
        let what = match what.is_empty() {
            true => what,
            false => format!(": {what}"),
        };
        if status == ToolStatus::Started && self.calls.len() < CALLS {
            self.calls.insert(id.to_owned(), name.to_owned());
        }
        match status {
            ToolStatus::Failed => format!("[tool {name} failed{what}]\n{block}"),
            ToolStatus::Done if begun.is_some() => block,
            _ => format!("[tool {name}{what}]\n{block}"),
        }
    }
}

/// Returns a tool's arguments or output in one short line: a lone command or text as it is, otherwise as JSON.
pub(super) fn detail_text(detail: &Value) -> String {
    let lone = match detail {
        Value::String(text) => Some(text.as_str()),
        Value::Object(fields) => fields
            .get("command")
            .or_else(|| fields.get("cmd"))
            .and_then(Value::as_str),
        _ => None,
    };
    match lone {
        Some(text) => short(text),
        None => short(&detail.to_string()),
    }
}

/// Returns a tool's output as text, from the forms that programs use: a text, blocks of content, a field of a result;
/// otherwise as JSON.
fn output_text(detail: &Value) -> String {
    match detail {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Array(items) => {
            let texts = items.iter().map(output_text);
            texts.collect::<Vec<_>>().join("\n")
        }
        Value::Object(fields) => {
            let known = ["text", "output", "content", "stdout", "message"];
            let found = known.iter().find_map(|name| fields.get(*name));
            found.map_or_else(|| detail.to_string(), output_text)
        }
        other => other.to_string(),
    }
}

/// Returns the first and the last lines, indented, with a mark for those left out.
fn block(output: &str) -> String {
    let lines: Vec<&str> = output.trim_matches('\n').lines().collect();
    if lines.iter().all(|line| line.trim().is_empty()) {
        return String::new();
    }
    let left_out = lines.len().saturating_sub(OUTPUT_HEAD + OUTPUT_TAIL);
    let mut block = String::new();
    for (index, line) in lines.iter().enumerate() {
        if left_out > 1 && index == OUTPUT_HEAD {
            block.push_str(&format!("  … {left_out} more lines …\n"));
        }
        if left_out < 2 || !(OUTPUT_HEAD..OUTPUT_HEAD + left_out).contains(&index) {
            block.push_str("  ");
            block.push_str(&cut_line(line));
            block.push('\n');
        }
    }
    block
}

/// Returns the text on one line, cut with a mark.
fn short(text: &str) -> String {
    cut_line(text.trim())
}

fn cut_line(text: &str) -> String {
    let mut line = String::new();
    for (count, c) in text.chars().enumerate() {
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

    fn tool(id: &str, name: &str, status: ToolStatus, detail: Value) -> RunEvent {
        let (id, name) = (id.to_owned(), name.to_owned());
        let detail = Some(detail);
        RunEvent::Tool {
            id,
            name,
            status,
            detail,
        }
    }

    fn shown(thoughts: bool, events: &[RunEvent]) -> String {
        let mut printed = Printed::new(thoughts);
        let texts = events.iter().map(|event| printed.text(event).into_owned());
        texts.collect()
    }

    fn text(text: &str) -> RunEvent {
        let text = text.to_owned();
        RunEvent::Text { text }
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
        let expected = "I look.\n[tool shell: ls -la]\n  a b c\n[tool edit: {\"path\":\"x\"}]\n[tool edit failed: denied]\n[tool bash]\n  out\nDone.";
        assert_eq!(shown(false, &events), expected);
    }

    #[test]
    fn the_output_of_a_tool_is_shown_at_its_beginning_and_its_end() {
        let lines: Vec<String> = (1..=20).map(|it| format!("line {it}")).collect();
        let content = json!([{"type": "text", "text": lines.join("\n")}]);
        let events = [
            tool(
                "1",
                "shell",
                ToolStatus::Started,
                json!({"command": "seq 20", "x": 1}),
            ),
            tool("1", "", ToolStatus::Done, json!({"content": content})),
            tool("2", "shell", ToolStatus::Failed, json!("one\ntwo")),
            tool("3", "quiet", ToolStatus::Done, json!("")),
        ];
        let expected = "[tool shell: seq 20]\n  line 1\n  line 2\n  line 3\n  line 4\n  line 5\n  … 10 more lines …\n  line 16\n  line 17\n  line 18\n  line 19\n  line 20\n[tool shell failed]\n  one\n  two\n[tool quiet]\n";
        assert_eq!(shown(false, &events), expected);
    }

    #[test]
    fn a_warning_ends_its_line() {
        let warning = |message: &str| RunEvent::Warning {
            message: message.to_owned(),
        };
        let events = [text("a"), warning("careful"), warning("again\n"), text("b")];
        assert_eq!(shown(false, &events), "a\ncareful\nagain\nb");
    }

    #[test]
    fn thoughts_are_shown_only_where_asked_for_and_apart_from_the_answer() {
        let thought = |text: &str| RunEvent::Thought {
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
