//! `wait`: until the given tasks are finished; parked in the hub, no polling.
//!
//! ```text
//! {"id":1,"method":"wait","params":{"task_ids":[42,43],"timeout_seconds":60}}
//! {"id":1,"result":{"tasks":[{...},{...}],"finished":true},"error":null}
//! ```

use super::{Verb, seconds};
use crate::error::Error;
use crate::group::Group;
use crate::limits::Limits;
use crate::method::Method;
use crate::params::Params;
use crate::task::{Status, Task, TaskId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;

/// Most unfinished tasks in the answer about a group.
pub const UNFINISHED: usize = 10;

/// Which tasks, how long.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct WaitParams {
    /// The tasks; at least one.
    pub task_ids: Vec<TaskId>,
    /// Longest wait, in milliseconds; the hub's longest when none was given.
    #[serde(rename = "timeout_seconds", serialize_with = "seconds")]
    pub timeout_ms: u64,
}

impl WaitParams {
    /// Reads the parameters.
    pub fn read(params: &Params<'_>, limits: &Limits) -> Result<WaitParams, Error> {
        let mut task_ids = params.ids("task_ids", limits)?;
        if task_ids.is_empty() {
            task_ids.extend(params.opt_int("task_id", i64::MIN..=i64::MAX)?);
        }
        if task_ids.is_empty() {
            return Err(params.refuse("task_ids", "a list of at least one task id"));
        }
        Ok(WaitParams {
            task_ids,
            timeout_ms: read_timeout(params, limits)?,
        })
    }
}

fn read_timeout(params: &Params<'_>, limits: &Limits) -> Result<u64, Error> {
    Ok(match params.raw("timeout_seconds") {
        None => limits.wait_ms_max,
        Some(_) => params
            .opt_seconds("timeout_seconds", 0..=limits.wait_ms_max)?
            .unwrap_or(0),
    })
}

/// The tasks as they stand at the end of the wait.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct WaitAnswer {
    /// In the order asked for.
    pub tasks: Vec<Task>,
    /// Whether all of them have ended; false: the time ran out first.
    pub finished: bool,
}

impl Verb for WaitParams {
    const METHOD: Method = Method::Wait;
    type Answer = WaitAnswer;

    fn parked(&self) -> Duration {
        Duration::from_millis(self.timeout_ms)
    }
}

/// Which group, how long. The wait ends when no task of the group is unfinished: tasks that join it meanwhile count.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct WaitGroupParams {
    /// Which tasks; not empty.
    #[serde(flatten)]
    pub group: Group,
    /// Longest wait, in milliseconds; the hub's longest when none was given.
    #[serde(rename = "timeout_seconds", serialize_with = "seconds")]
    pub timeout_ms: u64,
}

impl WaitGroupParams {
    /// Reads the parameters; none where they name single tasks or no group.
    pub fn read(params: &Params<'_>, limits: &Limits) -> Result<Option<WaitGroupParams>, Error> {
        if params.raw("task_id").is_some() && params.raw("task_ids").is_none() {
            return Ok(None);
        }
        let Some(group) = Group::instead_of("task_ids", params, limits)? else {
            return Ok(None);
        };
        Ok(Some(WaitGroupParams {
            group,
            timeout_ms: read_timeout(params, limits)?,
        }))
    }
}

/// How a group stands at the end of a wait.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct WaitGroupAnswer {
    /// The newest of its unfinished tasks, at most [`UNFINISHED`], with why they wait.
    pub tasks: Vec<Task>,
    /// How many tasks are in each state; states without a task are left out.
    pub counts: BTreeMap<Status, u64>,
    /// Whether all of them have ended; false: the time ran out first.
    pub finished: bool,
}

impl Verb for WaitGroupParams {
    const METHOD: Method = Method::Wait;
    type Answer = WaitGroupAnswer;

    fn parked(&self) -> Duration {
        Duration::from_millis(self.timeout_ms)
    }
}
