//! `metrics`: returns counters, gauges and histograms; the gateway exports them.
//!
//! ```text
//! {"id":1,"method":"metrics"}
//! {"id":1,"result":{"metrics":[{"name":"kirosu_wal_bytes","kind":"gauge","help":"Size of the store's write-ahead log.","value":16777216},
//!   {"name":"kirosu_task_wait_seconds","kind":"histogram","help":"...","labels":{"queue":"default"},"value":1.5,"count":3,"buckets":[[0.001,2],...]}]},"error":null}
//! ```
//!
//! Series with the same name follow one another. Counters start at 0 when the hub, or its writer, is restarted.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A time series.
#[serde_with::skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Metric {
    /// The name, in the form of Prometheus.
    pub name: String,
    /// `counter`, `gauge` or `histogram`.
    pub kind: String,
    /// The description, one sentence.
    pub help: String,
    /// The labels.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// The value of a counter or gauge; the sum of a histogram's observations.
    pub value: f64,
    /// The number of a histogram's observations.
    pub count: Option<u64>,
    /// The cumulative buckets of a histogram, in growing order: the upper bound, included, and the number of observations up to
    /// it. Observations beyond the last bound are only in `count`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub buckets: Vec<(f64, u64)>,
}

/// All series.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct MetricsAnswer {
    /// The series, grouped by name.
    pub metrics: Vec<Metric>,
}

no_params!(MetricsParams, Metrics -> MetricsAnswer);
