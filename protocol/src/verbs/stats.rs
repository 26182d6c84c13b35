//! `stats`: returns the counters of tasks.
//!
//! ```text
//! {"id":1,"method":"stats"}
//! {"id":1,"result":{"stats":{"queued":3,"leased":1,...}},"error":null}
//! ```

use crate::Stats;
use serde::{Deserialize, Serialize};

/// The counters of tasks.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema), schema(as = StatsOnly))]
pub struct StatsAnswer {
    /// The counters.
    pub stats: Stats,
}

no_params!(StatsParams, Stats -> StatsAnswer);
