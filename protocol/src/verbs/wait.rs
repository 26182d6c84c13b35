//! `wait`: until the given tasks are finished; parked in the hub, no polling.
//!
//! ```text
//! {"id":1,"method":"wait","params":{"task_ids":[42,43],"timeout_seconds":60}}
//! {"id":1,"result":{"tasks":[{...},{...}],"finished":true},"error":null}
//! ```

use super::{Verb, seconds};
use crate::error::Error;
use crate::limits::Limits;
use crate::method::Method;
use crate::params::Params;
use crate::task::{Task, TaskId};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Which tasks, how long.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct WaitAsk {
    /// The tasks; at least one.
    pub task_ids: Vec<TaskId>,
    /// Longest wait, in milliseconds; the hub's longest when none was given.
    #[serde(rename = "timeout_seconds", serialize_with = "seconds")]
    pub timeout_ms: u64,
}

impl WaitAsk {
    /// Reads the parameters.
    pub fn read(params: &Params<'_>, limits: &Limits) -> Result<WaitAsk, Error> {
        let mut task_ids = params.ids("task_ids", limits)?;
        if task_ids.is_empty() {
            task_ids.extend(params.opt_int("task_id", i64::MIN..=i64::MAX)?);
        }
        if task_ids.is_empty() {
            return Err(params.refuse("task_ids", "a list of at least one task id"));
        }
        let timeout_ms = match params.raw("timeout_seconds") {
            None => limits.wait_ms_max,
            Some(_) => params
                .opt_seconds("timeout_seconds", 0..=limits.wait_ms_max)?
                .unwrap_or(0),
        };
        Ok(WaitAsk {
            task_ids,
            timeout_ms,
        })
    }
}

/// The tasks as they stand at the end of the wait.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct WaitAnswer {
    /// In the order asked for.
    pub tasks: Vec<Task>,
    /// Whether all of them have ended; false: the time ran out first.
    pub finished: bool,
}

impl Verb for WaitAsk {
    const METHOD: Method = Method::Wait;
    type Answer = WaitAnswer;

    fn parked(&self) -> Duration {
        Duration::from_millis(self.timeout_ms)
    }
}
