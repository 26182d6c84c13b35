//! `retry_failed`: queues every failed task again and clears its worker, lease, result and error.
//!
//! ```text
//! {"id":1,"method":"retry_failed"}
//! {"id":1,"result":{"retried":3},"error":null}
//! ```

use crate::{Error, Limits, Method, Params, Verb};
use serde::{Deserialize, Serialize};

/// The failed tasks to queue again.
#[serde_with::skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct RetryFailedParams {
    /// Only tasks of this queue.
    pub queue: Option<String>,
}

/// The tasks are queued again.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct RetryFailedAnswer {
    /// The number of tasks that were queued again.
    pub retried: u64,
}

impl Verb for RetryFailedParams {
    const METHOD: Method = Method::RetryFailed;
    type Answer = RetryFailedAnswer;

    fn read(params: &Params<'_>, limits: &Limits) -> Result<RetryFailedParams, Error> {
        Ok(RetryFailedParams {
            queue: params.opt_name("queue", limits)?,
        })
    }
}
