//! `release`: gives a lease back without costing an attempt; the task is ready again at once.
//!
//! ```text
//! {"id":1,"method":"release","params":{"task_id":42,"fence":1,"reason":"worker stops"}}
//! {"id":1,"result":{"ok":true},"error":null}
//! ```

use super::{Verb, seconds, skip_zero};
use crate::error::Error;
use crate::limits::Limits;
use crate::method::Method;
use crate::params::Params;
use crate::task::{Fence, TaskId};
use serde::Serialize;

/// The lease to give back.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct ReleaseParams {
    /// The task.
    pub task_id: TaskId,
    /// The lease's fence; without one the hub looks at the connection, then at the current lease.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fence: Option<Fence>,
    /// The holder, where said: another's is refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub worker_id: Option<String>,
    /// Why, for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// How long nobody may lease the task again, in milliseconds; 0: not at all.
    #[serde(
        rename = "delay_seconds",
        serialize_with = "seconds",
        skip_serializing_if = "skip_zero"
    )]
    pub delay_ms: u64,
}

impl Verb for ReleaseParams {
    const METHOD: Method = Method::Release;
    type Answer = super::Ok;

    fn read(params: &Params<'_>, limits: &Limits) -> Result<ReleaseParams, Error> {
        Ok(ReleaseParams {
            task_id: params.task_id()?,
            fence: params.opt_int("fence", 0..=i64::MAX)?,
            worker_id: params.opt_name("worker_id", limits)?,
            delay_ms: params
                .opt_seconds("delay_seconds", 0..=super::DAY_MS)?
                .unwrap_or(0),
            reason: params.opt_text_within("reason", super::REASON_BYTES)?,
        })
    }
}
