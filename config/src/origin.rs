//! Origins of values.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

/// The place where a value was set. Later variants override earlier ones ([`Origin::rank`]).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// Built in.
    Default,
    /// Derived from another key (`lease.default`) or a variable (`XDG_DATA_HOME`).
    Derived(String),
    /// A line of the settings file.
    File {
        /// Path of the file.
        path: PathBuf,
        /// Line of the key, counted from 1.
        line: usize,
    },
    /// An environment variable.
    Env(String),
    /// A command line flag, such as `--port`.
    Flag(String),
}

impl Origin {
    /// Rank of the layer: the value with the higher rank overrides.
    pub fn rank(&self) -> u8 {
        match self {
            Self::Default => 0,
            Self::Derived(_) => 1,
            Self::File { .. } => 2,
            Self::Env(_) => 3,
            Self::Flag(_) => 4,
        }
    }

    /// Short name of the layer: `default`, `file`, `env` or `flag`.
    pub fn layer(&self) -> &'static str {
        match self {
            Self::Default | Self::Derived(_) => "default",
            Self::File { .. } => "file",
            Self::Env(_) => "env",
            Self::Flag(_) => "flag",
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::Derived(from) => write!(f, "default, from {from}"),
            Self::File { path, line } => write!(f, "{}:{line}", path.display()),
            Self::Env(name) => write!(f, "environment {name}"),
            Self::Flag(name) => write!(f, "flag {name}"),
        }
    }
}

/// Origin of every value that is set, by dotted key: `hub.port`, `pool.coders.size`, `providers.codex.command`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Origins(pub(crate) BTreeMap<String, Origin>);

impl Origins {
    /// The origin of a key's value. `None` means that no layer sets the key.
    pub fn get(&self, key: &str) -> Option<&Origin> {
        self.0.get(key)
    }

    /// All keys that are set, sorted by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Origin)> + '_ {
        self.0.iter().map(|(key, origin)| (key.as_str(), origin))
    }
}
