//! `run_resume`: lets a paused run of a plan go on, and one that waits for a person's decision; with `plan` any run, with another
//! plan.
//!
//! ```text
//! {"id":1,"method":"run_resume","params":{"task_id":42}}
//! {"id":1,"result":{"ok":true},"error":null}
//! ```

use super::Done;
use crate::run::PlanText;
use crate::{Error, Limits, Method, Params, TaskId, Verb};
use serde::Serialize;

/// Bytes of a plan with the plans that it names.
const PLAN_BYTES: usize = 8 << 20;

/// The run.
#[serde_with::skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct RunResumeParams {
    /// The task of the run.
    #[cfg_attr(feature = "schema", schema(value_type = i64))]
    pub task_id: TaskId,
    /// The plan with which it goes on: steps that it changes begin anew, and those that depend on them. `None`: its own one.
    pub plan: Option<PlanText>,
    /// With `plan`: steps whose tasks must not run now; otherwise nothing is changed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "schema", schema(required = false))]
    pub unless_running: Vec<String>,
}

impl Verb for RunResumeParams {
    const METHOD: Method = Method::RunResume;
    type Answer = Done;

    fn read(params: &Params<'_>, limits: &Limits) -> Result<RunResumeParams, Error> {
        let plan = params.json("plan", PLAN_BYTES)?;
        let plan = plan.map(serde_json::from_value).transpose();
        let params = RunResumeParams {
            task_id: params.task_id()?,
            plan: plan.map_err(|why| Error::invalid_params(format!("`plan`: {why}")))?,
            unless_running: params.names("unless_running", limits)?,
        };
        match params.plan.is_none() && !params.unless_running.is_empty() {
            true => Err(Error::invalid_params("`unless_running` needs `plan`")),
            false => Ok(params),
        }
    }
}
