//! The part of a definition that is for kind `acp`.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Map, Value, json};

use super::builtin::built_in;
use super::table_reader::TableReader;
use crate::job::TrustLevel;

/// Keys of `[acp]` that stand in the place of the definition's own when the program is spoken to over ACP.
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

/// Keys of a definition that mean a call that prints its answer.
const PRINTING: &[&str] = &[
    "command",
    "model_args",
    "resume_args",
    "system_args",
    "extra_args",
    "trust",
    "mcp",
];

/// Keys of `output` that hold for messages, however they came. In `[acp]` of a built-in definition they stand above those.
const MESSAGES: &[&str] = &["errors", "error_answers", "wait_words", "known_errors"];

/// How an agent is spoken to over the Agent Client Protocol.
#[derive(Debug, Clone)]
pub struct AcpRules {
    /// The mode for each trust; the first that the agent offers. None: the one it begins in.
    pub mode: Modes,
    /// What its figures of tokens count.
    pub usage: TurnUsage,
    /// How it takes a system prompt.
    pub system: SystemWay,
    /// JSON pointers to a tool's name, before the places where it usually is.
    pub tool_name: Vec<String>,
    /// A call's id begins with the tool's name, up to this.
    pub tool_name_ends: Option<String>,
    /// Keys of a tool's arguments that differ from call to call though the call is the same.
    pub input_ignored: Vec<String>,
    /// Whether it takes MCP servers that speak over standard input and output.
    pub stdio_servers: bool,
    /// Whether its `session/load` works, where it says that it has one.
    pub load: bool,
    /// Beginnings of pieces of text that are notices of the program and no part of the answer.
    pub notices: Vec<String>,
    /// Beginnings of ids of tool calls that are notices of the program.
    pub notice_calls: Vec<String>,
    /// More methods of notifications that have the form of `session/update`.
    pub updates: Vec<String>,
    /// JSON pointers to the text of updates, of kinds that the protocol does not have, that are notices.
    pub notice_text: Vec<String>,
    /// `_meta` of the client's capabilities: extensions that the agent is to use.
    pub client_meta: BTreeMap<String, Value>,
    /// Words of lines of stderr that are not shown.
    pub quiet: Vec<String>,
    /// How long it has from its start to its answer to `initialize`.
    pub initialize_timeout: Duration,
}

/// Modes by trust.
#[derive(Debug, Clone, Default)]
pub struct Modes {
    /// Asks before it does anything.
    pub safe: Vec<String>,
    /// Changes files of its folder without asking.
    pub edit: Vec<String>,
    /// Asks nothing.
    pub all: Vec<String>,
}

/// What the tokens in the answer to a prompt count.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum TurnUsage {
    /// This turn.
    #[default]
    Turn,
    /// The whole conversation up to now.
    Running,
    /// The turn's last call of the model: a lower bound.
    LastCall,
}

/// How a system prompt reaches the agent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum SystemWay {
    /// Before the prompt, with an empty line between.
    #[default]
    Before,
    /// In `_meta` of `session/new`, to be put behind the agent's own.
    Append,
}

impl Default for AcpRules {
    fn default() -> Self {
        Self {
            mode: Modes::default(),
            usage: TurnUsage::default(),
            system: SystemWay::default(),
            tool_name: Vec::new(),
            tool_name_ends: None,
            input_ignored: Vec::new(),
            stdio_servers: true,
            load: true,
            notices: Vec::new(),
            notice_calls: Vec::new(),
            updates: Vec::new(),
            notice_text: Vec::new(),
            client_meta: BTreeMap::new(),
            quiet: Vec::new(),
            initialize_timeout: Duration::from_secs(60),
        }
    }
}

impl Modes {
    /// The modes for this trust.
    #[must_use]
    pub fn of(&self, trust: TrustLevel) -> &[String] {
        match trust {
            TrustLevel::Safe => &self.safe,
            TrustLevel::Edit => &self.edit,
            TrustLevel::All => &self.all,
        }
    }
}

/// Defaults of kind `acp` without a built-in definition: errors are messages, and are read as such.
pub(super) fn defaults() -> Map<String, Value> {
    let output = json!({"known_errors": true});
    Map::from_iter([("output".to_owned(), output)])
}

/// The table of a built-in definition as kind `acp` wants it.
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

/// Reads the keys that are left in `[acp]`.
pub(super) fn read(taker: &TableReader<'_>) -> AcpRules {
    let usages = [
        ("turn", TurnUsage::Turn),
        ("running", TurnUsage::Running),
        ("last_call", TurnUsage::LastCall),
    ];
    let ways = [("before", SystemWay::Before), ("append", SystemWay::Append)];
    let default = AcpRules::default();
    AcpRules {
        mode: taker.table("mode", modes).unwrap_or_default(),
        usage: taker.choice("usage", &usages).unwrap_or_default(),
        system: taker.choice("system", &ways).unwrap_or_default(),
        tool_name: taker.texts("tool_name").unwrap_or_default(),
        tool_name_ends: taker.text("tool_name_ends").filter(|it| !it.is_empty()),
        input_ignored: taker.texts("input_ignored").unwrap_or_default(),
        stdio_servers: taker.flag_or("stdio_servers", default.stdio_servers),
        load: taker.flag_or("load", default.load),
        notices: taker.texts("notices").unwrap_or_default(),
        notice_calls: taker.texts("notice_calls").unwrap_or_default(),
        updates: taker.texts("updates").unwrap_or_default(),
        notice_text: taker.texts("notice_text").unwrap_or_default(),
        client_meta: taker.values("client_meta"),
        quiet: taker.texts("quiet").unwrap_or_default(),
        initialize_timeout: taker
            .length("initialize_timeout")
            .unwrap_or(default.initialize_timeout),
    }
}

fn modes(taker: &TableReader<'_>) -> Modes {
    let list = |name| taker.texts(name).unwrap_or_default();
    Modes {
        safe: list("safe"),
        edit: list("edit"),
        all: list("all"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::definition::{Definition, built_in_names};

    #[test]
    fn every_built_in_that_speaks_acp_can_be_read_and_asks_unless_it_is_trusted() {
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
            // These have no mode that we know of; the answers to their questions make the difference.
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
