//! The options of the hub at its start. `src/options/` fills them from the settings.

use crate::tuning::Rules;
use kirosu_protocol::Limits;
use kirosu_protocol::settings::Keyless;
use std::path::PathBuf;

/// The keys, the limits and the files of the hub.
#[derive(Clone, Debug)]
pub struct HubOptions {
    /// The key that has every right but that of a person.
    pub key: String,
    /// A random secret for the tokens of runs, the same after a restart.
    pub run_secret: String,
    /// Whether the hub has made the key for itself. A client that needs none may send any other then, as it did before the hub
    /// had one.
    pub is_own_key: bool,
    /// The clients of this machine that are served without a key.
    pub keyless: Keyless,
    /// Whether `python` tasks are accepted. They run any code on the workers' machines.
    pub trust_all_tools: bool,
    /// Limits of sizes, counts and ranges.
    pub limits: Limits,
    /// The rules at the start. A reload may change them.
    pub rules: Rules,
    /// The number of readers; each has one read-only connection to the store.
    pub readers: usize,
    /// The folder for backups. The first backup creates it.
    pub backup_dir: PathBuf,
    /// The names of the pools of this process.
    pub pools: Vec<String>,
    /// The store's file, for the readers.
    pub store_path: PathBuf,
}
