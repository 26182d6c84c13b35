//! OpenAI's responses.

use serde_json::{Map, Value, json};

use super::{count, table, text, usage};
use crate::event::ToolStatus;
use crate::http::reply::{ReplyBuilder, StopReason};

pub(super) fn request(
    prompt: &str,
    system: Option<&str>,
    max_tokens: Option<u64>,
) -> Map<String, Value> {
    table([
        ("input", Some(prompt.into())),
        ("instructions", system.map(Value::from)),
        ("max_output_tokens", max_tokens.map(Value::from)),
        // No response is read again, so the service need not store it.
        ("store", Some(json!(false))),
    ])
}

pub(super) fn read(value: &Value, reply: &mut ReplyBuilder) {
    let response = value.get("response").unwrap_or(value);
    match text(value, "/type").unwrap_or_default() {
        "response.output_text.delta" => piece(value, |it| reply.text(it)),
        "response.reasoning_summary_text.delta" | "response.reasoning_text.delta" => {
            piece(value, |it| reply.thought(it));
        }
        "response.refusal.delta" => piece(value, |it| reply.refusal(it)),
        "response.output_item.done" => {
            if let Some(item) = value.get("item") {
                call(item, reply);
            }
        }
        "response.completed" | "response.incomplete" | "response.failed" => ended(response, reply),
        "error" => reply.refuse(value),
        "" if text(value, "/object") == Some("response") => ended(value, reply),
        "" if value.get("error").is_some() => reply.refuse(value),
        _ => {}
    }
}

fn piece(value: &Value, take: impl FnOnce(&str)) {
    if let Some(piece) = text(value, "/delta") {
        take(piece);
    }
}

/// Takes a tool call: one for us fails the run, one that the service ran is reported.
fn call(item: &Value, reply: &mut ReplyBuilder) {
    match text(item, "/type").unwrap_or_default() {
        "function_call" | "custom_tool_call" => {
            reply.wants(text(item, "/name").unwrap_or("unnamed"));
        }
        kind if kind.ends_with("_call") => {
            let id = text(item, "/id").unwrap_or(kind);
            reply.tool(id, kind, ToolStatus::Done);
        }
        _ => {}
    }
}

fn ended(response: &Value, reply: &mut ReplyBuilder) {
    if let Some(figures) = response.get("usage").filter(|it| it.is_object()) {
        let of = |pointer| count(figures, pointer).unwrap_or(0);
        reply.usage(usage(
            of("/input_tokens"),
            of("/output_tokens"),
            of("/input_tokens_details/cached_tokens"),
            0,
            of("/output_tokens_details/reasoning_tokens"),
        ));
    }
    if response.get("error").is_some_and(|it| !it.is_null()) {
        return reply.refuse(response);
    }
    if !reply.has_text() {
        whole(response, reply);
    }
    let reason = text(response, "/incomplete_details/reason");
    reply.end(match (text(response, "/status"), reason) {
        _ if reply.wants_tool() => StopReason::Tool,
        (Some("completed") | None, _) => StopReason::Done,
        (_, Some("max_output_tokens")) => StopReason::Cut,
        (_, Some("content_filter")) => StopReason::Filtered,
        (Some(status), reason) => StopReason::Other(reason.unwrap_or(status).to_owned()),
    });
    reply.over();
}

/// Reads the answer of a service that did not stream it.
fn whole(response: &Value, reply: &mut ReplyBuilder) {
    let items = response.get("output").and_then(Value::as_array);
    for item in items.into_iter().flatten() {
        call(item, reply);
        let parts = item.get("content").and_then(Value::as_array);
        for part in parts.into_iter().flatten() {
            match text(part, "/type") {
                Some("output_text") => reply.text(text(part, "/text").unwrap_or_default()),
                Some("refusal") => reply.refusal(text(part, "/refusal").unwrap_or_default()),
                _ => {}
            }
        }
    }
}
