//! The shapes of bodies, for the OpenAPI description. They are the protocol's own; a test holds the two together.
#![allow(
    dead_code,
    reason = "described, never built: answers pass through as the hub wrote them"
)]

use serde_json::Value;
use utoipa::ToSchema;

/// A task to be made. Further fields are ignored.
#[derive(ToSchema)]
pub(super) struct NewTask {
    /// What is to be done; may be empty.
    pub prompt: String,
    /// Instructions that frame the prompt.
    pub system_prompt: Option<String>,
    /// `chat` (the default), `python`, `human`, or free text.
    pub r#type: Option<String>,
    /// The queue; `default` by default.
    pub queue: Option<String>,
    /// Higher goes first; -1000 to 1000.
    pub priority: Option<i32>,
    /// Unix seconds before which it does not run.
    pub run_at: Option<f64>,
    /// Seconds from now before which it does not run; not together with `run_at`.
    pub delay_seconds: Option<f64>,
    /// Most attempts, 1 to 1000.
    pub max_attempts: Option<u32>,
    /// How failed attempts are spaced.
    pub retry: Option<Retry>,
    /// Longest run, in seconds.
    pub timeout_seconds: Option<f64>,
    /// The same key returns the same task.
    pub idempotency_key: Option<String>,
    /// Tasks that must be done first.
    pub depends_on: Option<Vec<i64>>,
    /// The task that enqueues this one.
    pub parent_id: Option<i64>,
    /// Whether a person must approve before it runs.
    pub requires_approval: Option<bool>,
    /// The provider asked for.
    pub provider: Option<String>,
    /// The model asked for.
    pub model: Option<String>,
    /// The directory asked for.
    pub workdir: Option<String>,
    /// What happens when a run is lost: `retry` (the default), `fail` or `ask`.
    pub on_lost: Option<String>,
    /// `tokens` and `usd` over all its attempts; the same in `tree` for it and all that descend from it.
    pub budget: Option<Value>,
    /// What must hold before it is done.
    pub accept: Option<Accept>,
    /// Names of the groups that it belongs to; at most 16.
    pub labels: Option<Vec<String>>,
    /// Whatever the client wants to keep beside the task.
    pub metadata: Option<Value>,
}

/// Pauses between attempts.
#[derive(ToSchema)]
pub(super) struct Retry {
    /// The first pause, in seconds.
    pub initial_seconds: Option<f64>,
    /// The longest pause, in seconds.
    pub max_seconds: Option<f64>,
    /// Growth from one to the next, 1 to 100.
    pub factor: Option<f64>,
}

/// What must hold before a task is done; all that is given.
#[derive(ToSchema)]
pub(super) struct Accept {
    /// Files of the workspace that must exist; a single one may stand without the list.
    pub file: Option<Vec<String>>,
    /// Whether the run must have changed something in its git work tree.
    pub diff: Option<bool>,
    /// Must match somewhere in the answer.
    pub regex: Option<String>,
    /// A JSON schema that the answer, read as JSON, must match.
    pub schema: Option<Value>,
    /// Program and arguments that must exit with 0 in the workspace.
    pub command: Option<Vec<String>>,
    /// Longest run of the command, in seconds; 300 by default.
    pub timeout_seconds: Option<f64>,
}

/// The new task's number.
#[derive(ToSchema)]
pub(super) struct Enqueued {
    pub task_id: i64,
}

/// A task.
#[derive(ToSchema)]
pub(super) struct Task {
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
    /// For workers: the number of this attempt among all, where that is not `attempts`.
    pub attempt: Option<u32>,
    pub max_attempts: Option<u32>,
    pub run_at: Option<f64>,
    pub finished_at: Option<f64>,
    pub timeout_ms: Option<u64>,
    pub parent_id: Option<i64>,
    pub provider: Option<String>,
    pub model: Option<String>,
    pub workdir: Option<String>,
    /// The budget it was enqueued with.
    pub budget: Option<Value>,
    /// The tasks whose budget of a tree counts for this one too.
    pub budget_trees: Option<Vec<i64>>,
    pub accept: Option<Accept>,
    /// For workers: the newest answer that was not accepted.
    pub not_accepted: Option<Value>,
    pub metadata: Option<Value>,
    /// In lists: the fields of which only the beginning is here, each with its whole length in bytes.
    #[schema(value_type = Option<Object>)]
    pub cut: Option<Value>,
    /// The labels it was enqueued with.
    pub labels: Option<Vec<String>>,
    /// Why it waits.
    pub waiting: Option<Waiting>,
}

/// Why a task waits.
#[derive(ToSchema)]
pub(super) struct Waiting {
    /// One word, such as `dependency`, `paused`, `no_worker`, `missing`, `rate_limited`.
    pub reason: String,
    /// A sentence for a person.
    pub message: String,
    /// Unix seconds at which this reason ends by itself, where that is known.
    pub until: Option<f64>,
    /// The task that it waits for.
    pub task_id: Option<i64>,
    /// The pool that serves its queue.
    pub pool: Option<String>,
}

/// An attempt that has ended.
#[derive(ToSchema)]
pub(super) struct Attempt {
    pub fence: i64,
    pub worker_id: Option<String>,
    pub started_at: f64,
    pub ended_at: f64,
    /// `done`, a failure class, or `released`.
    pub outcome: String,
    pub error: Option<String>,
    /// The end of an answer that was not accepted.
    pub result: Option<String>,
    /// Which provider ran it.
    pub provider: Option<String>,
    /// Tokens and cost.
    pub usage: Option<Value>,
}

/// The counters.
#[derive(ToSchema)]
pub(super) struct Stats {
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
    /// The paused queues; `*` stands for all.
    pub paused: Vec<String>,
    /// True while the hub drains; missing otherwise.
    pub draining: Option<bool>,
}

/// What runs used.
#[derive(ToSchema)]
pub(super) struct Usage {
    /// What a row stands for.
    pub by: String,
    /// The most expensive first; days in their order.
    pub rows: Vec<UsageRow>,
    /// Rows that are left out, but in the total.
    pub more: u64,
    /// All rows added up.
    pub total: UsageSum,
    /// How the budgets stand: `scope`, `tokens` and `usd` (`limit`, `used`, `reserved`, `left`), `per_seconds`,
    /// `resets_at`.
    pub budgets: Vec<Value>,
}

/// A row: its key, and what was used.
#[derive(ToSchema)]
pub(super) struct UsageRow {
    /// The provider, pool, model, day or task; empty: not told.
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

/// What was used.
#[derive(ToSchema)]
pub(super) struct UsageSum {
    /// Attempts that told their usage.
    pub attempts: u64,
    /// Without what a cache served.
    pub input_tokens: u64,
    pub cache_read_tokens: u64,
    pub cache_write_tokens: u64,
    pub output_tokens: u64,
    /// As far as it is known.
    pub cost_usd: f64,
    /// The part of it that was computed from prices.
    pub estimated_usd: f64,
    /// Attempts whose cost nobody knows.
    pub unpriced: u64,
}

/// The counters.
#[derive(ToSchema)]
pub(super) struct StatsOnly {
    pub stats: Stats,
}

/// A page of tasks.
#[derive(ToSchema)]
pub(super) struct TaskList {
    /// Newest first.
    pub tasks: Vec<Task>,
    pub stats: Stats,
    /// `before` of the next page; missing on the last.
    pub next: Option<i64>,
}

/// A task and its history.
#[derive(ToSchema)]
pub(super) struct TaskAndAttempts {
    pub task: Task,
    /// Oldest first.
    pub attempts: Vec<Attempt>,
    pub depends_on: Option<Vec<i64>>,
    /// What the running attempt said last.
    pub progress: Option<Value>,
    /// What each attempt printed, where asked for.
    pub output: Option<Vec<Output>>,
}

/// What an attempt printed.
#[derive(ToSchema)]
pub(super) struct Output {
    pub fence: i64,
    pub text: String,
    /// Whether the end was cut off.
    pub cut: bool,
    pub next_chunk: Option<u64>,
}

/// The task at the end of the wait.
#[derive(ToSchema)]
pub(super) struct Waited {
    pub task: Task,
    pub finished: bool,
}

/// What is done to a task.
#[derive(ToSchema)]
#[schema(rename_all = "lowercase")]
pub(super) enum ActName {
    Cancel,
    Approve,
    Answer,
    Reject,
    Retry,
}

/// A person's word on a tool question.
#[derive(ToSchema)]
#[schema(rename_all = "lowercase")]
pub(super) enum VerdictName {
    Approve,
    Reject,
}

/// A page of what waits for a person.
#[derive(ToSchema)]
pub(super) struct Approvals {
    /// Tool questions first, then tasks that ask whether they may run, then human tasks.
    pub approvals: Vec<Approval>,
    /// `cursor` of the next page; missing: this was the last.
    pub next: Option<String>,
}

/// One thing that waits, or waited, for a person.
#[derive(ToSchema)]
pub(super) struct Approval {
    /// `tool`, `run` or `human`.
    pub what: String,
    /// The tool question's number.
    pub approval_id: Option<i64>,
    pub task_id: i64,
    /// The lease that it belongs to.
    pub fence: i64,
    /// `open`, `approved`, `rejected`, `void` or `expired`.
    pub state: String,
    /// What is asked, one line.
    pub title: String,
    pub tool: Option<String>,
    /// What sort of thing the tool does.
    pub kind: Option<String>,
    /// The tool's arguments as JSON text; beyond 64 KiB cut with a mark.
    pub args: Option<String>,
    pub pool: Option<String>,
    pub queue: Option<String>,
    /// Unix seconds.
    pub asked_at: f64,
    /// Unix seconds after which it is denied.
    pub expires_at: Option<f64>,
    /// Unix seconds.
    pub decided_at: Option<f64>,
    /// Who decided.
    pub by: Option<String>,
    /// Why.
    pub reason: Option<String>,
    /// The rule that decided.
    pub rule: Option<String>,
    /// The answers of which one has to be chosen to approve it.
    pub options: Option<Vec<PermissionOption>>,
    /// The id of the one that was chosen.
    pub option: Option<String>,
}

/// One of several answers that a tool question offers.
#[derive(ToSchema)]
pub(super) struct PermissionOption {
    pub id: String,
    /// Text for a person.
    pub name: String,
}

/// For the record; each field only where it makes sense.
#[derive(ToSchema)]
pub(super) struct Act {
    /// The name of the person who approves, answers or rejects, for the record.
    pub by: Option<String>,
    /// What was said with an approval.
    pub comment: Option<String>,
    /// The answer to a `human` task; required there.
    pub text: Option<String>,
    /// The option that is chosen, by its id or name, of a tool question that offers several.
    pub option: Option<String>,
    /// Why it is cancelled or rejected.
    pub reason: Option<String>,
}

/// It is done.
#[derive(ToSchema)]
pub(super) struct Done {
    pub ok: bool,
}

/// Why not.
#[derive(ToSchema)]
pub(super) struct Refused {
    /// The sentence again, where scripts of the earlier version look for it.
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

/// For programs; some errors have more fields.
#[derive(ToSchema)]
pub(super) struct ErrorData {
    /// The number's name, such as `unknown_task`.
    pub code: String,
}
