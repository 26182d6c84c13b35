//! `metrics`: counters, gauges and histograms, for the gateway to export.
//!
//! ```text
//! {"id":1,"method":"metrics"}
//! {"id":1,"result":{"metrics":[{"name":"kirosu_wal_bytes","kind":"gauge","help":"Size of the store's write-ahead log.","value":16777216},
//!   {"name":"kirosu_task_wait_seconds","kind":"histogram","help":"...","labels":{"queue":"default"},"value":1.5,"count":3,"buckets":[[0.001,2],...]}]},"error":null}
//! ```
//!
//! Series of one name stand together. Counters begin at zero when the hub (or its writer) is restarted.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// One series.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Metric {
    /// Its name, as Prometheus wants it.
    pub name: String,
    /// `counter`, `gauge` or `histogram`.
    pub kind: String,
    /// What it counts, one sentence.
    pub help: String,
    /// Its labels.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// A counter's or gauge's value; a histogram's sum.
    pub value: f64,
    /// A histogram's number of observations.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<u64>,
    /// A histogram's buckets, cumulative: upper bound (inclusive), observations up to it, growing. What is beyond the
    /// last bound is in `count` only.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub buckets: Vec<(f64, u64)>,
}

/// All of them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct MetricsAnswer {
    /// Grouped by name.
    pub metrics: Vec<Metric>,
}

no_params!(MetricsParams, Metrics -> MetricsAnswer);
