//! `release`: gives a lease back. The attempt does not count; the task is ready again, at once or after a delay.
//!
//! ```text
//! {"id":1,"method":"release","params":{"task_id":42,"fence":1,"reason":"worker stops"}}
//! {"id":1,"result":{"ok":true},"error":null}
//! ```

use super::{seconds, skip_zero};
use crate::limits::{DAY_MS, REASON_BYTES};
use crate::{Error, Fence, Limits, Method, Params, TaskId, Verb};
use serde::Serialize;

/// The lease to give back.
#[serde_with::skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct ReleaseParams {
    /// The task.
    #[cfg_attr(feature = "schema", schema(value_type = i64))]
    pub task_id: TaskId,
    /// The lease's fence. `None` means the lease taken over this connection, else the task's current lease.
    #[cfg_attr(feature = "schema", schema(value_type = Option<i64>))]
    pub fence: Option<Fence>,
    /// The worker that holds the lease. If given, another holder's lease is refused as `stale_lease`.
    pub worker_id: Option<String>,
    /// The reason, for people; at most 64 KiB.
    pub reason: Option<String>,
    /// The time before the task can be leased again, in milliseconds; at most a day. 0 means no delay.
    #[serde(
        rename = "delay_seconds",
        serialize_with = "seconds",
        skip_serializing_if = "skip_zero"
    )]
    #[cfg_attr(feature = "schema", schema(value_type = f64, required = false))]
    pub delay_ms: u64,
}

impl Verb for ReleaseParams {
    const METHOD: Method = Method::Release;
    type Answer = super::Done;

    fn read(params: &Params<'_>, limits: &Limits) -> Result<ReleaseParams, Error> {
        Ok(ReleaseParams {
            task_id: params.task_id()?,
            fence: params.opt_int("fence", 0..=i64::MAX)?,
            worker_id: params.opt_name("worker_id", limits)?,
            delay_ms: params
                .opt_seconds("delay_seconds", 0..=DAY_MS)?
                .unwrap_or(0),
            reason: params.opt_text_within("reason", REASON_BYTES)?,
        })
    }
}
