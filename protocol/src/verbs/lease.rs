//! `lease`: take tasks, or wait for one.
//!
//! ```text
//! {"id":1,"method":"lease","params":{"worker_id":"w1","max_tasks":1,"lease_seconds":60,"wait_seconds":30}}
//! {"id":1,"result":{"tasks":[{"task_id":42,"prompt":"Summarise README.md","fence":1,...}]},"error":null}
//! ```

use super::{Verb, seconds, seconds_or_null, skip_zero};
use crate::error::Error;
use crate::limits::Limits;
use crate::method::Method;
use crate::params::Params;
use crate::task::{DEFAULT_QUEUE, Task};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The worker's name when it says none.
pub const DEFAULT_WORKER: &str = "worker";

/// What a worker asks for. Serialises as the parameters of `lease`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LeaseParams {
    /// The worker's name, for people; leases belong to the session or the connection.
    pub worker_id: String,
    /// Most tasks to hand out.
    pub max_tasks: u32,
    /// How long the lease holds without a heartbeat, in milliseconds; the hub's default when none.
    #[serde(
        rename = "lease_seconds",
        serialize_with = "seconds_or_null",
        skip_serializing_if = "Option::is_none"
    )]
    pub lease_ms: Option<u64>,
    /// How long to park the request when nothing is ready, in milliseconds; 0 answers at once.
    #[serde(
        rename = "wait_seconds",
        serialize_with = "seconds",
        skip_serializing_if = "skip_zero"
    )]
    pub wait_ms: u64,
    /// Queues to take from; never empty (`default` when none was named).
    pub queues: Vec<String>,
    /// Types to take; empty: every type but `human`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub types: Vec<String>,
    /// Types not to take (wins over `types`).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub exclude_types: Vec<String>,
}

impl LeaseParams {
    /// One task of the default queue, answered at once, with the hub's default lease.
    pub fn one(worker_id: impl Into<String>) -> LeaseParams {
        LeaseParams {
            worker_id: worker_id.into(),
            max_tasks: 1,
            lease_ms: None,
            wait_ms: 0,
            queues: vec![DEFAULT_QUEUE.into()],
            types: Vec::new(),
            exclude_types: Vec::new(),
        }
    }
}

/// The leased tasks, oldest first within a priority; empty when nothing was ready in time.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct LeaseAnswer {
    /// Each with its `fence` and `leased_until`.
    pub tasks: Vec<Task>,
}

impl Verb for LeaseParams {
    const METHOD: Method = Method::Lease;
    type Answer = LeaseAnswer;

    /// Reads the parameters; null, 0 and "" mean the default.
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
