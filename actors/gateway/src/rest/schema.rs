//! The schemas of bodies that no type of the protocol has, for the OpenAPI description. Those of answers are derived from the
//! protocol's types by its feature `schema`.
#![allow(
    dead_code,
    reason = "only descriptions: the hub's answers are forwarded unchanged"
)]

use kirosu_protocol::{Accept, Task, TaskBudget};
use serde_json::Value;
use utoipa::ToSchema;

/// A new task. Unknown fields are ignored.
#[derive(ToSchema)]
#[schema(as = NewTask)]
pub(super) struct NewTaskSchema {
    /// The prompt; may be empty.
    pub prompt: String,
    /// Instructions that frame the prompt.
    pub system_prompt: Option<String>,
    /// `chat` (the default), `python`, `human`, or free text.
    pub r#type: Option<String>,
    /// The queue, `default` by default.
    pub queue: Option<String>,
    /// -1000 to 1000; a higher priority runs first.
    pub priority: Option<i32>,
    /// Earliest start, in Unix seconds.
    pub run_at: Option<f64>,
    /// Earliest start, in seconds from now; not together with `run_at`.
    pub delay_seconds: Option<f64>,
    /// Maximum number of attempts, 1 to 1000.
    pub max_attempts: Option<u32>,
    /// Delays between attempts.
    pub retry: Option<Retry>,
    /// Maximum time of a run in seconds.
    pub timeout_seconds: Option<f64>,
    /// A second task with the same key is not enqueued; the number of the first one is returned.
    pub idempotency_key: Option<String>,
    /// Tasks that must be done before it starts.
    pub depends_on: Option<Vec<i64>>,
    /// A finished task whose conversation this one goes on with, in the same folder.
    pub continues: Option<i64>,
    /// The task that enqueues this one.
    pub parent_id: Option<i64>,
    /// Whether it is cancelled when its parent reaches a final state.
    pub ends_with_parent: Option<bool>,
    /// Whether a person must approve before it runs.
    pub requires_approval: Option<bool>,
    /// The requested provider.
    pub provider: Option<String>,
    /// The requested model.
    pub model: Option<String>,
    /// The requested directory.
    pub workdir: Option<String>,
    /// Effect of a lost run: `retry` (the default), `fail` or `ask`.
    pub on_lost: Option<String>,
    /// Limits `tokens` and `usd` for all its attempts, and in `tree` for the task and its descendants.
    pub budget: Option<TaskBudget>,
    /// Conditions that must hold before it is done.
    pub accept: Option<Accept>,
    /// At most 16 labels.
    pub labels: Option<Vec<String>>,
    /// Data of the client.
    pub metadata: Option<Value>,
}

/// Delays between attempts.
#[derive(ToSchema)]
pub(super) struct Retry {
    /// First delay in seconds.
    pub initial_seconds: Option<f64>,
    /// Maximum delay in seconds.
    pub max_seconds: Option<f64>,
    /// Factor from one delay to the next, 1 to 100.
    pub factor: Option<f64>,
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
