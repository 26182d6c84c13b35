//! The options of a provider, and the reasons for which none can be built from them.

use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Map, Value};

use crate::definition::Definition;
use crate::http::HttpServiceOptions;
use crate::router::RouterOptions;

/// The kinds that [`crate::build`] knows.
pub const KINDS: &[&str] = &[
    "echo",
    "command",
    "acp",
    "openai",
    "anthropic",
    "python",
    "router",
];

/// One provider as configured. Fields that a kind has no use for must be left alone.
#[derive(Debug, Clone, Default)]
pub struct ProviderOptions {
    /// Its name in the configuration; how pools refer to it.
    pub name: String,
    /// One of [`KINDS`].
    pub kind: String,
    /// `command`, `acp`: the built-in definition that it starts from. `openai`, `anthropic`: the service that it speaks to
    /// ([`crate::services`]).
    pub preset: Option<String>,
    /// `command`, `acp`: keys of a [`Definition`] that stand above the preset's, as a table.
    pub overrides: Map<String, Value>,
    /// `command`, `acp`: program and arguments, where they are not in `overrides` or the preset. `{model}`, `{workdir}`,
    /// `{task_id}` and `{task_type}` are filled in; an argument that is nothing but `{model}` is left out when the job
    /// names no model.
    pub argv: Vec<String>,
    /// `command`: arguments that make the program print its version (`["--version"]`), for the probe.
    /// `None`: as the preset says; without one the program is only looked for.
    pub version_args: Option<Vec<String>>,
    /// `python`: the interpreter; default `python3`.
    pub interpreter: Option<PathBuf>,
    /// `echo`: how long to think before the answer.
    pub delay: Duration,
    /// `command`, `acp`, `python`: more environment.
    pub env: Vec<(String, String)>,
    /// `command`, `python`: variables of ours that are handed on though they are withheld by default
    /// (`KIRO_SWARM_KEY`).
    pub pass_env: Vec<String>,
    /// `openai`, `anthropic`: the service and how it is asked.
    pub http: HttpServiceOptions,
    /// `router`: whom it chooses among, and when it moves on.
    pub router: RouterOptions,
}

impl ProviderOptions {
    /// The definition of a `command` or `acp`.
    ///
    /// # Errors
    /// Every fault of it, one sentence each.
    pub fn definition(&self) -> Result<Definition, Vec<String>> {
        let mut table = self.overrides.clone();
        if !self.argv.is_empty() {
            table.insert("command".to_owned(), self.argv.clone().into());
        }
        if let Some(version) = &self.version_args {
            table.insert("version".to_owned(), version.clone().into());
        }
        let preset = self.preset.as_deref();
        match self.kind == "acp" {
            true => Definition::read_acp(preset, &table),
            false => Definition::read(preset, &table),
        }
    }
}

impl ProviderOptions {
    /// What is wrong with it, without building it: `KEY: sentence`, all at once.
    #[must_use]
    pub fn faults(&self) -> Vec<String> {
        let wrong = match self.kind.as_str() {
            "command" | "acp" => self.definition().err(),
            "openai" | "anthropic" => self.http.check(&self.kind, self.preset.as_deref()).err(),
            _ => None,
        };
        wrong.unwrap_or_default()
    }
}

/// Why a provider cannot be built.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BuildError {
    /// No such kind.
    #[error("provider '{name}' has the unknown kind '{kind}'; use one of: {}", KINDS.join(", "))]
    UnknownKind {
        /// The provider.
        name: String,
        /// What it asked for.
        kind: String,
    },
    /// A `command` whose definition cannot be used.
    #[error("provider '{name}' is not defined well: {}", faults.join("; "))]
    Definition {
        /// The provider.
        name: String,
        /// What is wrong, one sentence each.
        faults: Vec<String>,
    },
    /// A `command` without a program.
    #[error(
        "provider '{name}' is a command without a program; set argv = [\"PROGRAM\", \"ARGUMENT\", ...]"
    )]
    NoProgram {
        /// The provider.
        name: String,
    },
}
