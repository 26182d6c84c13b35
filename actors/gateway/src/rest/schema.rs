//! The schemas of bodies that no type of the protocol has, for the OpenAPI description. Those of answers are derived from the
//! protocol's types by its feature `schema`.
#![allow(
    dead_code,
    reason = "only descriptions: the hub's answers are forwarded unchanged"
)]

use kirosu_protocol::{Budget, PlanText, Task, TaskBudget};
use serde_json::Value;
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// The schema of a run, with those that it names.
pub(crate) fn new_run_schema(named: &mut BTreeMap<String, Value>) -> Value {
    crate::v1::schema_of::<NewRunSchema>(named)
}

/// A run of a plan. It has the other fields of a task, too: `run_at`, `depends_on`, `requires_approval` and so on.
#[derive(ToSchema)]
#[schema(as = NewRun)]
pub(super) struct NewRunSchema {
    /// The plan: its text in YAML, JSON or TOML, or the plan as an object.
    pub plan: Value,
    /// `toml`, if the plan is TOML.
    pub format: Option<String>,
    /// The name of the run; that of the plan by default.
    pub name: Option<String>,
    /// The values of the plan's inputs, by name.
    pub inputs: Option<BTreeMap<String, Value>>,
    /// The items of maps whose `over` names files: the number of a source by the id of the step; `sub/read` is the step `read`
    /// in the run of the step `sub`.
    pub sources: Option<BTreeMap<String, i64>>,
    /// The texts of the plans that steps name, by name.
    pub plans: Option<BTreeMap<String, String>>,
    /// The queue of the run and, unless a step names a pool, of its tasks; `default` by default.
    pub queue: Option<String>,
    /// -1000 to 1000; a higher priority runs first.
    pub priority: Option<i32>,
    /// At most 16 labels.
    pub labels: Option<Vec<String>>,
    /// A second run with the same key is not started; the number of the first one is returned.
    pub idempotency_key: Option<String>,
    /// `tree` has the limits `tokens` and `usd` for the run with all its tasks; by default those of the plan.
    pub budget: Option<TaskBudget>,
}

/// An action on a run.
#[derive(ToSchema)]
#[schema(rename_all = "lowercase")]
pub(super) enum RunActName {
    Pause,
    Resume,
    Retry,
    Cancel,
}

/// Details of an action on a run.
#[derive(ToSchema)]
#[schema(as = RunAct)]
pub(super) struct RunActSchema {
    /// `resume`: another plan with which the run goes on: steps that it changes begin anew.
    pub plan: Option<PlanText>,
    /// `resume` with `plan`: steps whose tasks must not run now.
    pub unless_running: Option<Vec<String>>,
    /// `retry`: the path of the step to repeat; by default all that failed.
    pub step: Option<String>,
    /// `retry`: the key of an item of that step.
    pub item: Option<String>,
    /// `cancel`: the name of the person who cancels.
    pub by: Option<String>,
    /// `cancel`: the reason.
    pub reason: Option<String>,
}

/// An action on a schedule.
#[derive(ToSchema)]
#[schema(rename_all = "lowercase")]
pub(super) enum ScheduleActName {
    Pause,
    Resume,
}

/// The task at the end of the wait.
#[derive(ToSchema)]
pub(super) struct Waited {
    pub task: Task,
    pub finished: bool,
}

/// An action on a task.
#[derive(ToSchema)]
#[schema(rename_all = "lowercase")]
pub(super) enum ActName {
    Cancel,
    Approve,
    Answer,
    Reject,
    Retry,
}

/// A person's decision on a permission request.
#[derive(ToSchema)]
#[schema(rename_all = "lowercase")]
pub(super) enum VerdictName {
    Approve,
    Reject,
}

/// Details of an action; each field applies only to some actions.
#[derive(ToSchema)]
#[schema(as = Act)]
pub(super) struct ActSchema {
    /// The name of the person who approves, answers or rejects.
    pub by: Option<String>,
    /// The comment to an approval.
    pub comment: Option<String>,
    /// The answer to a `human` task; required there.
    pub text: Option<String>,
    /// The amount, `tokens` and `usd`, that is added to the budget of the task or run that is approved.
    pub raise: Option<Budget>,
    /// The chosen option of a permission request, by its id or name.
    pub option: Option<String>,
    /// The reason of a cancellation or rejection.
    pub reason: Option<String>,
}

/// An error response.
#[derive(ToSchema)]
#[schema(as = Refused)]
pub(super) struct RefusedSchema {
    /// The same sentence, for scripts of the previous version.
    pub detail: String,
    pub error: WireError,
}

/// An error as on the wire.
#[derive(ToSchema)]
pub(super) struct WireError {
    /// A sentence for a person.
    pub message: String,
    /// A stable number.
    pub code: i64,
    pub data: ErrorData,
}

/// Details for programs; some errors have more fields.
#[derive(ToSchema)]
pub(super) struct ErrorData {
    /// The name of the code, such as `unknown_task`.
    pub code: String,
}
