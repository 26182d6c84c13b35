//! `run_retry`: repeats what failed in a run of a plan, and the steps that depend on it. Nothing else runs again.
//!
//! ```text
//! {"id":1,"method":"run_retry","params":{"task_id":42,"step":"read"}}
//! {"id":1,"result":{"ok":true},"error":null}
//! ```

use super::Done;
use crate::{Error, Limits, Method, Params, TaskId, Verb};
use serde::{Deserialize, Serialize};

/// The steps or items to repeat.
#[serde_with::skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct RunRetryParams {
    /// The task of the run.
    #[cfg_attr(feature = "schema", schema(value_type = i64))]
    pub task_id: TaskId,
    /// The path of a step. `None`: all steps that failed, or of which items failed.
    pub step: Option<String>,
    /// The key of an item of that step, also of one that is done. `None`: the items that failed or were cancelled; of a step
    /// without such items all.
    pub item: Option<String>,
}

impl Verb for RunRetryParams {
    const METHOD: Method = Method::RunRetry;
    type Answer = Done;

    fn read(params: &Params<'_>, _: &Limits) -> Result<RunRetryParams, Error> {
        let params = RunRetryParams {
            task_id: params.task_id()?,
            step: params.opt_text("step")?,
            item: params.opt_text("item")?,
        };
        match params.item.is_some() && params.step.is_none() {
            true => Err(Error::invalid_params("`item` needs `step`")),
            false => Ok(params),
        }
    }
}
