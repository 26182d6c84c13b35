//! `run_file`: reads the result of a step in pieces, for the file that the task of another step names.
//!
//! ```text
//! {"id":1,"method":"run_file","params":{"task_id":46,"fence":3,"step":"read"}}
//! {"id":1,"result":{"version":"7.0.12","text":"{\"key\":\"a.md\",\"state\":\"done\",\"result\":\"...\"}\n","next":"1.0.1"},"error":null}
//! ```

use crate::{Error, Fence, Limits, Method, Params, TaskId, Verb};
use serde::{Deserialize, Serialize};

/// The result to read.
#[serde_with::skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct RunFileParams {
    /// The task that gets the file. The session of the connection has its lease.
    #[cfg_attr(feature = "schema", schema(value_type = i64))]
    pub task_id: TaskId,
    /// The lease's fence. `None` means the lease taken over this connection.
    #[cfg_attr(feature = "schema", schema(value_type = Option<i64>))]
    pub fence: Option<Fence>,
    /// The path of the step with the result, in the task's run.
    pub step: String,
    /// `next` of the previous answer. `None` means the beginning.
    pub cursor: Option<String>,
}

/// A piece of the text.
#[serde_with::skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema), schema(as = RunFile))]
pub struct RunFileAnswer {
    /// Changes when the result does: pieces with different versions are not of one text.
    pub version: String,
    /// The piece.
    pub text: String,
    /// `cursor` of the next piece. `None` means that this is the last one.
    pub next: Option<String>,
}

impl Verb for RunFileParams {
    const METHOD: Method = Method::RunFile;
    type Answer = RunFileAnswer;

    fn read(params: &Params<'_>, _: &Limits) -> Result<RunFileParams, Error> {
        Ok(RunFileParams {
            task_id: params.task_id()?,
            fence: params.opt_int("fence", 0..=i64::MAX)?,
            step: params.text("step")?,
            cursor: params.opt_text("cursor")?,
        })
    }
}
