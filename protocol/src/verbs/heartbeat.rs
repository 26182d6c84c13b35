//! `heartbeat`: a run goes on; its lease is extended.
//!
//! ```text
//! {"id":1,"method":"heartbeat","params":{"task_id":42,"fence":1,"lease_seconds":60}}
//! {"id":1,"result":{"ok":true,"leased_until":1760000060.0},"error":null}
//! ```

use super::{Verb, seconds_or_null};
use crate::error::Error;
use crate::limits::Limits;
use crate::method::Method;
use crate::params::Params;
use crate::task::{Fence, TaskId};
use serde::{Deserialize, Serialize};

/// The lease to extend.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct HeartbeatParams {
    /// The task.
    pub task_id: TaskId,
    /// The lease's fence; without one the hub looks at the connection, then at the current lease.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fence: Option<Fence>,
    /// The holder, where said: another's is refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub worker_id: Option<String>,
    /// How long it holds from now, in milliseconds; as long as it was taken for when none.
    #[serde(
        rename = "lease_seconds",
        serialize_with = "seconds_or_null",
        skip_serializing_if = "Option::is_none"
    )]
    pub lease_ms: Option<u64>,
}

/// The lease as it stands now.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct HeartbeatAnswer {
    /// Always true; a lost lease is the error `stale_lease`, whose data says `"status":"cancelled"` of a cancelled run.
    pub ok: bool,
    /// Unix seconds until which it holds.
    pub leased_until: f64,
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
