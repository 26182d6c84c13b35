//! `progress`: how far a running task is; told to watchers, the newest one kept.
//!
//! ```text
//! {"id":1,"method":"progress","params":{"task_id":42,"fence":1,"data":{"percent":40,"text":"reading"}}}
//! {"id":1,"result":{"ok":true},"error":null}
//! ```

use super::Verb;
use crate::error::Error;
use crate::limits::Limits;
use crate::method::Method;
use crate::params::Params;
use crate::task::{Fence, TaskId};
use serde::Serialize;
use serde_json::Value;

/// How far it is.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct ProgressParams {
    /// The task.
    pub task_id: TaskId,
    /// The lease's fence; without one the hub looks at the connection, then at the current lease.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fence: Option<Fence>,
    /// The holder, where said: another's is refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub worker_id: Option<String>,
    /// Whatever the worker says; at most 64 KiB of JSON.
    pub data: Value,
}

impl Verb for ProgressParams {
    const METHOD: Method = Method::Progress;
    type Answer = super::Ok;

    fn read(params: &Params<'_>, limits: &Limits) -> Result<ProgressParams, Error> {
        Ok(ProgressParams {
            task_id: params.task_id()?,
            fence: params.opt_int("fence", 0..=i64::MAX)?,
            worker_id: params.opt_name("worker_id", limits)?,
            data: params.json("data", 64 << 10)?.unwrap_or_default(),
        })
    }
}
