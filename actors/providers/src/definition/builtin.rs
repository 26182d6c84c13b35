//! The built-in definitions.

use std::sync::LazyLock;

use serde_json::{Map, Value};

/// Embeds one TOML file per CLI.
macro_rules! embedded {
    ($($name:literal),* $(,)?) => {
        &[$(($name, include_str!(concat!("../../definitions/", $name, ".toml")))),*]
    };
}

/// The order in which messages list them. The first is the default.
const TEXTS: &[(&str, &str)] = embedded![
    "kiro", "codex", "claude", "gemini", "opencode", "goose", "qwen", "copilot", "cursor", "amp",
    "aider",
];

static TABLES: LazyLock<Vec<(&str, Map<String, Value>)>> = LazyLock::new(|| {
    let table = |text| toml::from_str(text).unwrap_or_default();
    TEXTS
        .iter()
        .map(|(name, text)| (*name, table(text)))
        .collect()
});

/// The table of a built-in definition.
#[must_use]
pub fn built_in(name: &str) -> Option<Map<String, Value>> {
    let found = TABLES.iter().find(|(it, _)| *it == name)?;
    Some(found.1.clone())
}

/// The names of the built-in definitions, the default first.
pub fn built_in_names() -> impl Iterator<Item = &'static str> {
    TEXTS.iter().map(|(name, _)| *name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::definition::Definition;

    #[test]
    fn every_built_in_definition_is_valid_and_has_installation_advice() {
        for (name, text) in TEXTS {
            let table: Result<Map<String, Value>, _> = toml::from_str(text);
            assert_eq!(table.err(), None, "{name}");
            let definition = Definition::read(Some(name), &Map::new());
            let definition = definition.unwrap_or_else(|faults| panic!("{name}: {faults:?}"));
            assert!(definition.install.is_some(), "{name}");
            assert!(definition.env_pass.is_some(), "{name}");
        }
    }
}
