//! The JSON schema of plans, for editors, made from the table of fields.

use crate::fields::{Field, Kind, PLAN, Preset, STEP, TableSpec};
use crate::limits::NAME_BYTES;
use serde_json::{Map, Value, json};

/// The JSON schema (draft 2020-12) of a plan in YAML or JSON. A text that it accepts may still have faults that a schema
/// cannot express, such as an unknown step.
pub fn schema() -> Value {
    let mut definitions = Map::new();
    let mut root = table(&PLAN, &mut definitions);
    if let Some(root) = root.as_object_mut() {
        root.insert(
            "$schema".into(),
            "https://json-schema.org/draft/2020-12/schema".into(),
        );
        root.insert("title".into(), "Kirosu plan".into());
        root.insert("$defs".into(), Value::Object(definitions));
    }
    root
}

fn reference(spec: &'static TableSpec, definitions: &mut Map<String, Value>) -> Value {
    if !definitions.contains_key(spec.name) {
        // A step contains steps: its name is known before its fields are.
        definitions.insert(spec.name.into(), Value::Null);
        let table = table(spec, definitions);
        definitions.insert(spec.name.into(), table);
    }
    json!({ "$ref": format!("#/$defs/{}", spec.name) })
}

fn table(spec: &'static TableSpec, definitions: &mut Map<String, Value>) -> Value {
    let mut properties = Map::new();
    let mut rules = Vec::new();
    for field in spec.fields {
        let property = property(field, definitions);
        if let Some(alias) = field.alias {
            properties.insert(alias.into(), property.clone());
        }
        properties.insert(field.name.into(), property);
        match (field.required, field.alias) {
            (false, _) => {}
            (true, None) => rules.push(json!({ "required": [field.name] })),
            (true, Some(alias)) => {
                rules.push(
                    json!({ "oneOf": [{ "required": [field.name] }, { "required": [alias] }] }),
                );
            }
        }
    }
    if std::ptr::eq(spec, &STEP) {
        let config = "Fields of the step, as the original planner writes them";
        properties.insert(
            "config".into(),
            json!({ "type": "object", "description": config }),
        );
    }
    let mut table = json!({
        "type": "object",
        "description": spec.doc,
        "additionalProperties": false,
        "properties": properties,
    });
    if !rules.is_empty() {
        table["allOf"] = rules.into();
    }
    table
}

fn property(field: &'static Field, definitions: &mut Map<String, Value>) -> Value {
    let mut property = kind(&field.kind, definitions);
    // A field without a value counts as not given.
    if !field.required && !matches!(field.kind, Kind::Json) {
        property = json!({ "anyOf": [property, { "type": "null" }] });
    }
    property["description"] = field.doc.into();
    match field.preset {
        Some(Preset::Whole(number)) => property["default"] = number.into(),
        Some(Preset::Word(word)) => property["default"] = word.into(),
        Some(Preset::Flag(flag)) => property["default"] = flag.into(),
        None => {}
    }
    property
}

fn kind(of: &'static Kind, definitions: &mut Map<String, Value>) -> Value {
    match of {
        Kind::Text | Kind::Template => json!({ "type": ["string", "number"] }),
        Kind::Expression => json!({ "type": "string" }),
        Kind::Name => json!({
            "type": "string",
            "pattern": "^[A-Za-z_][A-Za-z0-9_-]*$",
            "maxLength": NAME_BYTES,
        }),
        Kind::Word(words) => json!({ "enum": words }),
        Kind::Flag => json!({ "type": "boolean" }),
        Kind::Whole(low, high) => json!({ "type": "integer", "minimum": low, "maximum": high }),
        Kind::Float(low, high) => json!({ "type": "number", "minimum": low, "maximum": high }),
        Kind::Duration => json!({ "type": "string", "examples": ["90s", "2h"] }),
        Kind::Size(high) => json!({
            "anyOf": [
                { "type": "string", "examples": ["64 KiB"] },
                { "type": "integer", "minimum": 1, "maximum": high },
            ],
        }),
        Kind::Percent => json!({ "type": "string", "pattern": "%\\s*$" }),
        Kind::Json => json!({}),
        Kind::Schema => json!({ "type": "object" }),
        Kind::Table(spec) => reference(spec, definitions),
        Kind::List(kind_of) => {
            json!({ "type": "array", "minItems": 1, "items": kind(kind_of, definitions) })
        }
        Kind::OneOrMore(kind_of) => {
            let one = kind(kind_of, definitions);
            json!({ "anyOf": [one, { "type": "array", "items": one }] })
        }
        Kind::Map(kind_of) => {
            let value = kind(kind_of, definitions);
            json!({ "type": "object", "additionalProperties": { "anyOf": [value, { "type": "null" }] } })
        }
        Kind::Either(kinds) => {
            let kinds: Vec<Value> = kinds.iter().map(|of| kind(of, definitions)).collect();
            json!({ "anyOf": kinds })
        }
    }
}
