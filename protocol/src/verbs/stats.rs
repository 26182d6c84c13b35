//! `stats`: the counters.
//!
//! ```text
//! {"id":1,"method":"stats"}
//! {"id":1,"result":{"stats":{"queued":3,"leased":1,...}},"error":null}
//! ```

use super::Verb;
use crate::method::Method;
use crate::task::Stats;
use serde::{Deserialize, Serialize};

/// No parameters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct StatsParams {}

/// The counters.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct StatsAnswer {
    /// The counters.
    pub stats: Stats,
}

impl Verb for StatsParams {
    const METHOD: Method = Method::Stats;
    type Answer = StatsAnswer;
}
