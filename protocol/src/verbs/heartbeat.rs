//! `heartbeat`: extends the lease of a run.
//!
//! ```text
//! {"id":1,"method":"heartbeat","params":{"task_id":42,"fence":1,"lease_seconds":60}}
//! {"id":1,"result":{"ok":true,"leased_until":1760000060.0},"error":null}
//! ```

use super::seconds_or_null;
use crate::{Error, Fence, Limits, Method, Params, TaskId, Verb};
use serde::{Deserialize, Serialize};

/// The lease to extend.
#[serde_with::skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct HeartbeatParams {
    /// The task.
    #[cfg_attr(feature = "schema", schema(value_type = i64))]
    pub task_id: TaskId,
    /// The lease's fence. `None` means the lease taken over this connection, else the task's current lease.
    #[cfg_attr(feature = "schema", schema(value_type = Option<i64>))]
    pub fence: Option<Fence>,
    /// The worker that holds the lease. If given, another holder's lease is refused as `stale_lease`.
    pub worker_id: Option<String>,
    /// The new length of the lease from now, in milliseconds. `None` means its original length.
    #[serde(rename = "lease_seconds", serialize_with = "seconds_or_null")]
    #[cfg_attr(feature = "schema", schema(value_type = Option<f64>))]
    pub lease_ms: Option<u64>,
}

/// The extended lease.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct HeartbeatAnswer {
    /// Always true. For a lost lease the error is `stale_lease`; its data has `"status":"cancelled"` if the task was cancelled.
    pub ok: bool,
    /// Unix seconds of the lease's end.
    pub leased_until: f64,
    /// Whether the run is to end as `parked`: it has called `wait_children`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub waits_children: bool,
}

impl Verb for HeartbeatParams {
    const METHOD: Method = Method::Heartbeat;
    type Answer = HeartbeatAnswer;

    fn read(params: &Params<'_>, limits: &Limits) -> Result<HeartbeatParams, Error> {
        Ok(HeartbeatParams {
            task_id: params.task_id()?,
            fence: params.opt_int("fence", 0..=i64::MAX)?,
            worker_id: params.opt_name("worker_id", limits)?,
            lease_ms: params
                .opt_seconds("lease_seconds", limits.lease_ms_min..=limits.lease_ms_max)?,
        })
    }
}
