//! `run_pause`: pauses a run of a plan. Tasks that run go on; no further task starts until `run_resume`.
//!
//! ```text
//! {"id":1,"method":"run_pause","params":{"task_id":42}}
//! {"id":1,"result":{"ok":true},"error":null}
//! ```

use super::Done;
use crate::{Error, Limits, Method, Params, TaskId, Verb};
use serde::Serialize;

/// The run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct RunPauseParams {
    /// The task of the run.
    #[cfg_attr(feature = "schema", schema(value_type = i64))]
    pub task_id: TaskId,
}

impl Verb for RunPauseParams {
    const METHOD: Method = Method::RunPause;
    type Answer = Done;

    fn read(params: &Params<'_>, _: &Limits) -> Result<RunPauseParams, Error> {
        Ok(RunPauseParams {
            task_id: params.task_id()?,
        })
    }
}
