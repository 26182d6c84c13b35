//! What a load is told: file, environment, flags, purpose.

use std::path::PathBuf;

/// What the settings are loaded for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Purpose {
    /// To run a hub or agents: everything has to fit together.
    #[default]
    Serve,
    /// To speak to a hub: only what says where it is counts. Faults of other sections are one warning, checks that only
    /// concern serving are left out (a client may well name a distant host without a key), and a system file or key file
    /// that this user may not read is a warning.
    Client,
    /// To run agents for a hub elsewhere, or to look at the folders of agents: as a client, but the whole file has to be
    /// good.
    Agent,
}

/// One flag of the command line that sets a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flag {
    /// The flag as the user wrote it, for messages: `--port`.
    pub name: String,
    /// Dotted key: `hub.port`, `pool.coders.size`. A pool that the file does not have is created by its first flag.
    pub key: String,
    /// The value's text, read as in a variable: lists are words between commas or TOML lists.
    pub value: String,
}

impl Flag {
    /// A flag with a name of its own, such as `--port 9000` for `hub.port`.
    pub fn new(name: impl Into<String>, key: impl Into<String>, value: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            key: key.into(),
            value: value.into(),
        }
    }

    /// The general flag `--set KEY=VALUE`.
    pub fn set(key: impl Into<String>, value: impl Into<String>) -> Self {
        Self::new("--set", key, value)
    }
}

/// Everything that [`crate::Settings::load`] looks at besides the file system.
#[derive(Debug, Clone, Default)]
pub struct LoadOptions {
    /// The file to read (`--config`); `None` searches.
    pub file: Option<PathBuf>,
    /// The environment: names and values. The last of two equal names counts.
    pub env: Vec<(String, String)>,
    /// Flags, the later stronger.
    pub flags: Vec<Flag>,
    /// Folder in which `kirosu.toml` is looked for; empty means the working directory.
    pub here: PathBuf,
    /// What the settings are for.
    pub purpose: Purpose,
    /// Looks at what this crate carries and does not know (what definitions and rules mean), so that its faults are told
    /// together with all others, at a reload as well.
    pub also: Option<fn(&crate::Loaded) -> Vec<crate::Fault>>,
}

impl LoadOptions {
    /// Options with an environment and nothing else.
    pub fn with_env<K: Into<String>, V: Into<String>>(
        env: impl IntoIterator<Item = (K, V)>,
    ) -> Self {
        let env = env
            .into_iter()
            .map(|(name, value)| (name.into(), value.into()));
        Self {
            env: env.collect(),
            ..Self::default()
        }
    }

    /// Options with this process's environment: the one place of the crate that reads it. Bytes that are not UTF-8
    /// are replaced, so that a foreign variable cannot stop the start.
    pub fn from_process() -> Self {
        let lossy = |text: std::ffi::OsString| text.to_string_lossy().into_owned();
        Self::with_env(std::env::vars_os().map(|(name, value)| (lossy(name), lossy(value))))
    }

    /// A variable's value.
    pub(crate) fn var(&self, name: &str) -> Option<String> {
        let found = self.env.iter().rev().find(|(known, _)| known == name);
        found.map(|(_, value)| value.clone())
    }
}
