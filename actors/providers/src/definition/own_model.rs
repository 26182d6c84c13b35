//! A program's default model. Where the user's own settings of the program name a model, Kirosu passes none.

use std::path::Path;

use super::Definition;
use super::login::place;
use super::table_reader::define_table;
use crate::agent_file::AgentFile;

/// Limit of a settings file in bytes. A longer one counts as unreadable.
const SETTINGS_BYTES: u64 = 1 << 20;

define_table! {
    /// The default model of a program, and the places of user settings that override it.
    #[derive(PartialEq, Eq)]
    pub struct OwnModel {
        /// The model. `None`: the program chooses.
        pub default: Option<String>,
        /// TOML settings files of the program. Only the first whose folder is known counts. `model`, or the `model` of the
        /// profile that `profile` names, is the user's choice.
        pub settings: Vec<String>,
        /// Beginnings of extra arguments that name a model or a profile.
        pub flags: Vec<String>,
    }
}

impl Definition {
    /// The model where neither task, pool nor provider names one. `var` reads the variables of the program. Blocks on the
    /// file system.
    pub fn default_model(&self, var: impl Fn(&str) -> Option<String>) -> Option<String> {
        let own = &self.own_model;
        let default = own.default.clone()?;
        let named = |arg: &String| own.flags.iter().any(|flag| arg.starts_with(flag));
        if self.extra_args.iter().any(named) {
            return None;
        }
        let set = |name: &str| var(name).filter(|value| !value.is_empty());
        let file = own.settings.iter().find_map(|file| place(file, &set));
        match file.is_some_and(|file| names_a_model(&file)) {
            true => None,
            false => Some(default),
        }
    }
}

/// Whether these settings name a model. A file that does not exist or cannot be read names none.
fn names_a_model(file: &Path) -> bool {
    // An agent can write there, too.
    let text = AgentFile::through_links(file).and_then(|it| it.text(SETTINGS_BYTES));
    let Ok(text) = text else {
        return false;
    };
    let Ok(table) = text.parse::<toml::Table>() else {
        return false;
    };
    let of_profile = || {
        let profile = table.get("profile")?.as_str()?;
        table.get("profiles")?.get(profile)?.get("model")
    };
    table.contains_key("model") || of_profile().is_some()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_persons_own_model_is_left_alone() {
        let home = tempfile::tempdir().unwrap();
        let folder = home.path().join(".codex");
        std::fs::create_dir(&folder).unwrap();
        let model = |settings: &str, extra: &[&str]| {
            std::fs::write(folder.join("config.toml"), settings).unwrap();
            let more = json!({ "extra_args": extra });
            let codex = Definition::read(Some("codex"), more.as_object().unwrap()).unwrap();
            let home = home.path().display().to_string();
            codex.default_model(|name| (name == "HOME").then(|| home.clone()))
        };
        let default = Some("gpt-5.1-codex-mini".to_owned());
        assert_eq!(model("", &[]), default);
        assert_eq!(model("not toml", &[]), default);
        assert_eq!(model("model = \"gpt-6-sol\"", &[]), None);
        assert_eq!(
            model("profile = \"p\"\n[profiles.p]\nmodel = \"m\"", &[]),
            None
        );
        assert_eq!(model("profile = \"p\"\n[profiles.p]\n", &[]), default);
        assert_eq!(model("", &["-c", "model=\"m\""]), None);
        assert_eq!(model("", &["-p", "mine"]), None);
        assert_eq!(
            model("", &["-c", "model_reasoning_effort=\"high\""]),
            default
        );
        let kiro = Definition::read(Some("kiro"), &serde_json::Map::new()).unwrap();
        assert_eq!(kiro.default_model(|_| None), None);
    }

    #[test]
    fn another_home_of_the_program_replaces_the_default_one() {
        let home = tempfile::tempdir().unwrap();
        std::fs::create_dir(home.path().join(".codex")).unwrap();
        std::fs::write(home.path().join(".codex/config.toml"), "model = \"m\"").unwrap();
        let codex = Definition::read(Some("codex"), &serde_json::Map::new()).unwrap();
        let home = home.path().display().to_string();
        let model = |own: Option<&str>| {
            codex.default_model(|name| match name {
                "HOME" => Some(home.clone()),
                "CODEX_HOME" => own.map(str::to_owned),
                _ => None,
            })
        };
        assert_eq!(model(None), None);
        assert!(model(Some("/nowhere")).is_some());
    }
}
