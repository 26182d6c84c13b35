//! `[approval]`: who decides over tool calls of agents whose pool does not trust all tools. Patterns are the swarm's
//! business; here stands how rules are written.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::check::{allowed, is_name};
use crate::schema::{Kind, with_nearest};

/// `[approval]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Approval {
    /// How long a question waits for a person before it is denied; `None`: for ever.
    #[serde(with = "wait")]
    pub wait: Option<Duration>,
    /// `[[approval.rule]]` as written; [`Approval::rules`] reads them.
    #[serde(default, deserialize_with = "tables")]
    pub rule: Vec<Value>,
}

/// One `[[approval.rule]]`. What is not written fits every call.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct ApprovalRule {
    /// Its name, for the record; unique.
    pub name: String,
    /// What it does with the calls that it fits.
    pub action: ApprovalAction,
    /// A glob for the tool's name.
    #[serde(default)]
    pub tool: Option<String>,
    /// A glob for what sort of thing the tool does.
    #[serde(default)]
    pub kind: Option<String>,
    /// A glob for the pool's name.
    #[serde(default)]
    pub pool: Option<String>,
    /// Regular expressions for the arguments.
    #[serde(default)]
    pub args: Option<ApprovalArgs>,
}

/// What a rule does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ApprovalAction {
    /// The call runs.
    Allow,
    /// It does not.
    Deny,
    /// A person decides.
    Ask,
}

/// Regular expressions for arguments.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum ApprovalArgs {
    /// For all of them, as JSON with sorted keys.
    All(String),
    /// For values in them, by JSON pointers.
    Each(BTreeMap<String, String>),
}

const KEYS: [&str; 6] = ["name", "action", "tool", "kind", "pool", "args"];

impl Approval {
    /// The rules in their order.
    ///
    /// # Errors
    /// What is wrong, each with its place, as `rule[2].action`.
    pub fn rules(&self) -> Result<Vec<ApprovalRule>, Vec<(String, String)>> {
        let (mut rules, mut faults) = (Vec::<ApprovalRule>::new(), Vec::new());
        for (index, written) in self.rule.iter().enumerate() {
            let before = faults.len();
            look(written, &mut |key, message| {
                faults.push((format!("rule[{index}]{key}"), message));
            });
            if faults.len() > before {
                continue;
            }
            match ApprovalRule::deserialize(written) {
                Err(error) => faults.push((format!("rule[{index}]"), error.to_string())),
                Ok(rule) if rules.iter().any(|other| other.name == rule.name) => {
                    let message = "a second rule of this name; names are unique".to_owned();
                    faults.push((format!("rule[{index}].name"), message));
                }
                Ok(rule) => rules.push(rule),
            }
        }
        match faults.is_empty() {
            true => Ok(rules),
            false => Err(faults),
        }
    }
}

/// What is wrong with one rule, before it is read.
fn look(written: &Value, fault: &mut dyn FnMut(&str, String)) {
    let Value::Object(members) = written else {
        return fault("", "not a table: write [[approval.rule]]".to_owned());
    };
    for key in members.keys().filter(|key| !KEYS.contains(&key.as_str())) {
        let message = with_nearest("unknown key", key, KEYS.into_iter());
        fault(&format!(".{key}"), message);
    }
    match members.get("name").map(Value::as_str) {
        Some(Some(name)) if is_name(name) => {}
        written => fault(
            ".name",
            format!(
                "{}: {} is allowed",
                match written {
                    None => "has to be set",
                    Some(_) => "cannot take this name",
                },
                allowed(Kind::Name)
            ),
        ),
    }
    let one_of = "one of allow, deny, ask is allowed";
    match members.get("action") {
        None => fault(".action", format!("has to be set: {one_of}")),
        Some(Value::String(word)) if ["allow", "deny", "ask"].contains(&word.as_str()) => {}
        Some(other) => fault(".action", format!("cannot take {other}: {one_of}")),
    }
    for key in ["tool", "kind", "pool"] {
        let value = members.get(key);
        if value.is_some_and(|value| value.as_str().is_none_or(str::is_empty)) {
            fault(
                &format!(".{key}"),
                "a text that is not empty is allowed".to_owned(),
            );
        }
    }
    let fits = match members.get("args") {
        None | Some(Value::String(_)) => true,
        Some(Value::Object(each)) => !each.is_empty() && each.values().all(Value::is_string),
        Some(_) => false,
    };
    if !fits {
        let message =
            "a regular expression is allowed, or a table { \"/pointer\" = \"regular expression\" }";
        fault(".args", message.to_owned());
    }
}

/// A list of tables came through the layers as the text of its JSON.
fn tables<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Vec<Value>, D::Error> {
    let text = String::deserialize(from)?;
    serde_json::from_str(&text).map_err(serde::de::Error::custom)
}

/// `"forever"`, or a length of time.
mod wait {
    use super::Duration;
    use serde::{Deserialize, Deserializer, Serializer};

    pub fn serialize<S: Serializer>(wait: &Option<Duration>, to: S) -> Result<S::Ok, S::Error> {
        match wait {
            None => to.serialize_str(crate::check::FOREVER),
            Some(wait) => to.collect_str(&humantime::format_duration(*wait)),
        }
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Duration>, D::Error> {
        match String::deserialize(from)?.as_str() {
            crate::check::FOREVER => Ok(None),
            text => humantime::parse_duration(text)
                .map(Some)
                .map_err(serde::de::Error::custom),
        }
    }
}
