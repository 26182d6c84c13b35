//! `runs`: lists runs of plans, newest first.
//!
//! ```text
//! {"id":1,"method":"runs","params":{"state":"failed","limit":1}}
//! {"id":1,"result":{"runs":[{"task_id":42,"state":"failed","reason":"failed","name":"review","error":"...","made":17,"steps":2,"open":0,"done":15,"failed":2,"cancelled":0,"created_at":1790000000.0,"ended_at":1790000060.0}],"next":42},"error":null}
//! ```

use crate::run::{ListedRun, RunState};
use crate::{Error, Limits, Method, Params, TaskId, Verb};
use serde::{Deserialize, Serialize};

/// The default of `limit`: runs per page.
pub const RUNS_LIMIT: u32 = 20;
/// The greatest `limit`.
pub const RUNS_LIMIT_MAX: u32 = 200;

/// The runs to list.
#[serde_with::skip_serializing_none]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct RunsParams {
    /// Only in this state.
    pub state: Option<RunState>,
    /// The most runs, 1 to [`RUNS_LIMIT_MAX`]. `None` means [`RUNS_LIMIT`].
    #[cfg_attr(feature = "schema", schema(minimum = 1, maximum = 200))]
    pub limit: Option<u32>,
    /// Only runs with a lower number: `next` of the previous answer.
    #[cfg_attr(feature = "schema", schema(value_type = Option<i64>))]
    pub before: Option<TaskId>,
}

/// A page of runs.
#[serde_with::skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema), schema(as = Runs))]
pub struct RunsAnswer {
    /// Newest first. A page may have fewer than `limit`, also none, and yet a `next`: the number of tasks that a request
    /// examines is bounded.
    pub runs: Vec<ListedRun>,
    /// `before` of the next page. `None` means that this is the last page.
    #[cfg_attr(feature = "schema", schema(value_type = Option<i64>))]
    pub next: Option<TaskId>,
}

impl Verb for RunsParams {
    const METHOD: Method = Method::Runs;
    type Answer = RunsAnswer;

    fn read(params: &Params<'_>, _: &Limits) -> Result<RunsParams, Error> {
        let limit = params.opt_positive("limit", 1..=i64::from(RUNS_LIMIT_MAX))?;
        Ok(RunsParams {
            state: params.opt_word("state")?,
            limit: limit.map(|n| n as u32),
            before: params.opt_positive("before", 1..=i64::MAX)?,
        })
    }
}
