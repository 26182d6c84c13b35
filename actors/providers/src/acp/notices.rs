//! Notices of the program itself among its updates, whatever their form. They become warnings and are not part of the
//! answer.

use serde_json::Value;

use super::tools;
use super::turn::text_of;
use crate::definition::AcpRules;

/// Finds notices, and keeps the last one.
#[derive(Debug)]
pub(super) struct Notices {
    /// Beginnings of texts.
    texts: Vec<String>,
    /// Beginnings of ids of tool calls.
    calls: Vec<String>,
    /// JSON pointers to the text of updates whose kind is a notice.
    pointers: Vec<String>,
    last: String,
}

impl Notices {
    pub(super) fn new(acp: &AcpRules) -> Self {
        Self {
            texts: acp.notices.clone(),
            calls: acp.notice_calls.clone(),
            pointers: acp.notice_text.clone(),
            last: String::new(),
        }
    }

    /// The notice in an update; `None` where it has none.
    pub(super) fn take(&mut self, update: &Value) -> Option<String> {
        let notice = self.read(update)?;
        self.last.clone_from(&notice);
        Some(notice)
    }

    /// The last notice of the turn; empty where there was none.
    pub(super) fn last(&self) -> &str {
        &self.last
    }

    fn read(&self, update: &Value) -> Option<String> {
        let begins = |text: &str, with: &[String]| with.iter().any(|it| text.starts_with(it));
        let kind = update["sessionUpdate"].as_str()?;
        Some(match kind {
            "notice" => {
                let part = |name: &str| update[name].as_str().map(str::trim);
                let parts = [part("title"), part("description")];
                parts.into_iter().flatten().collect::<Vec<_>>().join(": ")
            }
            "agent_message_chunk" => {
                let text = text_of(&update["content"])?;
                let text = text.trim();
                begins(text, &self.texts).then(|| text.to_owned())?
            }
            "tool_call" | "tool_call_update" => {
                let id = update["toolCallId"].as_str().unwrap_or_default();
                begins(id, &self.calls).then(|| tools::text(update))?
            }
            _ => {
                let mut stated = self
                    .pointers
                    .iter()
                    .filter_map(|it| update.pointer(it)?.as_str());
                stated.next()?.trim().to_owned()
            }
        })
    }
}
