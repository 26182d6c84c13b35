//! The part of a definition for kind `acp`.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Map, Value, json};
use strum::{EnumString, VariantNames};

use super::builtin::built_in;
use super::table_reader::{TableReader, define_table};
use crate::job::TrustLevel;

/// Keys of `[acp]` that replace the definition's own for ACP.
const OWN: &[&str] = &[
    "command",
    "model_args",
    "extra_args",
    "trust",
    "env",
    "env_pass",
    "stop_signal",
    "version",
    "install",
];

/// Keys of a definition for a call that prints its answer. They do not apply to ACP.
const PRINTING: &[&str] = &[
    "command",
    "model_args",
    "resume_args",
    "system_args",
    "extra_args",
    "trust",
    "mcp",
];

/// Keys of `output` that apply to messages of either kind. Those in `[acp]` of a built-in definition win.
const MESSAGES: &[&str] = &["errors", "error_answers", "wait_words", "known_errors"];

define_table! {
    /// Settings of an agent that speaks the Agent Client Protocol.
    pub struct AcpRules {
        /// The modes per trust level; the first that the agent offers is set. Empty means the agent's own choice.
        pub mode: Modes,
        /// The scope of its token figures.
        pub usage: TurnUsage = TableReader::choice,
        /// The way in which it takes a system prompt.
        pub system: SystemWay = TableReader::choice,
        /// JSON pointers to a tool's name, tried before the usual places.
        pub tool_name: Vec<String>,
        /// The text after the tool's name in a call's id. `None` where ids contain no name.
        pub tool_name_ends: Option<String> = TableReader::filled,
        /// Keys of a tool's arguments whose values differ although the call is the same.
        pub input_ignored: Vec<String>,
        /// Whether it takes MCP servers over standard input and output.
        pub stdio_servers: bool = true_by_default,
        /// Whether its `session/load` works, where it offers one.
        pub load: bool = true_by_default,
        /// Beginnings of text pieces that are notices of the program and not part of the answer.
        pub notices: Vec<String>,
        /// Beginnings of tool call ids that are notices of the program.
        pub notice_calls: Vec<String>,
        /// Further notification methods that have the form of `session/update`.
        pub updates: Vec<String>,
        /// JSON pointers to the text of updates that are notices, for kinds that the protocol does not have.
        pub notice_text: Vec<String>,
        /// `_meta` of the client's capabilities: extensions for the agent to use.
        pub client_meta: BTreeMap<String, Value>,
        /// Words of stderr lines that are not shown.
        pub quiet: Vec<String>,
        /// Time from its start to its response to `initialize`. The default is 60 s.
        pub initialize_timeout: Duration = initialize_timeout,
    }
}

define_table! {
    /// Modes per trust level, each in order of preference.
    pub struct Modes {
        /// Modes that ask before every action.
        pub safe: Vec<String>,
        /// Modes that change files of the folder without a permission request.
        pub edit: Vec<String>,
        /// Modes without permission requests.
        pub all: Vec<String>,
    }
}

/// The scope of the tokens in the response to a prompt.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, EnumString, VariantNames)]
#[strum(serialize_all = "snake_case")]
pub enum TurnUsage {
    /// This turn.
    #[default]
    Turn,
    /// The whole conversation so far.
    Running,
    /// The turn's last model call: a lower bound.
    LastCall,
}

/// The way in which a system prompt reaches the agent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, EnumString, VariantNames)]
#[strum(serialize_all = "snake_case")]
pub enum SystemWay {
    /// Before the prompt, with an empty line between.
    #[default]
    Before,
    /// In `_meta` of `session/new`, to be appended to the agent's own.
    Append,
}

fn true_by_default(table: &TableReader<'_>, name: &'static str) -> bool {
    table.flag_or(name, true)
}

fn initialize_timeout(table: &TableReader<'_>, name: &'static str) -> Duration {
    table.length(name).unwrap_or(Duration::from_secs(60))
}

impl Modes {
    /// The modes for this trust level.
    #[must_use]
    pub fn of(&self, trust: TrustLevel) -> &[String] {
        match trust {
            TrustLevel::Safe => &self.safe,
            TrustLevel::Edit => &self.edit,
            TrustLevel::All => &self.all,
        }
    }
}

/// Defaults of kind `acp` without a built-in definition: known errors are recognised.
pub(super) fn defaults() -> Map<String, Value> {
    let output = json!({"known_errors": true});
    Map::from_iter([("output".to_owned(), output)])
}

/// The table of a built-in definition for kind `acp`.
///
/// # Errors
/// When the definition has no `[acp]`: a sentence that lists those that have one.
pub(super) fn table(name: &str) -> Result<Map<String, Value>, String> {
    let known = || {
        let names = super::built_in_names().filter(|name| {
            let table = built_in(name).unwrap_or_default();
            table.contains_key("acp")
        });
        names.collect::<Vec<_>>().join(", ")
    };
    let mut table = built_in(name).unwrap_or_default();
    let Some(Value::Object(mut acp)) = table.remove("acp") else {
        return Err(format!(
            "preset: '{name}' is not known to speak ACP; those that do are {}",
            known()
        ));
    };
    for key in PRINTING {
        table.remove(*key);
    }
    let mut output = match table.remove("output") {
        Some(Value::Object(output)) => output,
        _ => Map::new(),
    };
    output.retain(|key, _| MESSAGES.contains(&key.as_str()));
    for key in MESSAGES {
        if let Some(value) = acp.remove(*key) {
            output.insert((*key).to_owned(), value);
        }
    }
    output.entry("known_errors").or_insert(true.into());
    table.insert("output".to_owned(), output.into());
    for key in OWN {
        if let Some(value) = acp.remove(*key) {
            table.insert((*key).to_owned(), value);
        }
    }
    table.insert("acp".to_owned(), acp.into());
    Ok(table)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::definition::{Definition, built_in_names};

    #[test]
    fn every_built_in_acp_definition_is_valid_and_asks_unless_trusted() {
        let mut speak = Vec::new();
        for name in built_in_names() {
            let read = Definition::read_acp(Some(name), &Map::new());
            if !built_in(name).unwrap().contains_key("acp") {
                assert!(read.unwrap_err()[0].contains("goose"), "{name}");
                continue;
            }
            let definition = read.unwrap_or_else(|faults| panic!("{name}: {faults:?}"));
            assert!(definition.install.is_some() && definition.env_pass.is_some());
            let (mode, trust) = (&definition.acp.mode, &definition.trust);
            let differs = mode.safe != mode.all
                || trust.safe.env != trust.all.env
                || trust.safe.args != trust.all.args;
            // These have no such mode: the responses to their permission requests make the difference.
            assert!(differs || ["copilot", "cursor"].contains(&name), "{name}");
            speak.push(name);
        }
        assert_eq!(speak.len(), 9, "{speak:?}");
    }

    #[test]
    fn the_time_for_initialize_is_a_length() {
        let read = |text: &str| {
            let overrides = json!({"command": ["x"], "acp": {"initialize_timeout": text}});
            Definition::read_acp(None, overrides.as_object().unwrap())
        };
        let limit = read("2m").unwrap().acp.initialize_timeout;
        assert_eq!(limit, Duration::from_secs(120));
        for wrong in ["0s", "soon", ""] {
            let faults = read(wrong).unwrap_err();
            assert!(faults[0].contains("acp.initialize_timeout"), "{faults:?}");
        }
    }
}
