//! Tasks as clients see them: their states, attempts, failures and counters.

use crate::{Accept, Continued, NotAccepted, TaskBudget, Waiting, weight};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// A task's number: positive, in the order of enqueueing, never reused.
pub type TaskId = i64;

/// The fencing token of a lease. It grows with each lease of the task and is never reused. 0 means that the task was never
/// leased.
pub type Fence = i64;

/// One run of a task: an attempt, by its lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TaskRun {
    /// The task.
    pub task_id: TaskId,
    /// The lease's fence.
    pub fence: Fence,
}

/// The default queue of `enqueue` and `lease`.
pub const DEFAULT_QUEUE: &str = "default";

/// The default type: the task's prompt is for a model.
pub const TYPE_CHAT: &str = "chat";
/// The type of a task whose prompt is Python code. Hub and pool must have opted in.
pub const TYPE_PYTHON: &str = "python";
/// The type of a task that a person answers with `answer` or `approve`. It is never leased.
pub const TYPE_HUMAN: &str = "human";

wire_enum! {
    /// The state of a task; see "A task and its states" in docs/protocol.md.
    pub enum Status {
        /// Ready to be leased, or to be answered if its type is `human`.
        Queued,
        /// Waits until every task that it depends on is done.
        Blocked,
        /// Waits for its time: `run_at`, a delay, or the pause before a retry.
        Scheduled,
        /// Waits for a person's `approve` or `reject`. It has no lease.
        AwaitingApproval,
        /// Leased to a worker until `leased_until`.
        Leased,
        /// Ended with a result.
        Done,
        /// Ended without a result: a dead letter. `retry` queues it again.
        Failed,
        /// Ended by `cancel`.
        Cancelled,
    }
}

impl Status {
    /// Whether a task in this state has ended: done, failed or cancelled.
    pub fn is_final(self) -> bool {
        matches!(self, Status::Done | Status::Failed | Status::Cancelled)
    }
}

/// The consequence of a lost or crashed run: its lease expired, its session was lost, or it ended without a report.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub enum OnLost {
    /// The task runs again, within `max_attempts` if given.
    #[default]
    Retry,
    /// The task fails. For runs with side effects that must not happen twice.
    Fail,
    /// The task waits for a person as `awaiting_approval`.
    Ask,
}

wire_enum! {
    /// The kind of failure of an attempt. With the task's retry policy it determines the next state of the task.
    pub enum FailureClass {
        /// The provider reported a failure.
        ProviderError,
        /// The provider refused because of its limits, until `retry_at`.
        RateLimited,
        /// The provider needs a person to log in.
        AuthRequired,
        /// The timeout of the start, of silence or of the whole run elapsed.
        Timeout,
        /// The run was cancelled.
        Cancelled,
        /// The lease expired or its session was lost.
        Lost,
        /// The run ended without a report: it was killed or crashed.
        Crashed,
        /// The run exceeded the pool's limit of memory, and was killed.
        OutOfMemory,
        /// The task cannot succeed as it is; another attempt would fail as well.
        BadInput,
        /// A policy forbids it.
        RefusedByPolicy,
        /// The result did not meet the task's `accept` clause.
        NotAccepted,
        /// A budget is used up, until `retry_at` if that is known.
        BudgetExhausted,
        /// The provider's program is not installed.
        Missing,
        /// The run waits for its task's children without a lease; see `wait_children`. The attempt does not count.
        Parked,
    }
}

impl FailureClass {
    /// Whether the run ended without a report, so that its agent received no answer and its usage is not complete.
    #[must_use]
    pub const fn is_abrupt(self) -> bool {
        matches!(self, Self::Crashed | Self::OutOfMemory)
    }
}

/// The pauses between the attempts of a task: exponential, with jitter.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct RetryPolicy {
    /// The first pause, in milliseconds.
    pub initial_ms: u64,
    /// The longest pause, in milliseconds.
    pub max_ms: u64,
    /// The ratio of a pause to the one before it; at least 1.
    pub factor: f64,
}

impl Default for RetryPolicy {
    /// 1 second, doubled each time, up to 5 minutes.
    fn default() -> RetryPolicy {
        RetryPolicy {
            initial_ms: 1000,
            max_ms: 300_000,
            factor: 2.0,
        }
    }
}

/// The tokens and the cost of a run, in the same form for all providers.
#[serde_with::skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema), schema(as = RunUsage))]
pub struct Usage {
    /// Input tokens that were not served from a cache.
    #[serde(default)]
    pub input_tokens: u64,
    /// Input tokens read from a cache.
    #[serde(default)]
    pub cache_read_tokens: u64,
    /// Input tokens written to a cache.
    #[serde(default)]
    pub cache_write_tokens: u64,
    /// Output tokens, reasoning included.
    #[serde(default)]
    pub output_tokens: u64,
    /// The cost in US dollars, if the provider reports it or prices are configured.
    pub cost_usd: Option<f64>,
    /// Whether the cost was computed from configured prices instead of reported by the provider.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub cost_estimated: bool,
}

/// A task in the answers of `lease`, `list`, `get` and `wait`. Every client may rely on the first eleven fields.
#[serde_with::skip_serializing_none]
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Task {
    /// The task's number.
    #[cfg_attr(feature = "schema", schema(value_type = i64))]
    pub task_id: TaskId,
    /// The instructions for the agent, or the code.
    pub prompt: String,
    /// The system prompt.
    #[serialize_always]
    pub system_prompt: Option<String>,
    /// `chat`, `python`, `human`, or another name that workers agree on.
    #[serde(rename = "type")]
    pub task_type: String,
    /// The task's state.
    pub status: Status,
    /// Unix seconds of the enqueue.
    pub created_at: f64,
    /// Unix seconds of the last change of state.
    pub updated_at: f64,
    /// Unix seconds of the end of the current lease.
    #[serialize_always]
    pub leased_until: Option<f64>,
    /// The worker that holds the task or held it last.
    #[serialize_always]
    pub worker_id: Option<String>,
    /// The result, of a task that is done.
    #[serialize_always]
    pub result: Option<String>,
    /// The reason why the task, or its last attempt, failed.
    #[serialize_always]
    pub error: Option<String>,
    /// The newest lease's fence; 0 before the first lease.
    #[cfg_attr(feature = "schema", schema(value_type = i64))]
    pub fence: Fence,
    /// The task's queue.
    pub queue: String,
    /// A task with a greater priority is leased first.
    pub priority: i32,
    /// The number of attempts that count; leases that were given back do not.
    pub attempts: u32,
    /// In the answer of `lease`: the number of this attempt, counting all that the task had. `None` if it equals `attempts`.
    pub attempt: Option<u32>,
    /// The most attempts. `None` means that a failed ack is final and a lost lease is retried without a limit.
    pub max_attempts: Option<u32>,
    /// Unix seconds before which the task does not run.
    pub run_at: Option<f64>,
    /// Unix seconds of the task's end.
    pub finished_at: Option<f64>,
    /// The longest run, in milliseconds.
    pub timeout_ms: Option<u64>,
    /// The task that enqueued this one.
    #[cfg_attr(feature = "schema", schema(value_type = Option<i64>))]
    pub parent_id: Option<TaskId>,
    /// Whether the task is cancelled when its parent reaches a final state.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub ends_with_parent: bool,
    /// The provider that the enqueuing client asked for.
    pub provider: Option<String>,
    /// The model that the enqueuing client asked for.
    pub model: Option<String>,
    /// The directory, within the pool's workspace, that the enqueuing client asked for.
    pub workdir: Option<String>,
    /// The budget that the task was enqueued with.
    pub budget: Option<TaskBudget>,
    /// The conversation of an earlier task with which this one begins.
    pub continues: Option<Box<Continued>>,
    /// The tasks with a tree budget that counts for this task too, itself included.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "schema", schema(value_type = Vec<i64>))]
    pub budget_trees: Vec<TaskId>,
    /// The conditions for the task to be done; its worker checks them.
    pub accept: Option<Box<Accept>>,
    /// In the answer of `lease`: the newest result that was not accepted.
    pub not_accepted: Option<Box<NotAccepted>>,
    /// In the answer of `lease`, after an attempt that waited for children: how those that it waited for have ended.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub children: Vec<EndedChild>,
    /// Any JSON of the enqueuing client.
    pub metadata: Option<Value>,
    /// In the answers of `lease` and `ack` to a session: the token of this run, for the agent's own requests. It ends with the
    /// lease.
    pub run_token: Option<String>,
    /// The task's labels.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub labels: Vec<String>,
    /// In the answers of `get`, `list` and `wait`: the reason why the task waits.
    pub waiting: Option<Box<Waiting>>,
    /// In the answer of `list`: the fields that are shortened, each with its whole length in bytes. A text has its beginning,
    /// `metadata` and `accept` are left out. `get` returns the whole task.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub cut: BTreeMap<String, u64>,
}

impl Task {
    /// Whether the conversation with which it goes on is one of its own: that of a run that has waited for children.
    pub fn continues_itself(&self) -> bool {
        let continues = self.continues.as_deref();
        continues.is_some_and(|it| it.task_id == self.task_id)
    }

    /// The number of a leased task's attempt, from 1. It counts every attempt: also those that were given back and those
    /// before a `retry`.
    pub fn attempt_number(&self) -> u32 {
        self.attempt.unwrap_or(self.attempts).max(1)
    }

    /// The approximate memory of the task's texts, in bytes.
    pub fn weight(&self) -> usize {
        let texts = [&self.system_prompt, &self.result, &self.error];
        let texts = texts.into_iter().flatten().map(String::len);
        self.prompt.len()
            + texts.sum::<usize>()
            + self.metadata.as_ref().map_or(0, weight)
            + self.accept.as_ref().map_or(0, |accept| accept.weight())
            + self.continues.as_ref().map_or(0, |it| it.weight())
            + self.children.iter().map(EndedChild::weight).sum::<usize>()
    }
}

/// How a child of a task has ended, for the run that waited for it.
#[serde_with::skip_serializing_none]
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct EndedChild {
    /// The child.
    #[cfg_attr(feature = "schema", schema(value_type = i64))]
    pub task_id: TaskId,
    /// Its state; not a final one if a person has retried it since.
    pub status: Status,
    /// Its result. A long one is cut, with a line that says so; `get` answers all of it.
    pub result: Option<String>,
    /// Its error, cut as the result is.
    pub error: Option<String>,
}

impl EndedChild {
    /// The approximate memory of its texts, in bytes.
    pub fn weight(&self) -> usize {
        let texts = [&self.result, &self.error].into_iter().flatten();
        size_of::<EndedChild>() + texts.map(String::len).sum::<usize>()
    }
}

/// An ended attempt of a task, in the answer of `get`.
#[serde_with::skip_serializing_none]
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Attempt {
    /// The lease's fence.
    #[cfg_attr(feature = "schema", schema(value_type = i64))]
    pub fence: Fence,
    /// The worker.
    #[serialize_always]
    pub worker_id: Option<String>,
    /// Unix seconds of the lease.
    pub started_at: f64,
    /// Unix seconds of the attempt's end.
    pub ended_at: f64,
    /// `done`, `lost`, a failure class, or `released`, which does not count as an attempt.
    pub outcome: String,
    /// The reason why the attempt failed, was cancelled or was given back.
    #[serialize_always]
    pub error: Option<String>,
    /// The end of a result that was not accepted, at most 4 KiB.
    pub result: Option<String>,
    /// The provider, if the worker reported it.
    pub provider: Option<String>,
    /// The tokens and the cost, if the worker reported them.
    pub usage: Option<Usage>,
}

/// The counters of tasks.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Stats {
    /// Tasks ready to be leased.
    pub queued: i64,
    /// Tasks held by workers.
    pub leased: i64,
    /// Tasks that are done, pruned ones included.
    pub done: i64,
    /// Tasks that are failed, pruned ones included.
    pub failed: i64,
    /// All tasks that were ever enqueued.
    pub total_tasks: i64,
    /// Tasks done within the last hour.
    pub completed_last_hour: i64,
    /// The mean time from enqueue to done, over all done tasks ever, in seconds, rounded to 2 digits; 0 without any.
    pub avg_completion_time_sec: f64,
    /// failed / (done + failed) in percent, rounded to 2 digits; 0 without any.
    pub error_rate_percent: f64,
    /// Tasks that wait for others.
    pub blocked: i64,
    /// Tasks that wait for their time.
    pub scheduled: i64,
    /// Tasks that wait for a person's approval.
    pub awaiting_approval: i64,
    /// Tasks that are cancelled, pruned ones included.
    pub cancelled: i64,
    /// The names of the paused queues. `*`, which comes first, means all queues, also new ones.
    #[serde(default)]
    #[cfg_attr(feature = "schema", schema(required = true))]
    pub paused: Vec<String>,
    /// Whether the hub drains: it leases nothing until its restart.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub draining: bool,
}
