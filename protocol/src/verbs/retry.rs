//! `retry`: a failed or cancelled task is queued again.
//!
//! ```text
//! {"id":1,"method":"retry","params":{"task_id":42}}
//! {"id":1,"result":{"ok":true},"error":null}
//! ```

use super::Verb;
use crate::error::Error;
use crate::limits::Limits;
use crate::method::Method;
use crate::params::Params;
use crate::task::TaskId;
use serde::Serialize;

/// The task to queue again.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct RetryAsk {
    /// The task.
    pub task_id: TaskId,
}

impl RetryAsk {
    /// Reads the parameters.
    pub fn read(params: &Params<'_>, _limits: &Limits) -> Result<RetryAsk, Error> {
        Ok(RetryAsk {
            task_id: params.task_id()?,
        })
    }
}

impl Verb for RetryAsk {
    const METHOD: Method = Method::Retry;
    type Answer = super::Ok;
}
