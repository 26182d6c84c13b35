//! `ping`: shows that the hub answers. It needs neither the store nor another actor, so it is answered while they are busy.
//!
//! ```text
//! {"id":1,"method":"ping"}
//! {"id":1,"result":{"boot_id":"...","time":1767225600.5},"error":null}
//! ```

use serde::{Deserialize, Serialize};

/// The hub answers.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct PingAnswer {
    /// Unique per start of the hub: another value shows that the hub was restarted.
    pub boot_id: String,
    /// The hub's wall clock, in Unix seconds.
    pub time: f64,
}

no_params!(PingParams, Ping -> PingAnswer);
