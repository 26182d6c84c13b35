//! The JSON schemas of the tools, in the form that all MCP clients accept.
//!
//! JSON Schema allows `true` and `false` as schemas. The MCP SDK for TypeScript does not: its clients refuse all tools of
//! a server that has one such schema.

use rmcp::model::JsonObject;
use serde_json::{Map, Value};

/// Keywords whose value is an object of schemas.
const TABLES: &[&str] = &[
    "properties",
    "patternProperties",
    "$defs",
    "definitions",
    "dependentSchemas",
];
/// Keywords whose value is one schema.
const ONE: &[&str] = &[
    "items",
    "contains",
    "not",
    "if",
    "then",
    "else",
    "propertyNames",
    "unevaluatedItems",
    "unevaluatedProperties",
];
/// Keywords whose value is a list of schemas.
const LISTS: &[&str] = &["allOf", "anyOf", "oneOf", "prefixItems"];

/// The same schema without `true` and `false` as schemas. `"additionalProperties": false` is kept, because all clients
/// accept it; `true` is the default and is removed.
pub(super) fn without_booleans(schema: &JsonObject) -> JsonObject {
    let mut schema = schema.clone();
    object(&mut schema);
    schema
}

fn object(schema: &mut Map<String, Value>) {
    let additional = "additionalProperties";
    match schema.get_mut(additional) {
        Some(Value::Bool(true)) => drop(schema.remove(additional)),
        Some(Value::Object(below)) => object(below),
        _ => {}
    }
    for (keyword, value) in schema.iter_mut() {
        let keyword = keyword.as_str();
        match value {
            Value::Object(tables) if TABLES.contains(&keyword) => {
                tables.values_mut().for_each(one);
            }
            Value::Array(items) if LISTS.contains(&keyword) || keyword == "items" => {
                items.iter_mut().for_each(one);
            }
            value if ONE.contains(&keyword) => one(value),
            _ => {}
        }
    }
}

fn one(schema: &mut Value) {
    match schema {
        Value::Bool(true) => *schema = Value::Object(Map::new()),
        Value::Bool(false) => *schema = serde_json::json!({"not": {}}),
        Value::Object(below) => object(below),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn booleans_become_objects_at_every_depth() {
        let schema = json!({
            "type": "object", "additionalProperties": false,
            "properties": {
                "any": true,
                "never": false,
                "list": {"type": "array", "items": true},
                "table": {"type": "object", "additionalProperties": true},
                "either": {"anyOf": [true, {"properties": {"x": true}}]},
                "flag": {"type": "boolean", "default": true, "const": true, "enum": [true]},
            },
            "$defs": {"d": {"properties": {"properties": true}}},
        });
        let plain = without_booleans(schema.as_object().unwrap());
        let expected = json!({
            "type": "object", "additionalProperties": false,
            "properties": {
                "any": {},
                "never": {"not": {}},
                "list": {"type": "array", "items": {}},
                "table": {"type": "object"},
                "either": {"anyOf": [{}, {"properties": {"x": {}}}]},
                "flag": {"type": "boolean", "default": true, "const": true, "enum": [true]},
            },
            "$defs": {"d": {"properties": {"properties": {}}}},
        });
        assert_eq!(Value::Object(plain), expected);
    }
}
