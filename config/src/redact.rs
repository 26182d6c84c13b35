//! Hides secrets in settings that are shown.

use kirosu_protocol::redact::{HIDDEN, hide_in_command, hide_in_text, is_secret_name};
use serde_json::Value;

/// Whether secrets are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SecretDisplay {
    /// `***` in their place.
    Hidden,
    /// As they are, except for the hub's key, which is never shown.
    Shown,
}

/// The value of a setting with secrets replaced. `is_secret` means that each text in it may be one, as in a table of
/// variables.
pub(crate) fn hide(value: &Value, is_secret: bool) -> Value {
    match value {
        Value::String(_) if is_secret => HIDDEN.into(),
        Value::String(text) => hide_in_text(text).into(),
        Value::Array(items) => match items.iter().map(Value::as_str).collect::<Option<Vec<_>>>() {
            Some(words) if !is_secret => hide_in_command(&words, &[]).into(),
            _ => items.iter().map(|item| hide(item, is_secret)).collect(),
        },
        Value::Object(entries) => {
            let entry = |(name, value): (&String, &Value)| {
                let names_secret =
                    matches!(name.as_str(), "env" | "headers") || is_secret_name(name);
                (name.clone(), hide(value, is_secret || names_secret))
            };
            Value::Object(entries.iter().map(entry).collect())
        }
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn tables_of_variables_are_hidden() {
        let value = json!({"safe": {"args": ["-y"], "env": {"A": "b"}}, "n": 1, "api_key": "k"});
        let hidden =
            json!({"safe": {"args": ["-y"], "env": {"A": "***"}}, "n": 1, "api_key": "***"});
        assert_eq!(hide(&value, false), hidden);
    }
}
