//! `drain`: nothing more is leased or parked; what runs goes on. Undone by a restart only.
//!
//! ```text
//! {"id":1,"method":"drain"}
//! {"id":1,"result":{"ok":true,"leased":4},"error":null}
//! ```

use serde::{Deserialize, Serialize};

/// What is left to wait for.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct DrainAnswer {
    /// Always true.
    pub ok: bool,
    /// Leases that are still running.
    pub leased: u64,
}

no_params!(DrainParams, Drain -> DrainAnswer);
