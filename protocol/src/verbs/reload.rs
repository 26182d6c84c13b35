//! `reload`: the hub's process reads its settings again, as on SIGHUP.
//!
//! ```text
//! {"id":1,"method":"reload"}
//! {"id":1,"result":{"file":"/etc/kirosu/kirosu.toml","changed":["pool.coders.size"],"needs_restart":["hub.port"]},"error":null}
//! ```

use serde::{Deserialize, Serialize};

/// What differs from before. Settings with a fault are `wrong_state`, and the last good ones stay in force.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReloadAnswer {
    /// The file that was read, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// Keys that took effect, such as `limits.connections`; `pool.NAME` for a pool that was added or removed.
    pub changed: Vec<String>,
    /// Keys that have changed and take effect only after a restart.
    pub needs_restart: Vec<String>,
}

no_params!(ReloadParams, Reload -> ReloadAnswer);
