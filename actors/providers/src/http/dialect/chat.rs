//! OpenAI's chat completions.

use serde_json::{Map, Value, json};

use super::{count, table, text, usage};
use crate::event::{RunUsage, micros};
use crate::http::reply::{ReplyBuilder, StopReason};

pub(super) fn request(
    prompt: &str,
    system: Option<&str>,
    max_tokens: Option<u64>,
    is_original: bool,
) -> Map<String, Value> {
    let system = system.map(|text| json!({"role": "system", "content": text}));
    let user = json!({"role": "user", "content": prompt});
    let messages: Vec<Value> = system.into_iter().chain([user]).collect();
    let limit = match is_original {
        true => "max_completion_tokens",
        false => "max_tokens",
    };
    table([
        ("messages", Some(messages.into())),
        ("stream_options", Some(json!({"include_usage": true}))),
        (limit, max_tokens.map(Value::from)),
    ])
}

pub(super) fn read(value: &Value, reply: &mut ReplyBuilder) {
    if value.get("error").is_some_and(|it| !it.is_null()) {
        return reply.refuse(value);
    }
    if let Some(figures) = value.get("usage").filter(|it| it.is_object()) {
        reply.usage(figures_of(figures));
    }
    // The last event has no choices. Of several answers only the first is read.
    let choices = value.get("choices").and_then(Value::as_array);
    for choice in choices.into_iter().flatten() {
        if choice.get("index").and_then(Value::as_u64).unwrap_or(0) == 0 {
            self::choice(choice, reply);
        }
    }
}

fn choice(choice: &Value, reply: &mut ReplyBuilder) {
    let delta = choice.get("delta").or_else(|| choice.get("message"));
    let delta = delta.unwrap_or(&Value::Null);
    for name in ["/reasoning_content", "/reasoning"] {
        if let Some(piece) = text(delta, name) {
            reply.thought(piece);
            break;
        }
    }
    match delta.get("content") {
        Some(Value::String(piece)) => reply.text(piece),
        // Parts of several kinds, which some services send.
        Some(Value::Array(parts)) => {
            let pieces = parts.iter().filter_map(|part| text(part, "/text"));
            pieces.for_each(|piece| reply.text(piece));
        }
        _ => {}
    }
    if let Some(piece) = text(delta, "/refusal") {
        reply.refusal(piece);
    }
    if let Some(name) = text(delta, "/tool_calls/0/function/name") {
        reply.wants(name);
    }
    if let Some(reason) = text(choice, "/finish_reason") {
        reply.end(match reason {
            "stop" => StopReason::Done,
            "length" => StopReason::Cut,
            "content_filter" => StopReason::Filtered,
            "tool_calls" | "function_call" => StopReason::Tool,
            other => StopReason::Other(other.to_owned()),
        });
    }
}

fn figures_of(figures: &Value) -> RunUsage {
    let input = count(figures, "/prompt_tokens").unwrap_or(0);
    let output = count(figures, "/completion_tokens").unwrap_or(0);
    let cached = count(figures, "/prompt_tokens_details/cached_tokens");
    let cached = cached.or_else(|| count(figures, "/prompt_cache_hit_tokens"));
    let written = count(figures, "/prompt_tokens_details/cache_write_tokens");
    let reasoning = count(figures, "/completion_tokens_details/reasoning_tokens").unwrap_or(0);
    // Some services exclude reasoning from the output. Their total shows it.
    let is_beside = reasoning > 0
        && count(figures, "/total_tokens") == input.checked_add(output.saturating_add(reasoning));
    let output = match is_beside {
        true => output.saturating_add(reasoning),
        false => output,
    };
    let mut usage = usage(
        input,
        output,
        cached.unwrap_or(0),
        written.unwrap_or(0),
        reasoning,
    );
    usage.cost_micros = figures.get("cost").and_then(Value::as_f64).and_then(micros);
    usage
}
