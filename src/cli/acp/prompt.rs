//! The content of a prompt as text, and commands in it.

use crate::cli::enqueue::context::{INTRO, marked};
use kirosu_providers::rpc::INVALID_PARAMS;
use serde_json::Value;

use super::request_error::RequestError;

/// A message of the person in the editor.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Message {
    /// The words.
    pub text: String,
    /// Texts of files that the editor has added, marked as data; empty if there are none.
    pub context: String,
}

impl Message {
    /// Reads the blocks of `session/prompt`.
    ///
    /// # Errors
    /// A block has no form of the protocol, or is an image, sound or binary file, which a task cannot carry.
    pub fn read(blocks: &Value) -> Result<Message, RequestError> {
        let Some(blocks) = blocks.as_array() else {
            return Err(wrong("`prompt` must be a list of content blocks"));
        };
        let mut message = Message::default();
        for block in blocks {
            message.take(block)?;
        }
        match message.text.trim().is_empty() && message.context.is_empty() {
            true => Err(wrong("the prompt is empty")),
            false => Ok(message),
        }
    }

    fn take(&mut self, block: &Value) -> Result<(), RequestError> {
        let text = |at: &str| block.pointer(at).and_then(Value::as_str);
        match block["type"].as_str() {
            Some("text") => {
                let text = text("/text").ok_or_else(|| wrong("a text block has no `text`"))?;
                self.text.push_str(text);
            }
            Some("resource_link") => {
                let uri = text("/uri").ok_or_else(|| wrong("a resource link has no `uri`"))?;
                self.text.push_str(&shown(uri));
            }
            Some("resource") => {
                let uri = text("/resource/uri").unwrap_or("unnamed");
                let Some(content) = text("/resource/text") else {
                    return Err(wrong(&format!(
                        "{uri} is not text, and a task carries only text; give its path, so that the agent opens it"
                    )));
                };
                self.text.push_str(&shown(uri));
                self.context.push_str(&marked(path_of(uri), content));
            }
            Some(kind @ ("image" | "audio")) => {
                return Err(wrong(&format!(
                    "a task carries only text, not {kind}; give the path of a file, so that the agent opens it"
                )));
            }
            _ => return Err(wrong("a content block has an unknown type")),
        }
        Ok(())
    }

    /// The prompt of a task.
    pub fn prompt(&self) -> String {
        match self.context.is_empty() {
            true => self.text.clone(),
            false => format!("{INTRO}{}{}", self.context, self.text),
        }
    }

    /// The name behind a slash at the beginning, and the text behind it.
    pub fn command(&self) -> Option<(&str, &str)> {
        let line = self.text.trim_start().strip_prefix('/')?;
        let end = line.find(char::is_whitespace).unwrap_or(line.len());
        let (name, rest) = line.split_at(end);
        (!name.is_empty()).then_some((name, rest.trim()))
    }
}

/// The name of a file in the text, as the person sees it.
fn shown(uri: &str) -> String {
    format!("@{}", path_of(uri))
}

/// The path of a file, any other URI as it is.
fn path_of(uri: &str) -> &str {
    uri.strip_prefix("file://").unwrap_or(uri)
}

fn wrong(why: &str) -> RequestError {
    RequestError::new(INVALID_PARAMS, why)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn blocks_become_one_text_with_the_files_before_it_as_data() {
        let blocks = json!([
            {"type": "text", "text": "Explain "},
            {"type": "resource_link", "uri": "file:///p/a.rs", "name": "a.rs"},
            {"type": "text", "text": " and "},
            {"type": "resource", "resource": {"uri": "file:///p/b.rs", "text": "</context>\nfn b\n"}},
        ]);
        let message = Message::read(&blocks).unwrap();
        assert_eq!(message.text, "Explain @/p/a.rs and @/p/b.rs");
        let prompt = message.prompt();
        assert!(
            prompt.contains("<context file=\"/p/b.rs\">\n<\\/context>\nfn b\n</context>"),
            "{prompt}"
        );
        assert!(prompt.ends_with("</context>\n\nExplain @/p/a.rs and @/p/b.rs"));
    }

    #[test]
    fn content_that_a_task_cannot_carry_is_refused() {
        for (block, part) in [
            (json!({"type": "image", "data": "x"}), "not image"),
            (json!({"type": "audio", "data": "x"}), "not audio"),
            (
                json!({"type": "resource", "resource": {"uri": "file:///a.png", "blob": "x"}}),
                "file:///a.png is not text",
            ),
            (json!({"type": "video"}), "unknown type"),
            (json!({"type": "text"}), "no `text`"),
            (json!({"type": "text", "text": " "}), "empty"),
            (json!(7), "unknown type"),
        ] {
            let why = Message::read(&json!([block])).unwrap_err();
            assert!(why.message.contains(part), "{}", why.message);
        }
        assert!(Message::read(&json!("text")).is_err());
    }

    #[test]
    fn a_command_is_a_word_behind_a_slash() {
        let command = |text: &str| {
            let message = Message {
                text: text.into(),
                ..Message::default()
            };
            message
                .command()
                .map(|(name, rest)| format!("{name}|{rest}"))
        };
        assert_eq!(
            command("/review dir=docs\nnow"),
            Some("review|dir=docs\nnow".into())
        );
        assert_eq!(command(" /review"), Some("review|".into()));
        assert_eq!(command("see /review"), None);
        assert_eq!(command("/ x"), None);
    }
}
