//! Where a value came from.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

/// The place a value was written. Later variants override earlier ones ([`Origin::rank`]).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// Built in.
    Default,
    /// Built in, but taken over from something else: another key (`lease.default`) or a variable (`XDG_DATA_HOME`).
    Derived(String),
    /// A line (counted from 1) of the configuration file.
    File {
        /// The file as it was found.
        path: PathBuf,
        /// Line of the key, counted from 1.
        line: usize,
    },
    /// An environment variable, by name.
    Env(String),
    /// A command line flag, as the user knows it (`--port`).
    Flag(String),
}

impl Origin {
    /// Order of the layers: of two values the one with the higher rank counts.
    pub fn rank(&self) -> u8 {
        match self {
            Self::Default => 0,
            Self::Derived(_) => 1,
            Self::File { .. } => 2,
            Self::Env(_) => 3,
            Self::Flag(_) => 4,
        }
    }

    /// The layer's short name: `default`, `file`, `env` or `flag`.
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
    /// Where the value of a key came from; `None` for an optional key that nobody set.
    pub fn get(&self, key: &str) -> Option<&Origin> {
        self.0.get(key)
    }

    /// All keys that are set, in the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Origin)> + '_ {
        self.0.iter().map(|(key, origin)| (key.as_str(), origin))
    }
}
