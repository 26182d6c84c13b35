//! `reload`: makes the hub's process read its configuration again, as on SIGHUP.
//!
//! ```text
//! {"id":1,"method":"reload"}
//! {"id":1,"result":{"file":"/etc/kirosu/kirosu.toml","changed":["pool.coders.size"],"needs_restart":["hub.port"]},"error":null}
//! ```

use serde::{Deserialize, Serialize};

/// The settings that changed. A configuration with a fault is refused as `wrong_state` and changes nothing.
#[serde_with::skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct ReloadAnswer {
    /// The file that was read. `None` if there is none.
    pub file: Option<String>,
    /// The keys that took effect, such as `limits.connections`; `pool.NAME` for a pool that was added or removed.
    pub changed: Vec<String>,
    /// The keys that changed and take effect only after a restart.
    pub needs_restart: Vec<String>,
}

no_params!(ReloadParams, Reload -> ReloadAnswer);
