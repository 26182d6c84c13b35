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
    /// The name in the configuration, by which pools refer to it.
    pub name: String,
    /// One of [`KINDS`].
    pub kind: String,
    /// `command`, `acp`: the built-in definition to start from. `openai`, `anthropic`: the service
    /// ([`crate::services`]).
    pub preset: Option<String>,
    /// `command`, `acp`: keys of a [`Definition`] that override the preset's, as a table.
    pub overrides: Map<String, Value>,
    /// `command`, `acp`: program and arguments, where they are not in `overrides` or the preset. `{model}`, `{workdir}`,
    /// `{task_id}` and `{task_type}` are filled in; an argument that is just `{model}` is left out when the job names no
    /// model.
    pub argv: Vec<String>,
    /// `command`: arguments that make the program print its version (`["--version"]`), for the probe.
    /// `None`: the preset's; without them the probe only looks for the program.
    pub version_args: Option<Vec<String>>,
    /// `python`: the interpreter. `None` means `python3`.
    pub interpreter: Option<PathBuf>,
    /// `echo`: the delay of the answer.
    pub delay: Duration,
    /// `command`, `acp`, `python`: further environment variables.
    pub env: Vec<(String, String)>,
    /// `command`, `python`: variables of ours that are passed although they are withheld by default
    /// (`KIRO_SWARM_KEY`).
    pub pass_env: Vec<String>,
    /// `openai`, `anthropic`: the service and the form of requests.
    pub http: HttpServiceOptions,
    /// `router`: its members, and the failures at which it tries the next one.
    pub router: RouterOptions,
}

impl ProviderOptions {
    /// The definition of a `command` or `acp`.
    ///
    /// # Errors
    /// All faults, one sentence each.
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

    /// The definition of a `command` or `acp`, for [`crate::build`].
    ///
    /// # Errors
    /// [`BuildError::Definition`] with all faults.
    pub(crate) fn valid_definition(&self) -> Result<Definition, BuildError> {
        self.definition().map_err(|faults| self.refused(faults))
    }

    /// The error of options with these faults.
    pub(crate) fn refused(&self, faults: Vec<String>) -> BuildError {
        let name = self.name.clone();
        BuildError::Definition { name, faults }
    }

    /// All faults, as `KEY: sentence`. Builds nothing.
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

/// The reason for which a provider cannot be built.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BuildError {
    /// The kind is unknown.
    #[error("provider '{name}' has the unknown kind '{kind}'; use one of: {}", KINDS.join(", "))]
    UnknownKind {
        /// The provider.
        name: String,
        /// The kind.
        kind: String,
    },
    /// A `command` whose definition cannot be used.
    #[error("provider '{name}' is not defined well: {}", faults.join("; "))]
    Definition {
        /// The provider.
        name: String,
        /// The faults, one sentence each.
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
