//! `retry`: queues a failed or cancelled task, or those of a group, again.
//!
//! ```text
//! {"id":1,"method":"retry","params":{"task_id":42}}
//! {"id":1,"result":{"ok":true},"error":null}
//! ```

use super::GROUP_TIME;
use crate::{Error, Limits, Method, Params, Status, Target, TaskId, Verb};
use serde::{Deserialize, Serialize};
use std::ops::Not;
use std::time::Duration;

/// Which failed and cancelled tasks to queue again. Of a group, other tasks are skipped.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct RetryParams {
    /// The task, or the group.
    #[serde(flatten)]
    #[cfg_attr(feature = "schema", schema(value_type = crate::schema::TargetSchema))]
    pub target: Target,
    /// Of a group: only tasks that have failed. Without effect on a single task.
    #[serde(skip_serializing_if = "Not::not")]
    #[cfg_attr(feature = "schema", schema(required = false))]
    pub failed: bool,
    /// Whether the failed and cancelled tasks that they depend on, directly or not, are queued again too.
    #[serde(skip_serializing_if = "Not::not")]
    #[cfg_attr(feature = "schema", schema(required = false))]
    pub with_dependencies: bool,
}

impl RetryParams {
    /// One task, without its dependencies.
    pub fn task(task_id: TaskId) -> RetryParams {
        RetryParams {
            target: Target::Task(task_id),
            failed: false,
            with_dependencies: false,
        }
    }
}

/// The tasks are queued again.
#[serde_with::skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct RetryAnswer {
    /// Always true; a refusal is an error.
    pub ok: bool,
    /// Of a single task: `failed` if it failed again at once, because a dependency has ended without a result.
    pub status: Option<Status>,
    /// Of a single task that failed again: the dependency and its state, as a sentence.
    pub error: Option<String>,
    /// The number of tasks of the group that were queued again. `None` for a single task.
    pub retried: Option<u64>,
    /// The number of tasks outside the group that were queued again as dependencies. `None` without `with_dependencies`.
    pub dependencies: Option<u64>,
}

impl Verb for RetryParams {
    const METHOD: Method = Method::Retry;
    type Answer = RetryAnswer;

    fn read(params: &Params<'_>, limits: &Limits) -> Result<RetryParams, Error> {
        let target = Target::read(params, limits)?;
        Ok(RetryParams {
            failed: matches!(target, Target::Group(_)) && params.flag("failed", false)?,
            with_dependencies: params.flag("with_dependencies", false)?,
            target,
        })
    }

    fn parked(&self) -> Duration {
        match (&self.target, self.with_dependencies) {
            (Target::Task(_), false) => Duration::ZERO,
            _ => GROUP_TIME,
        }
    }
}
