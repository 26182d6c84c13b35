//! `output`: appends text to the output of a run. The hub stores it per attempt and sends it to watchers.
//!
//! ```text
//! {"id":1,"method":"output","params":{"task_id":42,"fence":1,"chunk":0,"text":"Reading README.md\n"}}
//! {"id":1,"result":{"ok":true},"error":null}
//! ```

use crate::{Error, Fence, Limits, Method, Params, TaskId, Verb};
use serde::Serialize;

/// A piece of output.
#[serde_with::skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct OutputParams {
    /// The task.
    #[cfg_attr(feature = "schema", schema(value_type = i64))]
    pub task_id: TaskId,
    /// The lease's fence. `None` means the lease taken over this connection, else the task's current lease.
    #[cfg_attr(feature = "schema", schema(value_type = Option<i64>))]
    pub fence: Option<Fence>,
    /// The worker that holds the lease. If given, another holder's lease is refused as `stale_lease`.
    pub worker_id: Option<String>,
    /// The chunk's number within the attempt, from 0. A chunk that is sent twice is stored once. `None` means the next number.
    pub chunk: Option<u64>,
    /// The text; at most `Limits::output_bytes` bytes.
    pub text: String,
}

impl Verb for OutputParams {
    const METHOD: Method = Method::Output;
    type Answer = super::Done;

    fn read(params: &Params<'_>, limits: &Limits) -> Result<OutputParams, Error> {
        Ok(OutputParams {
            task_id: params.task_id()?,
            fence: params.opt_int("fence", 0..=i64::MAX)?,
            worker_id: params.opt_name("worker_id", limits)?,
            chunk: params.opt_int("chunk", 0..=i64::MAX)?.map(|n| n as u64),
            text: match params.opt_text_within("text", limits.output_bytes)? {
                Some(text) => text,
                None => params.text("text")?,
            },
        })
    }
}
