//! Kirosu's settings: as written, merged, validated.
//!
//! # Theory of operation
//!
//! Settings go through three steps, and only what has passed the last one leaves this crate.
//!
//! 1. **As written.** Four layers, each stronger than the one before: built-in defaults, the file (TOML), the
//!    environment (`KIROSU_<SECTION>__<KEY>` and the historical names), flags. Every layer is read into leaves: a
//!    path such as `pool.coders.size`, a value, an [`Origin`]. The table of keys (`keys.rs`) says what a leaf may
//!    hold; a leaf that does not fit becomes a [`Fault`] that names key, place and what is allowed.
//! 2. **Merged.** Defaults that depend on other keys (`store.path` on `data_dir`, a pool's lease on `lease.default`)
//!    are filled in between the built-in layer and the file; then the layers are laid over each other and read into
//!    [`Settings`].
//! 3. **Validated.** Values are checked against each other: a pool's provider exists, nothing listens beyond loopback
//!    without a key, code of tasks runs only where hub and pool agreed.
//!
//! All faults of all steps are reported at once. The environment is handed in ([`LoadOptions`]); besides the settings
//! file and the key file nothing is read from the world. Relative paths stay as written and count from the process's
//! working directory.
//!
//! ```
//! use kirosu_config::{Flag, LoadOptions, Settings};
//!
//! let mut options = LoadOptions::with_env([("HOME", "/home/me"), ("KIRO_SWARM_PORT", "9000")]);
//! options.file = Some("/dev/null".into());
//! options.flags.push(Flag::new("--trust-all-tools", "hub.trust_all_tools", "true"));
//! let loaded = Settings::load(options)?;
//! assert_eq!(loaded.settings.hub.port, 9000);
//! assert_eq!(loaded.origins.get("hub.port").unwrap().to_string(), "environment KIRO_SWARM_PORT");
//! # Ok::<(), kirosu_config::Faults>(())
//! ```

pub mod approval;
mod bounded;
pub mod budget;
mod check;
mod concern;
mod cross;
mod derive;
mod env;
mod fault;
mod file;
pub mod hooks;
mod key;
mod keys;
mod layer;
mod level;
mod load;
mod locate;
mod merge;
mod options;
mod origin;
mod path;
pub mod pool;
mod raw;
pub mod reload;
mod routes;
mod schema;
mod secret;
pub mod settings;
mod show;
mod size;
#[cfg(test)]
mod tests;

pub use approval::Approval;
pub use bounded::read_text;
pub use budget::Budget;
pub use env::words;
pub use fault::{Fault, Faults};
pub use hooks::Hooks;
pub use load::Loaded;
pub use options::{Flag, LoadOptions, Purpose};
pub use origin::{Origin, Origins};
pub use pool::{Pool, Provider};
pub use routes::{Account, ROUTER_CLASSES};
pub use secret::Secret;
pub use settings::Settings;
