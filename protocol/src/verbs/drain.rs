//! `drain`: stops leasing until the hub's restart. Runs go on, and tasks can be enqueued.
//!
//! ```text
//! {"id":1,"method":"drain"}
//! {"id":1,"result":{"ok":true,"leased":4},"error":null}
//! ```

use serde::{Deserialize, Serialize};

/// The hub drains.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct DrainAnswer {
    /// Always true.
    pub ok: bool,
    /// The number of current leases.
    pub leased: u64,
}

no_params!(DrainParams, Drain -> DrainAnswer);
