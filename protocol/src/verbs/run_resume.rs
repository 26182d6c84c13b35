//! `run_resume`: lets a paused run of a plan go on, and one that waits for a person's decision to go on.
//!
//! ```text
//! {"id":1,"method":"run_resume","params":{"task_id":42}}
//! {"id":1,"result":{"ok":true},"error":null}
//! ```

use super::Done;
use crate::{Error, Limits, Method, Params, TaskId, Verb};
use serde::Serialize;

/// The run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct RunResumeParams {
    /// The task of the run.
    pub task_id: TaskId,
}

impl Verb for RunResumeParams {
    const METHOD: Method = Method::RunResume;
    type Answer = Done;

    fn read(params: &Params<'_>, _: &Limits) -> Result<RunResumeParams, Error> {
        Ok(RunResumeParams {
            task_id: params.task_id()?,
        })
    }
}
