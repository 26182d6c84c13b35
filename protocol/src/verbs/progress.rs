//! `progress`: reports the progress of a run. The hub stores the newest report and sends each to watchers.
//!
//! ```text
//! {"id":1,"method":"progress","params":{"task_id":42,"fence":1,"data":{"percent":40,"text":"reading"}}}
//! {"id":1,"result":{"ok":true},"error":null}
//! ```

use crate::{Error, Fence, Limits, Method, Params, TaskId, Verb};
use serde::Serialize;
use serde_json::Value;

/// The progress of a run.
#[serde_with::skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct ProgressParams {
    /// The task.
    #[cfg_attr(feature = "schema", schema(value_type = i64))]
    pub task_id: TaskId,
    /// The lease's fence. `None` means the lease taken over this connection, else the task's current lease.
    #[cfg_attr(feature = "schema", schema(value_type = Option<i64>))]
    pub fence: Option<Fence>,
    /// The worker that holds the lease. If given, another holder's lease is refused as `stale_lease`.
    pub worker_id: Option<String>,
    /// Any JSON; at most 64 KiB.
    #[cfg_attr(feature = "schema", schema(required = false))]
    pub data: Value,
}

impl Verb for ProgressParams {
    const METHOD: Method = Method::Progress;
    type Answer = super::Done;

    fn read(params: &Params<'_>, limits: &Limits) -> Result<ProgressParams, Error> {
        Ok(ProgressParams {
            task_id: params.task_id()?,
            fence: params.opt_int("fence", 0..=i64::MAX)?,
            worker_id: params.opt_name("worker_id", limits)?,
            data: params.json("data", 64 << 10)?.unwrap_or_default(),
        })
    }
}
