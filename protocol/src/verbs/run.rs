//! `run`: returns a run of a plan with its steps.
//!
//! ```text
//! {"id":1,"method":"run","params":{"task_id":42}}
//! {"id":1,"result":{"task_id":42,"state":"open","name":"review","made":17,"steps":[{"path":"read","kind":"map","state":"open",...}]},"error":null}
//! ```

use crate::run::{PlanText, RunState, StepInfo};
use crate::{Error, Limits, Method, Params, TaskId, Verb};
use serde::{Deserialize, Serialize};

/// The run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct RunParams {
    /// The task of the run.
    #[cfg_attr(feature = "schema", schema(value_type = i64))]
    pub task_id: TaskId,
    /// Whether the answer has the text of the plan.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    #[cfg_attr(feature = "schema", schema(required = false))]
    pub with_plan: bool,
}

impl RunParams {
    /// A run without the text of its plan.
    pub fn of(task_id: TaskId) -> RunParams {
        RunParams {
            task_id,
            with_plan: false,
        }
    }
}

/// A run and its steps.
#[serde_with::skip_serializing_none]
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema), schema(as = PlanRun))]
pub struct RunAnswer {
    /// The task of the run.
    #[cfg_attr(feature = "schema", schema(value_type = i64))]
    pub task_id: TaskId,
    /// The state.
    pub state: RunState,
    /// The reason for the state.
    pub reason: Option<String>,
    /// The name.
    pub name: Option<String>,
    /// The hash of the plan, once the run has begun.
    pub plan: Option<String>,
    /// The plan, if it was asked for: that of the task, or the one with which the run goes on.
    pub plan_text: Option<PlanText>,
    /// The tasks that its steps have made.
    pub made: u64,
    /// Unix seconds of the enqueue.
    pub created_at: f64,
    /// Unix seconds of the end.
    pub ended_at: Option<f64>,
    /// The result, or the error of a run that failed. Long ones are cut; `get` has all of it.
    pub result: Option<String>,
    /// The error.
    pub error: Option<String>,
    /// The steps that have begun, in the order of their beginning.
    pub steps: Vec<StepInfo>,
}

impl Verb for RunParams {
    const METHOD: Method = Method::Run;
    type Answer = RunAnswer;

    fn read(params: &Params<'_>, _: &Limits) -> Result<RunParams, Error> {
        Ok(RunParams {
            task_id: params.task_id()?,
            with_plan: params.flag("with_plan", false)?,
        })
    }
}
