//! `wait`: waits in the hub until tasks, or those of a group, have ended.
//!
//! ```text
//! {"id":1,"method":"wait","params":{"task_ids":[42,43],"timeout_seconds":60}}
//! {"id":1,"result":{"tasks":[{...},{...}],"finished":true},"error":null}
//! ```

use super::seconds;
use crate::{Error, Group, Limits, Method, Params, Status, Task, TaskId, Verb};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;

/// The most unfinished tasks in the answer about a group.
pub const UNFINISHED_SHOWN: usize = 10;

/// The tasks that a `wait` is for. Serialises, flattened, as its parameters.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub enum WaitTarget {
    /// These tasks; at least one.
    #[serde(rename = "task_ids")]
    Tasks(Vec<TaskId>),
    /// All tasks of this group, which is not empty. The wait ends when none of them is unfinished; tasks that join the
    /// group meanwhile count.
    #[serde(untagged)]
    Group(Group),
}

impl WaitTarget {
    /// `task_id` counts as `task_ids` with one element, in old clients.
    fn read(params: &Params<'_>, limits: &Limits) -> Result<WaitTarget, Error> {
        let is_old = params.raw("task_id").is_some() && params.raw("task_ids").is_none();
        if !is_old && let Some(group) = Group::instead_of("task_ids", params, limits)? {
            return Ok(WaitTarget::Group(group));
        }
        let mut task_ids = params.ids("task_ids", limits)?;
        if task_ids.is_empty() {
            task_ids.extend(params.opt_int("task_id", i64::MIN..=i64::MAX)?);
        }
        match task_ids.is_empty() {
            true => Err(params.refuse("task_ids", "a list of at least one task id")),
            false => Ok(WaitTarget::Tasks(task_ids)),
        }
    }
}

/// Which tasks to wait for, and how long.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct WaitParams {
    /// The tasks, or the group.
    #[serde(flatten)]
    #[cfg_attr(feature = "schema", schema(value_type = crate::schema::WaitTargetSchema))]
    pub target: WaitTarget,
    /// The longest wait, in milliseconds; by default `Limits::wait_ms_max`.
    #[serde(rename = "timeout_seconds", serialize_with = "seconds")]
    #[cfg_attr(feature = "schema", schema(value_type = f64, required = false))]
    pub timeout_ms: u64,
}

/// The tasks at the end of the wait.
#[serde_with::skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct WaitAnswer {
    /// The tasks, in the order of the request. Of a group: its newest unfinished tasks, at most [`UNFINISHED_SHOWN`], with the
    /// reasons why they wait.
    pub tasks: Vec<Task>,
    /// Of a group: the number of its tasks in each state, without states that no task is in. `None` for single tasks.
    pub counts: Option<BTreeMap<Status, u64>>,
    /// Whether all of them have ended. False: the time ran out first.
    pub finished: bool,
}

impl Verb for WaitParams {
    const METHOD: Method = Method::Wait;
    type Answer = WaitAnswer;

    fn read(params: &Params<'_>, limits: &Limits) -> Result<WaitParams, Error> {
        let target = WaitTarget::read(params, limits)?;
        let timeout_ms = match params.raw("timeout_seconds") {
            None => limits.wait_ms_max,
            Some(_) => params
                .opt_seconds("timeout_seconds", 0..=limits.wait_ms_max)?
                .unwrap_or(0),
        };
        Ok(WaitParams { target, timeout_ms })
    }

    fn parked(&self) -> Duration {
        Duration::from_millis(self.timeout_ms)
    }
}
