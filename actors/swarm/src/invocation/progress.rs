//! The progress of a run for those who watch it: its newest events in one small document.

use kirosu_protocol::text::head;
use kirosu_providers::{RunEvent, RunUsage, ToolStatus};
use serde_json::{Map, Value, json};

use super::printed::detail_text;

/// Maximum length of a name in bytes.
const NAME: usize = 200;

/// The state of the run. Each document contains all of it, so that a lost one does not matter.
#[derive(Debug, Default)]
pub(super) struct RunProgress {
    known: Map<String, Value>,
    tools: u64,
    changed: bool,
}

impl RunProgress {
    /// Applies an event.
    pub(super) fn take(&mut self, event: &RunEvent) {
        match event {
            RunEvent::Started { session, model, .. } => {
                self.name("session", session.as_deref());
                self.name("model", model.as_deref());
            }
            RunEvent::Session { session } => self.name("session", Some(session)),
            RunEvent::Tool {
                name,
                status,
                detail,
                ..
            } => self.tool(name, *status, detail.as_ref()),
            RunEvent::Usage { usage } => self.set("usage", figures(usage)),
            _ => {}
        }
    }

    /// Whether the state changed since the last document.
    pub(super) fn has_changes(&self) -> bool {
        self.changed
    }

    /// Returns the document, and marks the state as sent.
    pub(super) fn document(&mut self) -> Value {
        self.changed = false;
        Value::Object(self.known.clone())
    }

    /// Marks the state as not sent.
    pub(super) fn mark_unsent(&mut self) {
        self.changed = true;
    }

    fn name(&mut self, key: &str, name: Option<&str>) {
        if let Some(name) = name.filter(|it| !it.is_empty() && it.len() <= NAME) {
            self.set(key, name.into());
        }
    }

    fn tool(&mut self, name: &str, status: ToolStatus, detail: Option<&Value>) {
        match status {
            ToolStatus::Started => {
                self.tools += 1;
                let what = detail.map(detail_text).unwrap_or_default();
                self.set("tools", self.tools.into());
                self.set("tool", json!({"name": head(name, NAME), "what": what}));
            }
            ToolStatus::Done | ToolStatus::Failed => {
                if self.known.remove("tool").is_some() {
                    self.changed = true;
                } else {
                    // This call is reported only when it is over.
                    self.tools += 1;
                    self.set("tools", self.tools.into());
                }
            }
        }
    }

    fn set(&mut self, key: &str, value: Value) {
        if self.known.get(key) != Some(&value) {
            self.known.insert(key.to_owned(), value);
            self.changed = true;
        }
    }
}

/// Usage under the names of a task's result.
fn figures(usage: &RunUsage) -> Value {
    json!({
        "input_tokens": usage.input,
        "cache_read_tokens": usage.cache_read,
        "cache_write_tokens": usage.cache_write,
        "output_tokens": usage.output.saturating_add(usage.reasoning),
        "cost_usd": usage.cost_micros.map(|micros| micros as f64 / 1e6),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tool(status: ToolStatus) -> RunEvent {
        RunEvent::Tool {
            id: "1".to_owned(),
            name: "shell".to_owned(),
            status,
            detail: Some(json!({"command": "ls"})),
        }
    }

    #[test]
    fn each_document_is_complete_and_only_changes_are_sent() {
        let mut progress = RunProgress::default();
        progress.take(&RunEvent::Started {
            pid: Some(1),
            session: None,
            model: Some("m".to_owned()),
        });
        progress.take(&tool(ToolStatus::Started));
        assert!(progress.has_changes());
        let tool_runs = json!({"model": "m", "tools": 1, "tool": {"name": "shell", "what": "ls"}});
        assert_eq!(progress.document(), tool_runs);
        progress.take(&RunEvent::Text {
            text: "x".to_owned(),
        });
        assert!(!progress.has_changes());
        progress.take(&tool(ToolStatus::Done));
        let usage = RunUsage {
            input: 1000,
            output: 30,
            reasoning: 4,
            ..RunUsage::default()
        };
        progress.take(&RunEvent::Usage {
            usage: usage.clone(),
        });
        let document = progress.document();
        assert_eq!(document["usage"]["output_tokens"], 34);
        assert!(document.get("tool").is_none() && document["tools"] == 1);
        progress.take(&RunEvent::Usage { usage });
        assert!(!progress.has_changes(), "the same figures are no news");
    }
}
