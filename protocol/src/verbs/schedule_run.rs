//! `schedule_run`: adds the task of a schedule now, also of one that is paused or finished. Its next time stays.
//!
//! ```text
//! {"id":1,"method":"schedule_run","params":{"name":"nightly"}}
//! {"id":1,"result":{"task_id":42},"error":null}
//! ```

use super::key_add::key_name;
use crate::{Error, Limits, Method, Params, TaskId, Verb};
use serde::{Deserialize, Serialize};

/// The schedule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct ScheduleRunParams {
    /// Its name.
    pub name: String,
}

/// The added task.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct ScheduleRunAnswer {
    /// The task.
    #[cfg_attr(feature = "schema", schema(value_type = i64))]
    pub task_id: TaskId,
}

impl Verb for ScheduleRunParams {
    const METHOD: Method = Method::ScheduleRun;
    type Answer = ScheduleRunAnswer;

    fn read(params: &Params<'_>, _: &Limits) -> Result<ScheduleRunParams, Error> {
        let name = key_name(params)?;
        Ok(ScheduleRunParams { name })
    }
}
