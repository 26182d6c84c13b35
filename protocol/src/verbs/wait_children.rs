//! `wait_children`: the run of a task is about to end, to wait for the children of its task without a lease.
//!
//! The worker ends the run, and acks it as failed with the class `parked`. The attempt does not count. When the unfinished
//! children have ended, in whatever way, the task is queued again; its next lease has their results as `children`.
//!
//! ```text
//! {"id":1,"method":"wait_children","params":{"task_id":42,"fence":1}}
//! {"id":1,"result":{"task_id":42,"children":3,"unfinished":2},"error":null}
//! ```

use crate::{Error, Fence, Limits, Method, Params, TaskId, Verb};
use serde::{Deserialize, Serialize};

/// The run that waits.
#[serde_with::skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct WaitChildrenParams {
    /// The task; 0 is the own one of the run whose token the client has.
    #[cfg_attr(feature = "schema", schema(value_type = i64, required = false))]
    pub task_id: TaskId,
    /// The lease's fence. `None` means the lease taken over this connection, else the task's current lease.
    #[cfg_attr(feature = "schema", schema(value_type = Option<i64>))]
    pub fence: Option<Fence>,
    /// The worker that holds the lease. If given, another holder's lease is refused as `stale_lease`.
    pub worker_id: Option<String>,
}

/// The children for which the task will wait.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct WaitChildrenAnswer {
    /// The task.
    #[cfg_attr(feature = "schema", schema(value_type = i64))]
    pub task_id: TaskId,
    /// Its children since it last waited.
    pub children: u64,
    /// Those of them that have not ended. `wrong_state` if there is none.
    pub unfinished: u64,
}

impl Verb for WaitChildrenParams {
    const METHOD: Method = Method::WaitChildren;
    type Answer = WaitChildrenAnswer;

    fn read(params: &Params<'_>, limits: &Limits) -> Result<WaitChildrenParams, Error> {
        Ok(WaitChildrenParams {
            task_id: params.opt_int("task_id", 0..=TaskId::MAX)?.unwrap_or(0),
            fence: params.opt_int("fence", 0..=i64::MAX)?,
            worker_id: params.opt_name("worker_id", limits)?,
        })
    }
}
