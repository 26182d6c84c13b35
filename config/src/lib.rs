//! Kirosu's settings: read from layers, merged, validated.
//!
//! # Theory of operation
//!
//! A load has three steps. Only settings that pass the last one leave this crate.
//!
//! 1. **Layers.** There are four, each stronger than the one before: built-in defaults, the file (TOML), the environment
//!    (`KIROSU_<SECTION>__<KEY>` and the names of earlier versions), flags. Each layer is read into leaves: a path such
//!    as `pool.coders.size`, a value, an [`Origin`]. The schema (`schema.rs`, with the keys in `settings/`) gives the
//!    values that a key allows. Any other value becomes a [`ConfigFault`] with the key, the place and the allowed values.
//! 2. **Merge.** The leaves of all layers are merged. Missing keys get a default, which may depend on other keys
//!    (`store.path` on `data_dir`, a pool's lease on `lease.default`). The result is deserialised into [`Settings`].
//! 3. **Cross-checks.** Values are checked against each other: a pool's provider is defined, no socket listens beyond
//!    loopback without a key, code of tasks runs only if both hub and pool allow it.
//!
//! All faults of all steps are reported at once. The caller passes the environment in ([`LoadOptions`]); the load reads
//! the settings file and the key file, and nothing else. Relative paths are kept as written and are resolved against the
//! working directory of the process.
//!
//! A key is defined once, in a `define_section!` of `settings/`: name, type, allowed values, default, documentation, and
//! whether it needs a restart. Tests compare the example file and docs/configuration.md with it.
//!
//! ```
//! use kirosu_config::{Flag, LoadOptions, Settings};
//!
//! let mut options = LoadOptions::with_env([("HOME", "/home/me"), ("KIRO_SWARM_PORT", "9000")]);
//! options.file = Some("/dev/null".into());
//! options.flags.push(Flag::new("--trust-all-tools", "hub.trust_all_tools", "true"));
//! let loaded = Settings::load(options)?;
//! assert_eq!(loaded.settings.hub.port.number(), Some(9000));
//! assert_eq!(loaded.origins.get("hub.port").unwrap().to_string(), "environment KIRO_SWARM_PORT");
//! # Ok::<(), kirosu_config::ConfigFaults>(())
//! ```

mod address;
mod bounds;
mod built_in;
mod check;
mod client_faults;
mod cross_check;
mod derive;
mod env;
mod fault;
mod file;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
mod hub_key;
mod layer;
mod level;
mod load;
mod locate;
mod notify;
mod options;
mod origin;
mod own_key;
mod path;
mod raw;
mod read_text;
mod redact;
mod reload;
mod routers;
mod schema;
mod secret;
mod settings;
mod show;
#[cfg(test)]
mod tests;
mod tls;
mod trust;
mod warnings;

pub use address::HubAddress;
pub use env::words;
pub use fault::{ConfigFault, ConfigFaults};
pub use kirosu_protocol::size::format as size_text;
pub use load::Loaded;
pub use options::{Flag, LoadOptions, Purpose};
pub use origin::{Origin, Origins};
pub use own_key::{OWN_KEY_FILE, own_key, own_key_or_new, own_key_path, run_secret_or_new};
pub use read_text::read_text;
pub use redact::SecretDisplay;
pub use reload::{PoolChange, SettingsDiff, diff};
pub use secret::Secret;
pub use settings::*;
pub use show::{Effect, FileSetting};
pub use trust::{Trust, TrustRecord, TrustStore, state_folder};
