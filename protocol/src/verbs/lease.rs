//! `lease`: leases tasks, or waits for one.
//!
//! ```text
//! {"id":1,"method":"lease","params":{"worker_id":"w1","max_tasks":1,"lease_seconds":60,"wait_seconds":30}}
//! {"id":1,"result":{"tasks":[{"task_id":42,"prompt":"Summarise README.md","fence":1,...}]},"error":null}
//! ```

use super::{seconds, seconds_or_null, skip_zero};
use crate::task::DEFAULT_QUEUE;
use crate::{Error, Limits, Method, Params, Task, Verb};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The default of `worker_id`.
pub const DEFAULT_WORKER: &str = "worker";

/// The tasks to lease. Serialises as the parameters of `lease`.
#[serde_with::skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct LeaseParams {
    /// The worker's name, for people. The lease belongs to the session or the connection.
    #[cfg_attr(feature = "schema", schema(required = false))]
    pub worker_id: String,
    /// The most tasks to lease, 1 to `Limits::max_tasks_per_lease`.
    #[cfg_attr(feature = "schema", schema(minimum = 1, required = false))]
    pub max_tasks: u32,
    /// The length of the leases without a heartbeat, in milliseconds. `None` means `Limits::lease_ms_default`.
    #[serde(rename = "lease_seconds", serialize_with = "seconds_or_null")]
    #[cfg_attr(feature = "schema", schema(value_type = Option<f64>))]
    pub lease_ms: Option<u64>,
    /// The longest wait if no task is ready, in milliseconds. 0 means no wait.
    #[serde(
        rename = "wait_seconds",
        serialize_with = "seconds",
        skip_serializing_if = "skip_zero"
    )]
    #[cfg_attr(feature = "schema", schema(value_type = f64, required = false))]
    pub wait_ms: u64,
    /// The queues, never empty; by default the queue `default`.
    #[cfg_attr(feature = "schema", schema(required = false))]
    pub queues: Vec<String>,
    /// The types. Empty means every type except `human`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "schema", schema(required = false))]
    pub types: Vec<String>,
    /// The types to exclude, also from `types`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "schema", schema(required = false))]
    pub exclude_types: Vec<String>,
}

impl LeaseParams {
    /// A request for one task of the default queue, without a wait.
    pub fn one(worker_id: impl Into<String>) -> LeaseParams {
        LeaseParams {
            worker_id: worker_id.into(),
            max_tasks: 1,
            queues: vec![DEFAULT_QUEUE.into()],
            ..LeaseParams::default()
        }
    }
}

/// The leased tasks.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct LeaseAnswer {
    /// The greatest priority first, then the oldest; each with `fence` and `leased_until`. Empty if no task was ready in time.
    pub tasks: Vec<Task>,
}

impl Verb for LeaseParams {
    const METHOD: Method = Method::Lease;
    type Answer = LeaseAnswer;

    /// Null, 0 and "" mean the default.
    fn read(params: &Params<'_>, limits: &Limits) -> Result<LeaseParams, Error> {
        let most = i64::from(limits.max_tasks_per_lease);
        let mut queues = params.names("queues", limits)?;
        if queues.is_empty() {
            queues.push(DEFAULT_QUEUE.into());
        }
        Ok(LeaseParams {
            worker_id: params
                .opt_name("worker_id", limits)?
                .unwrap_or_else(|| DEFAULT_WORKER.into()),
            max_tasks: params.opt_positive("max_tasks", 1..=most)?.unwrap_or(1) as u32,
            lease_ms: params
                .opt_seconds("lease_seconds", limits.lease_ms_min..=limits.lease_ms_max)?,
            wait_ms: params
                .opt_seconds("wait_seconds", 0..=limits.wait_ms_max)?
                .unwrap_or(0),
            queues,
            types: params.names("types", limits)?,
            exclude_types: params.names("exclude_types", limits)?,
        })
    }

    fn parked(&self) -> Duration {
        Duration::from_millis(self.wait_ms)
    }
}
