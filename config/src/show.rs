//! Prints the settings in force, each value with its origin. SecretDisplay are hidden unless the caller asks for them.

use kirosu_protocol::text::escape_hidden;
use serde_json::{Map, Value, json};

use crate::load::Loaded;
use crate::origin::Origin;
use crate::redact::{self, SecretDisplay};
use crate::schema::{Allowed, Section, SettingKey, Shape};
use crate::settings::SECTIONS;
use kirosu_protocol::size;

/// A table to print: its dotted path (empty for the top level) and its values.
struct ShownTable {
    section: &'static Section,
    path: String,
    values: Value,
}

/// The effect of a setting, for a user who decides whether to trust a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Effect {
    /// It starts programs, or chooses the programs and services that get prompts, or what they may do unasked.
    Runs,
    /// It chooses the hub, which gets the user's key, or that key.
    Hub,
    /// It names files and folders that are read or written.
    Files,
    /// Anything else.
    Other,
}

/// A setting that the file sets.
#[derive(Debug, Clone)]
pub struct FileSetting {
    /// Dotted key.
    pub key: String,
    /// The value in TOML; the hub's key is hidden.
    pub value: String,
    /// Its effect.
    pub effect: Effect,
}

impl Loaded {
    /// The settings that the file sets, as a user must see them who decides whether to trust it.
    pub fn of_file(&self) -> Vec<FileSetting> {
        let is_of_file = |origin: Option<&Origin>| matches!(origin, Some(Origin::File { .. }));
        let mut found = Vec::new();
        for table in self.tables() {
            for key in table.section.keys {
                let value = &table.values[key.name];
                // Unchanged: a secret must not hide a program from the user who decides.
                let mut add = |name: &str, value: &Value| {
                    if is_of_file(self.origin(&table, name)) {
                        let start = match table.path.as_str() {
                            "" => String::new(),
                            path => format!("{path}."),
                        };
                        found.push(FileSetting {
                            key: escape_hidden(&format!("{start}{name}")),
                            value: toml_text(key, value),
                            effect: effect(table.section.name, key),
                        });
                    }
                };
                match (key.allowed, value) {
                    (Allowed::Map, Value::Object(entries)) => {
                        for (name, value) in entries {
                            add(&format!("{}.{name}", key.name), value);
                        }
                    }
                    _ => add(key.name, value),
                }
            }
        }
        found
    }

    /// The settings as TOML that loads to the same settings (except for hidden secrets). Each line has its origin as a
    /// comment.
    pub fn to_toml(&self, secrets: SecretDisplay) -> String {
        let mut text = String::new();
        for table in self.shown_tables(secrets) {
            match table.section.shape {
                Shape::Top => {}
                Shape::Array => text.push_str(&format!("\n[[{}]]\n", table.section.name)),
                Shape::One | Shape::Named => text.push_str(&format!("\n[{}]\n", table.path)),
            }
            for key in table.section.keys {
                text.push_str(&self.line(&table, key));
            }
        }
        text
    }

    /// The settings as JSON: `{"hub": {"port": {"value": 8765, "origin": "default", "layer": "default"}}}`. Pools and
    /// providers are objects by name. The value and the origin of a key that is not set are `null`.
    pub fn to_json(&self, secrets: SecretDisplay) -> Value {
        let mut root = Map::new();
        for table in self.shown_tables(secrets) {
            let keys = table.section.keys.iter();
            let values = keys.map(|key| (key.name.to_owned(), self.entry(&table, key)));
            match table.path.split_once('.') {
                _ if table.path.is_empty() => root.extend(values),
                None => {
                    root.insert(table.path.clone(), Value::Object(values.collect()));
                }
                Some((section, name)) => {
                    if let Some(named) = root.entry(section).or_insert(json!({})).as_object_mut() {
                        named.insert(name.to_owned(), Value::Object(values.collect()));
                    }
                }
            }
        }
        Value::Object(root)
    }

    fn shown_tables(&self, secrets: SecretDisplay) -> Vec<ShownTable> {
        let mut tables = self.tables();
        if secrets == SecretDisplay::Hidden {
            for table in &mut tables {
                for key in table.section.keys {
                    let is_map = matches!(key.allowed, Allowed::Map);
                    if let Some(value) = table.values.get_mut(key.name) {
                        *value = redact::hide(value, is_map);
                    }
                }
            }
        }
        tables
    }

    fn tables(&self) -> Vec<ShownTable> {
        let all = serde_json::to_value(&self.settings).unwrap_or_default();
        let mut tables = Vec::new();
        for section in SECTIONS {
            let values = if section.name.is_empty() {
                &all
            } else {
                &all[section.name]
            };
            let mut add = |path: String, values: &Value| {
                tables.push(ShownTable {
                    section,
                    path,
                    values: values.clone(),
                });
            };
            match (section.shape, values) {
                (Shape::Array, Value::Array(items)) => items.iter().for_each(|item| {
                    let name = item["name"].as_str().unwrap_or_default();
                    add(format!("{}.{name}", section.name), item);
                }),
                (Shape::Named, Value::Object(entries)) => {
                    entries.iter().for_each(|(name, item)| {
                        add(format!("{}.{name}", section.name), item);
                    })
                }
                _ => add(section.name.to_owned(), values),
            }
        }
        tables
    }

    fn origin(&self, table: &ShownTable, name: &str) -> Option<&Origin> {
        let dotted = if table.path.is_empty() {
            name.to_owned()
        } else {
            format!("{}.{name}", table.path)
        };
        self.origins.get(&dotted)
    }

    fn line(&self, table: &ShownTable, key: &SettingKey) -> String {
        let value = &table.values[key.name];
        if let (Allowed::Map, Value::Object(entries)) = (key.allowed, value) {
            let lines = entries.iter().map(|(name, value)| {
                let origin = self.origin(table, &format!("{}.{name}", key.name));
                written(
                    &format!("{}.{}", key.name, toml_key(name)),
                    &toml_text(key, value),
                    origin,
                )
            });
            return lines.collect();
        }
        let origin = self.origin(table, key.name);
        match value {
            Value::Null => match origin {
                Some(origin) => format!("# {} is not set: emptied by {origin}\n", key.name),
                None => format!("# {} is not set\n", key.name),
            },
            value => written(key.name, &toml_text(key, value), origin),
        }
    }

    fn entry(&self, table: &ShownTable, key: &SettingKey) -> Value {
        let entry = |value: &Value, name: &str| {
            let origin = self.origin(table, name);
            json!({
                "value": value,
                "origin": origin.map(ToString::to_string),
                "layer": origin.map(Origin::layer),
            })
        };
        match (key.allowed, &table.values[key.name]) {
            (Allowed::Map, Value::Object(entries)) => entries
                .iter()
                .map(|(name, value)| (name.clone(), entry(value, &format!("{}.{name}", key.name))))
                .collect::<Map<_, _>>()
                .into(),
            (_, value) => entry(value, key.name),
        }
    }
}

fn effect(section: &str, key: &SettingKey) -> Effect {
    match (section, key.name, key.allowed) {
        ("providers" | "notify", ..)
        | ("agent" | "pool", "provider", _)
        | ("approval", "rule", _) => Effect::Runs,
        (_, "trust_all_tools" | "trust" | "accept_commands" | "workspace_mcp", _) => Effect::Runs,
        (_, "hooks" | "env", _) | (_, _, Allowed::Command | Allowed::Program) => Effect::Runs,
        ("hub", ..) => Effect::Hub,
        (_, _, Allowed::Path) => Effect::Files,
        _ => Effect::Other,
    }
}

fn written(name: &str, value: &str, origin: Option<&Origin>) -> String {
    // A control character could end the comment.
    let origin = origin.map(|origin| escape_hidden(&origin.to_string()).replace('\n', "?"));
    format!(
        "{name} = {value} # {}\n",
        origin.unwrap_or_else(|| "default".to_owned())
    )
}

fn toml_key(name: &str) -> String {
    let bare = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    if !name.is_empty() && name.bytes().all(bare) {
        name.to_owned()
    } else {
        quoted(name)
    }
}

/// A text in TOML, with escapes for the characters that a terminal does not show.
fn quoted(text: &str) -> String {
    let plain = toml::Value::String(text.to_owned()).to_string();
    match escape_hidden(&plain) == plain {
        true => plain,
        // A literal string has no escapes; those of JSON are those of a basic string.
        false => escape_hidden(&Value::from(text).to_string()),
    }
}

/// A value that holds hidden characters.
fn with_escapes(value: &Value) -> String {
    match value {
        Value::String(text) => quoted(text),
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(with_escapes).collect();
            format!("[{}]", items.join(", "))
        }
        Value::Object(entries) => {
            let entries = entries.iter().filter(|(_, value)| !value.is_null());
            let entries: Vec<String> = entries
                .map(|(name, value)| format!("{} = {}", toml_key(name), with_escapes(value)))
                .collect();
            format!("{{ {} }}", entries.join(", "))
        }
        value => plain_text(value),
    }
}

fn plain_text(value: &Value) -> String {
    toml::Value::try_from(value).map_or_else(|_| "\"\"".to_owned(), |value| value.to_string())
}

fn toml_text(key: &SettingKey, value: &Value) -> String {
    match (key.allowed, value.as_u64()) {
        (Allowed::Size(..), Some(bytes)) => format!("\"{}\"", size::format(bytes)),
        _ => {
            let text = plain_text(value);
            match escape_hidden(&text) == text {
                true => text,
                false => with_escapes(value),
            }
        }
    }
}
