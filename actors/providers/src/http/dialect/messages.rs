//! Anthropic's messages.

use serde_json::{Map, Value, json};

use super::{count, table, text};
use crate::event::ToolStatus;
use crate::http::reply::{ReplyBuilder, StopReason};

pub(super) fn request(
    prompt: &str,
    system: Option<&str>,
    max_tokens: Option<u64>,
) -> Map<String, Value> {
    table([
        (
            "messages",
            Some(json!([{"role": "user", "content": prompt}])),
        ),
        ("system", system.map(Value::from)),
        ("max_tokens", max_tokens.map(Value::from)),
    ])
}

pub(super) fn read(value: &Value, reply: &mut ReplyBuilder) {
    match text(value, "/type").unwrap_or_default() {
        "message_start" => {
            if let Some(message) = value.get("message") {
                figures(message, reply);
            }
        }
        "content_block_start" => {
            if let Some(block) = value.get("content_block") {
                self::block(block, reply);
            }
        }
        "content_block_delta" => {
            if let Some(piece) = text(value, "/delta/text") {
                reply.text(piece);
            }
            if let Some(piece) = text(value, "/delta/thinking") {
                reply.thought(piece);
            }
        }
        "message_delta" => {
            figures(value, reply);
            stop(text(value, "/delta/stop_reason"), reply);
        }
        "message_stop" => reply.over(),
        "error" => reply.refuse(value),
        // A whole answer, from a service that did not stream it.
        "message" => {
            figures(value, reply);
            let blocks = value.get("content").and_then(Value::as_array);
            blocks.into_iter().flatten().for_each(|it| block(it, reply));
            stop(text(value, "/stop_reason"), reply);
            reply.over();
        }
        _ => {}
    }
}

fn block(block: &Value, reply: &mut ReplyBuilder) {
    let name = text(block, "/name").unwrap_or("unnamed");
    match text(block, "/type").unwrap_or_default() {
        "text" => reply.text(text(block, "/text").unwrap_or_default()),
        "thinking" => reply.thought(text(block, "/thinking").unwrap_or_default()),
        "tool_use" => reply.wants(name),
        // A tool that the service runs itself.
        "server_tool_use" => {
            let id = text(block, "/id").unwrap_or(name);
            reply.tool(id, name, ToolStatus::Started);
        }
        _ => {}
    }
}

fn stop(reason: Option<&str>, reply: &mut ReplyBuilder) {
    let Some(reason) = reason else { return };
    reply.end(match reason {
        "end_turn" | "stop_sequence" => StopReason::Done,
        "max_tokens" | "model_context_window_exceeded" => StopReason::Cut,
        "refusal" => StopReason::Filtered,
        "tool_use" => StopReason::Tool,
        other => StopReason::Other(other.to_owned()),
    });
}

/// Reads figures. Each one is a total of the message and replaces the previous one. Input excludes cached tokens.
fn figures(message: &Value, reply: &mut ReplyBuilder) {
    let Some(figures) = message.get("usage").filter(|it| it.is_object()) else {
        return;
    };
    let mut usage = reply.used();
    for (name, figure) in [
        ("/input_tokens", &mut usage.input),
        ("/cache_read_input_tokens", &mut usage.cache_read),
        ("/cache_creation_input_tokens", &mut usage.cache_write),
        ("/output_tokens", &mut usage.output),
    ] {
        if let Some(reported) = count(figures, name) {
            *figure = reported;
        }
    }
    reply.usage(usage);
}
