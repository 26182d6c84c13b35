//! Progress of a run as one line.

use crate::terminal::text;
use serde_json::Value;

/// Describes the progress that a worker reported. Fields of agent sessions (tool, tools, usage, model), `percent` and
/// `text` are described in words; other values are printed as JSON.
pub fn line(data: &Value) -> String {
    let word = |key: &str| data.get(key).and_then(Value::as_str);
    let mut parts: Vec<String> = word("text").map(str::to_owned).into_iter().collect();
    if let Some(percent) = data.get("percent").and_then(Value::as_f64) {
        parts.insert(0, format!("{percent:.0} %"));
    }
    if let Some(tool) = data.get("tool") {
        let part = |key: &str| tool.get(key).and_then(Value::as_str).unwrap_or_default();
        let name = Some(part("name")).filter(|it| !it.is_empty());
        parts.push(match part("what") {
            "" => name.unwrap_or("a tool").to_owned(),
            what => format!("{}: {what}", name.unwrap_or("a tool")),
        });
    }
    match data.get("tools").and_then(Value::as_u64) {
        Some(1) => parts.push("1 tool used".to_owned()),
        Some(tools) => parts.push(format!("{} tools used", text::grouped(tools))),
        None => {}
    }
    if let Some(usage) = data.get("usage") {
        let figure = |key: &str| usage.get(key).and_then(Value::as_u64).unwrap_or(0);
        let input =
            figure("input_tokens") + figure("cache_read_tokens") + figure("cache_write_tokens");
        let (input, output) = (text::grouped(input), text::grouped(figure("output_tokens")));
        parts.push(format!("{input} tokens in, {output} out"));
        let cost = usage.get("cost_usd").and_then(Value::as_f64);
        parts.extend(cost.map(|cost| format!("${cost:.4}")));
    }
    parts.extend(word("model").map(str::to_owned));
    match (parts.is_empty(), word("session")) {
        (true, Some(session)) => format!("conversation {session}"),
        (true, None) => data.to_string(),
        (false, _) => parts.join(" · "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn known_fields_are_described_in_words() {
        let reported = json!({
            "session": "s-1", "model": "m", "tools": 2, "tool": {"name": "shell", "what": "ls -la"},
            "usage": {"input_tokens": 1000, "cache_read_tokens": 200, "output_tokens": 34, "cost_usd": 0.0036}
        });
        let expected = "shell: ls -la · 2 tools used · 1200 tokens in, 34 out · $0.0036 · m";
        assert_eq!(line(&reported), expected);
        assert_eq!(
            line(&json!({"percent": 40, "text": "reading"})),
            "40 % · reading"
        );
        assert_eq!(line(&json!({"session": "s-1"})), "conversation s-1");
        assert_eq!(line(&json!({"step": 3})), "{\"step\":3}");
        assert_eq!(line(&json!("half")), "\"half\"");
    }
}
