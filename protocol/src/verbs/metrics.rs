//! `metrics`: counters, gauges and histograms, for the gateway to export.
//!
//! ```text
//! {"id":1,"method":"metrics"}
//! {"id":1,"result":{"metrics":[{"name":"kirosu_tasks_enqueued_total","kind":"counter","help":"Tasks enqueued.","value":42}]},"error":null}
//! ```

use super::Verb;
use crate::method::Method;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// No parameters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct MetricsAsk {}

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
    /// A histogram's cumulative buckets: upper bound, observations up to it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub buckets: Vec<(f64, u64)>,
}

/// All of them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct MetricsAnswer {
    /// Grouped by name.
    pub metrics: Vec<Metric>,
}

impl Verb for MetricsAsk {
    const METHOD: Method = Method::Metrics;
    type Answer = MetricsAnswer;
}
