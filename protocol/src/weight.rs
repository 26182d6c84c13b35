//! The memory that values from clients take.

use serde_json::Value;

/// The approximate memory of a JSON value, in bytes. A list of numbers takes many times the bytes of its text.
pub fn weight(value: &Value) -> usize {
    let inner = match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => 0,
        Value::String(text) => text.len(),
        Value::Array(items) => items.iter().map(weight).sum(),
        Value::Object(fields) => fields
            .iter()
            .map(|(name, value)| size_of::<String>() + name.len() + weight(value))
            .sum(),
    };
    size_of::<Value>() + inner
}
