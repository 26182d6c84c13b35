//! `retry`: a failed or cancelled task is queued again.
//!
//! ```text
//! {"id":1,"method":"retry","params":{"task_id":42}}
//! {"id":1,"result":{"ok":true},"error":null}
//! ```

use super::Verb;
use crate::error::Error;
use crate::group::Group;
use crate::limits::Limits;
use crate::method::Method;
use crate::params::Params;
use crate::task::{Status, TaskId};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The task to queue again.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct RetryParams {
    /// The task.
    pub task_id: TaskId,
    /// Whether the failed and cancelled tasks that it depends on, and theirs in turn, are queued again too.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub with_dependencies: bool,
}

impl RetryParams {
    /// Reads the parameters.
    pub fn read(params: &Params<'_>, _limits: &Limits) -> Result<RetryParams, Error> {
        Ok(RetryParams {
            task_id: params.task_id()?,
            with_dependencies: params.flag("with_dependencies", false)?,
        })
    }
}

/// The task came back, or failed again at once.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RetryAnswer {
    /// Always true; a refusal is an error.
    pub ok: bool,
    /// `failed` where a dependency stands in its way: it failed again at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<Status>,
    /// Which dependency, and why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

impl Verb for RetryParams {
    const METHOD: Method = Method::Retry;
    type Answer = RetryAnswer;

    fn parked(&self) -> Duration {
        match self.with_dependencies {
            true => super::GROUP_TIME,
            false => Duration::ZERO,
        }
    }
}

/// The group to queue again: its failed and cancelled tasks.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct RetryGroupParams {
    /// Which tasks; not empty.
    #[serde(flatten)]
    pub group: Group,
    /// Only those that have failed.
    pub failed: bool,
    /// Whether the failed and cancelled tasks that they depend on, and theirs in turn, are queued again too.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub with_dependencies: bool,
}

impl RetryGroupParams {
    /// Reads the parameters; none where they name a single task or no group.
    pub fn read(params: &Params<'_>, limits: &Limits) -> Result<Option<RetryGroupParams>, Error> {
        let Some(group) = Group::instead_of("task_id", params, limits)? else {
            return Ok(None);
        };
        Ok(Some(RetryGroupParams {
            group,
            failed: params.flag("failed", false)?,
            with_dependencies: params.flag("with_dependencies", false)?,
        }))
    }
}

/// How many tasks of the group were queued again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RetryGroupAnswer {
    /// Always true.
    pub ok: bool,
    /// Tasks that had failed or were cancelled.
    pub retried: u64,
    /// Tasks beside these that they depend on, where those were to come back too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dependencies: Option<u64>,
}

impl Verb for RetryGroupParams {
    const METHOD: Method = Method::Retry;
    type Answer = RetryGroupAnswer;

    fn parked(&self) -> Duration {
        super::GROUP_TIME
    }
}
