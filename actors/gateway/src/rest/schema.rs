//! The schemas of bodies, for the OpenAPI description. A test compares them with the protocol's types.
#![allow(
    dead_code,
    reason = "only descriptions: the hub's answers are forwarded unchanged"
)]

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
    /// The task that enqueues this one.
    pub parent_id: Option<i64>,
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
    pub budget: Option<Value>,
    /// Conditions that must hold before it is done.
    pub accept: Option<AcceptSchema>,
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

/// Conditions that must hold before a task is done.
#[derive(ToSchema)]
#[schema(as = Accept)]
pub(super) struct AcceptSchema {
    /// Files of the workspace that must exist; a single file may be a string.
    pub file: Option<Vec<String>>,
    /// Whether the run must have changed something in its git work tree.
    pub diff: Option<bool>,
    /// A regular expression that must match in the answer.
    pub regex: Option<String>,
    /// A JSON schema that the answer, read as JSON, must match.
    pub schema: Option<Value>,
    /// Program and arguments that must exit with 0 in the workspace.
    pub command: Option<Vec<String>>,
    /// Timeout of the command in seconds; 300 by default.
    pub timeout_seconds: Option<f64>,
}

/// The number of the new task.
#[derive(ToSchema)]
pub(super) struct Enqueued {
    pub task_id: i64,
}

/// A task.
#[derive(ToSchema)]
#[schema(as = Task)]
pub(super) struct TaskSchema {
    pub task_id: i64,
    pub prompt: String,
    pub system_prompt: Option<String>,
    pub r#type: String,
    /// `queued`, `blocked`, `scheduled`, `awaiting_approval`, `leased`, `done`, `failed` or `cancelled`.
    pub status: String,
    /// Unix seconds, as all times.
    pub created_at: f64,
    pub updated_at: f64,
    pub leased_until: Option<f64>,
    pub worker_id: Option<String>,
    pub result: Option<String>,
    pub error: Option<String>,
    pub fence: i64,
    pub queue: String,
    pub priority: i32,
    pub attempts: u32,
    /// For workers: the number of this attempt, if it differs from `attempts`.
    pub attempt: Option<u32>,
    pub max_attempts: Option<u32>,
    pub run_at: Option<f64>,
    pub finished_at: Option<f64>,
    pub timeout_ms: Option<u64>,
    pub parent_id: Option<i64>,
    pub provider: Option<String>,
    pub model: Option<String>,
    pub workdir: Option<String>,
    /// The budget of the task.
    pub budget: Option<Value>,
    /// The tasks whose tree budgets include this task.
    pub budget_trees: Option<Vec<i64>>,
    pub accept: Option<AcceptSchema>,
    /// For workers: the latest answer that was not accepted.
    pub not_accepted: Option<Value>,
    pub metadata: Option<Value>,
    /// In lists: the fields that are cut, each with its whole length in bytes.
    #[schema(value_type = Option<Object>)]
    pub cut: Option<Value>,
    /// The labels of the task.
    pub labels: Option<Vec<String>>,
    /// The reason why it waits.
    pub waiting: Option<WaitingSchema>,
}

/// The reason why a task waits.
#[derive(ToSchema)]
#[schema(as = Waiting)]
pub(super) struct WaitingSchema {
    /// One word, such as `dependency`, `paused`, `no_worker`, `missing`, `rate_limited`.
    pub reason: String,
    /// A sentence for a person.
    pub message: String,
    /// Unix seconds at which this reason ends by itself, if known.
    pub until: Option<f64>,
    /// The task for which it waits.
    pub task_id: Option<i64>,
    /// The pool of its queue.
    pub pool: Option<String>,
}

/// An ended attempt.
#[derive(ToSchema)]
#[schema(as = Attempt)]
pub(super) struct AttemptSchema {
    pub fence: i64,
    pub worker_id: Option<String>,
    pub started_at: f64,
    pub ended_at: f64,
    /// `done`, a failure class, or `released`.
    pub outcome: String,
    pub error: Option<String>,
    /// The end of the answer, if it was not accepted.
    pub result: Option<String>,
    /// The provider of the run.
    pub provider: Option<String>,
    /// Tokens and cost.
    pub usage: Option<Value>,
}

/// The counters.
#[derive(ToSchema)]
#[schema(as = Stats)]
pub(super) struct StatsSchema {
    pub queued: i64,
    pub leased: i64,
    pub done: i64,
    pub failed: i64,
    pub total_tasks: i64,
    pub completed_last_hour: i64,
    pub avg_completion_time_sec: f64,
    pub error_rate_percent: f64,
    pub blocked: i64,
    pub scheduled: i64,
    pub awaiting_approval: i64,
    pub cancelled: i64,
    /// The paused queues; `*` means all.
    pub paused: Vec<String>,
    /// True while the hub drains; missing otherwise.
    pub draining: Option<bool>,
}

/// Tokens and cost of runs.
#[derive(ToSchema)]
#[schema(as = Usage)]
pub(super) struct UsageSchema {
    /// The key of the rows.
    pub by: String,
    /// Highest cost first; days in their order.
    pub rows: Vec<UsageRowSchema>,
    /// Number of further rows, which are included in the total.
    pub more: u64,
    /// The sum of all rows.
    pub total: UsageSumSchema,
    /// The state of the budgets: `scope`, `tokens` and `usd` (`limit`, `used`, `reserved`, `left`), `per_seconds`,
    /// `resets_at`.
    pub budgets: Vec<Value>,
}

/// Tokens and cost of one key.
#[derive(ToSchema)]
#[schema(as = UsageRow)]
pub(super) struct UsageRowSchema {
    /// The provider, pool, model, day or task; empty if it is unknown.
    pub key: String,
    pub attempts: u64,
    pub input_tokens: u64,
    pub cache_read_tokens: u64,
    pub cache_write_tokens: u64,
    pub output_tokens: u64,
    pub cost_usd: f64,
    pub estimated_usd: f64,
    pub unpriced: u64,
}

/// A sum of tokens and cost.
#[derive(ToSchema)]
#[schema(as = UsageSum)]
pub(super) struct UsageSumSchema {
    /// Attempts that reported their usage.
    pub attempts: u64,
    /// Without tokens from a cache.
    pub input_tokens: u64,
    pub cache_read_tokens: u64,
    pub cache_write_tokens: u64,
    pub output_tokens: u64,
    /// The known cost.
    pub cost_usd: f64,
    /// The part of the cost that was computed from prices.
    pub estimated_usd: f64,
    /// Attempts with unknown cost.
    pub unpriced: u64,
}

/// The counters.
#[derive(ToSchema)]
pub(super) struct StatsOnly {
    pub stats: StatsSchema,
}

/// A page of tasks.
#[derive(ToSchema)]
pub(super) struct TaskList {
    /// Newest first.
    pub tasks: Vec<TaskSchema>,
    pub stats: StatsSchema,
    /// `before` of the next page; missing on the last page.
    pub next: Option<i64>,
}

/// A task and its attempts.
#[derive(ToSchema)]
pub(super) struct TaskAndAttempts {
    pub task: TaskSchema,
    /// Oldest first.
    pub attempts: Vec<AttemptSchema>,
    pub depends_on: Option<Vec<i64>>,
    /// The latest progress of the running attempt.
    pub progress: Option<Value>,
    /// The output of each attempt, if requested.
    pub output: Option<Vec<OutputSchema>>,
}

/// The output of an attempt.
#[derive(ToSchema)]
#[schema(as = Output)]
pub(super) struct OutputSchema {
    pub fence: i64,
    pub text: String,
    /// True if the output is cut.
    pub cut: bool,
    pub next_chunk: Option<u64>,
}

/// The task at the end of the wait.
#[derive(ToSchema)]
pub(super) struct Waited {
    pub task: TaskSchema,
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

/// A page of permission requests and approvals.
#[derive(ToSchema)]
pub(super) struct Approvals {
    /// Permission requests first, then tasks that need an approval, then human tasks.
    pub approvals: Vec<ApprovalSchema>,
    /// `cursor` of the next page; missing on the last page.
    pub next: Option<String>,
}

/// A permission request or task that waits, or waited, for a person.
#[derive(ToSchema)]
#[schema(as = Approval)]
pub(super) struct ApprovalSchema {
    /// `tool`, `run` or `human`.
    pub what: String,
    /// Number of the permission request.
    pub approval_id: Option<i64>,
    pub task_id: i64,
    /// The fence of its lease.
    pub fence: i64,
    /// `open`, `approved`, `rejected`, `void` or `expired`.
    pub state: String,
    /// The question in one line.
    pub title: String,
    pub tool: Option<String>,
    /// The kind of the tool.
    pub kind: Option<String>,
    /// The tool's arguments as JSON text; cut with a mark beyond 64 KiB.
    pub args: Option<String>,
    pub pool: Option<String>,
    pub queue: Option<String>,
    /// Unix seconds.
    pub asked_at: f64,
    /// Unix seconds at which it expires and is denied.
    pub expires_at: Option<f64>,
    /// Unix seconds.
    pub decided_at: Option<f64>,
    /// The person who decided.
    pub by: Option<String>,
    /// The reason.
    pub reason: Option<String>,
    /// The rule that decided.
    pub rule: Option<String>,
    /// The options, one of which must be chosen for an approval.
    pub options: Option<Vec<PermissionOptionSchema>>,
    /// The id of the chosen option.
    pub option: Option<String>,
}

/// An option of a permission request.
#[derive(ToSchema)]
#[schema(as = AskOption)]
pub(super) struct PermissionOptionSchema {
    pub id: String,
    /// Text for a person.
    pub name: String,
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

/// Success.
#[derive(ToSchema)]
pub(super) struct Done {
    pub ok: bool,
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
