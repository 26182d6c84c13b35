//! The three APIs: paths, requests and events. Each has a file of its own; this one has the shared parts.

mod chat;
mod messages;
mod responses;

use serde_json::{Map, Value, json};

use super::options::Service;
use super::reply::ReplyBuilder;
use super::sse::SseEvent;
use crate::event::RunUsage;
use crate::job::Job;

/// One of the three APIs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dialect {
    /// OpenAI's chat completions, which most services have.
    Chat {
        /// Whether the limit of an answer has its newer name, which only OpenAI accepts.
        is_original: bool,
    },
    /// OpenAI's responses.
    Responses,
    /// Anthropic's messages.
    Messages,
}

impl Dialect {
    pub(super) fn of(kind: &str, api: Option<&str>, preset: Option<&str>) -> Option<Self> {
        match (kind, api) {
            ("openai", None | Some("chat")) => Some(Self::Chat {
                is_original: preset == Some("openai"),
            }),
            ("openai", Some("responses")) => Some(Self::Responses),
            ("anthropic", None) => Some(Self::Messages),
            _ => None,
        }
    }

    /// The path below the base URL.
    pub(super) const fn path(self) -> &'static str {
        match self {
            Self::Chat { .. } => "/chat/completions",
            Self::Responses => "/responses",
            Self::Messages => "/v1/messages",
        }
    }

    pub(super) const fn models_path(self) -> &'static str {
        match self {
            Self::Messages => "/v1/models",
            _ => "/models",
        }
    }

    /// The request for a job.
    pub(super) fn request(self, service: &Service, job: &Job) -> Value {
        let system = job.system_prompt.as_deref().filter(|it| !it.is_empty());
        let mut body = match self {
            Self::Chat { is_original } => {
                chat::request(&job.prompt, system, service.max_tokens, is_original)
            }
            Self::Responses => responses::request(&job.prompt, system, service.max_tokens),
            Self::Messages => messages::request(&job.prompt, system, service.max_tokens),
        };
        body.insert("stream".to_owned(), json!(true));
        if let Some(model) = &job.model {
            body.insert("model".to_owned(), json!(model));
        }
        body.extend(service.body.clone());
        Value::Object(body)
    }

    /// Takes one event of the stream. Unknown kinds are ignored.
    pub(super) fn take(self, message: &SseEvent, reply: &mut ReplyBuilder) {
        let data = message.data.trim();
        if data == "[DONE]" {
            return reply.over();
        }
        match serde_json::from_str(data) {
            Ok(value) => self.read(&value, reply),
            Err(_) => reply.warn(format!(
                "the service sent an event that is not JSON ({} bytes); it was passed over",
                data.len()
            )),
        }
    }

    /// Takes one event, or a whole answer.
    pub(super) fn read(self, value: &Value, reply: &mut ReplyBuilder) {
        match self {
            Self::Chat { .. } => chat::read(value, reply),
            Self::Responses => responses::read(value, reply),
            Self::Messages => messages::read(value, reply),
        }
    }
}

/// A table of the fields that have a value.
fn table<const N: usize>(fields: [(&str, Option<Value>); N]) -> Map<String, Value> {
    let set = fields
        .into_iter()
        .filter_map(|(name, value)| Some((name.to_owned(), value?)));
    set.collect()
}

fn text<'v>(value: &'v Value, pointer: &str) -> Option<&'v str> {
    value.pointer(pointer)?.as_str().filter(|it| !it.is_empty())
}

fn count(value: &Value, pointer: &str) -> Option<u64> {
    value.pointer(pointer)?.as_u64()
}

/// Figures of OpenAI's kind: input includes cached tokens and output includes reasoning.
fn usage(input: u64, output: u64, cached: u64, written: u64, reasoning: u64) -> RunUsage {
    RunUsage {
        input: input.saturating_sub(cached).saturating_sub(written),
        cache_read: cached,
        cache_write: written,
        output: output.saturating_sub(reasoning),
        reasoning,
        cost_micros: None,
    }
}
