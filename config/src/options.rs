//! Options of a load: file, environment, flags, purpose.

use std::path::PathBuf;

use crate::fault::ConfigFault;
use crate::load::Loaded;

/// The purpose of a load, which decides on the checks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Purpose {
    /// Running a hub or agents: all checks.
    #[default]
    Serve,
    /// Connecting to a hub. Faults outside of `[hub]` become one warning, and checks that concern only a hub are skipped
    /// (a client may name a remote host without a key). A system file or key file that the user may not read is a warning, and so
    /// is a file of the working directory that the user has not trusted.
    Client,
    /// Running agents for a remote hub, or inspecting agents' folders: as a client, but any fault of the file counts.
    Agent,
}

/// A flag of the command line that sets a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flag {
    /// The flag as the user wrote it, for messages: `--port`.
    pub name: String,
    /// Dotted key: `hub.port`, `pool.coders.size`. The first flag for an unknown pool defines that pool.
    pub key: String,
    /// Text of the value, read as in a variable: a list is words between commas, or a TOML list.
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

/// Everything that [`crate::Settings::load`] reads besides files.
#[derive(Debug, Clone, Default)]
pub struct LoadOptions {
    /// The file to read (`--config`). `None` searches the usual places.
    pub file: Option<PathBuf>,
    /// The environment: names and values. Of two equal names the last counts.
    pub env: Vec<(String, String)>,
    /// Flags, the later stronger.
    pub flags: Vec<Flag>,
    /// Folder in which `kirosu.toml` is searched first; empty means the working directory.
    pub here: PathBuf,
    /// The purpose of the settings.
    pub purpose: Purpose,
    /// Whether a file of the working directory that the user has not trusted is read anyway, with a warning: for commands
    /// that only print the settings. Otherwise clients ignore it with a warning, and for all others it is a fault.
    pub reads_untrusted: bool,
    /// Whether `file` was found by a search in the working directory, so that it needs the user's trust; set by
    /// [`Loaded::again`].
    pub found_here: bool,
    /// Checks the parts that only other crates can read (definitions, patterns, prices). It runs in the same load, so that
    /// its faults are reported together with all others, on a reload too.
    pub also: Option<fn(&Loaded) -> Vec<ConfigFault>>,
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

    /// Options with the environment of this process. Bytes that are not UTF-8 are replaced, so that an unrelated variable
    /// cannot prevent a start.
    pub fn from_process() -> Self {
        let lossy = |text: std::ffi::OsString| text.to_string_lossy().into_owned();
        Self::with_env(std::env::vars_os().map(|(name, value)| (lossy(name), lossy(value))))
    }

    /// The value of a variable. `None` means that it is not set.
    pub(crate) fn var(&self, name: &str) -> Option<String> {
        let found = self.env.iter().rev().find(|(known, _)| known == name);
        found.map(|(_, value)| value.clone())
    }
}
