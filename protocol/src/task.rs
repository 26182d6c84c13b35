//! A task as clients see it, and the words for its state.

use crate::accept::{Accept, NotAccepted};
use crate::budget::TaskBudget;
use crate::waiting::Waiting;
use crate::weight::weight;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// A task's number: positive, growing in the order of enqueueing, never reused.
pub type TaskId = i64;

/// The fencing token of one lease of one task: grows with each lease of that task and is never reused.
/// `0` means that the task has never been leased.
pub type Fence = i64;

/// The queue a task goes to, and a lease takes from, when none is named.
pub const DEFAULT_QUEUE: &str = "default";

/// A task's type when none is named: a prompt for a model.
pub const TYPE_CHAT: &str = "chat";
/// A task whose prompt is Python code; needs the opt-in of hub and pool.
pub const TYPE_PYTHON: &str = "python";
/// A task that a person answers with `answer` or `approve`; never leased.
pub const TYPE_HUMAN: &str = "human";

/// Where a task stands in its life (docs/protocol.md, "States").
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Ready to be leased (or, for a `human` task, to be answered).
    Queued,
    /// Waits until all tasks it depends on are done.
    Blocked,
    /// Waits for its time: a delay asked for at enqueue, or a retry's backoff.
    Scheduled,
    /// Waits for a person's `approve` or `reject`; holds no lease.
    AwaitingApproval,
    /// Held by a worker until `leased_until`.
    Leased,
    /// Ended with a result.
    Done,
    /// Ended without one: the dead letter. `retry` brings it back.
    Failed,
    /// Ended because somebody asked for it.
    Cancelled,
}

impl Status {
    /// Every status, in the order of a task's life.
    pub const ALL: [Status; 8] = [
        Status::Queued,
        Status::Blocked,
        Status::Scheduled,
        Status::AwaitingApproval,
        Status::Leased,
        Status::Done,
        Status::Failed,
        Status::Cancelled,
    ];

    /// The word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Status::Queued => "queued",
            Status::Blocked => "blocked",
            Status::Scheduled => "scheduled",
            Status::AwaitingApproval => "awaiting_approval",
            Status::Leased => "leased",
            Status::Done => "done",
            Status::Failed => "failed",
            Status::Cancelled => "cancelled",
        }
    }

    /// The status a word names, or `None` for an unknown word.
    pub fn from_name(word: &str) -> Option<Status> {
        Status::ALL.into_iter().find(|s| s.as_str() == word)
    }

    /// Whether the task has ended: done, failed or cancelled.
    pub fn is_final(self) -> bool {
        matches!(self, Status::Done | Status::Failed | Status::Cancelled)
    }
}

impl std::fmt::Display for Status {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.as_str())
    }
}

/// What happens to a task whose run was lost (its lease expired, its session vanished).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnLost {
    /// Run it again (within `max_attempts`, where given).
    #[default]
    Retry,
    /// The task fails: for runs with side effects that must not happen twice.
    Fail,
    /// A person decides: the task waits as `awaiting_approval`.
    Ask,
}

/// How an attempt failed; decides with the task's retry policy what comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureClass {
    /// The provider ran and said that it failed.
    ProviderError,
    /// The provider refused for now; `retry_at` says until when.
    RateLimited,
    /// Nobody is logged in; a person has to act.
    AuthRequired,
    /// A start, silence or total timeout ran out.
    Timeout,
    /// The run was cancelled.
    Cancelled,
    /// The lease expired or its session was lost.
    Lost,
    /// The run ended without a word: killed, crashed, no terminal event.
    Crashed,
    /// The task itself is wrong; running it again cannot help.
    BadInput,
    /// A policy forbids it.
    RefusedByPolicy,
    /// The work was done but did not meet the task's `accept` clause.
    NotAccepted,
    /// A budget has nothing left; `retry_at` says until when, where that is known.
    BudgetExhausted,
    /// The provider's program is not installed.
    Missing,
}

impl FailureClass {
    /// Every class.
    pub const ALL: [FailureClass; 12] = [
        FailureClass::ProviderError,
        FailureClass::RateLimited,
        FailureClass::AuthRequired,
        FailureClass::Timeout,
        FailureClass::Cancelled,
        FailureClass::Lost,
        FailureClass::Crashed,
        FailureClass::BadInput,
        FailureClass::RefusedByPolicy,
        FailureClass::NotAccepted,
        FailureClass::BudgetExhausted,
        FailureClass::Missing,
    ];

    /// The word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            FailureClass::ProviderError => "provider_error",
            FailureClass::RateLimited => "rate_limited",
            FailureClass::AuthRequired => "auth_required",
            FailureClass::Timeout => "timeout",
            FailureClass::Cancelled => "cancelled",
            FailureClass::Lost => "lost",
            FailureClass::Crashed => "crashed",
            FailureClass::BadInput => "bad_input",
            FailureClass::RefusedByPolicy => "refused_by_policy",
            FailureClass::NotAccepted => "not_accepted",
            FailureClass::BudgetExhausted => "budget_exhausted",
            FailureClass::Missing => "missing",
        }
    }

    /// The class a word names, or `None` for an unknown word.
    pub fn from_name(word: &str) -> Option<FailureClass> {
        FailureClass::ALL.into_iter().find(|c| c.as_str() == word)
    }
}

/// How failed attempts of a task are spaced: exponential, with jitter.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct RetryPolicy {
    /// The first delay, in milliseconds.
    pub initial_ms: u64,
    /// The longest delay, in milliseconds.
    pub max_ms: u64,
    /// What each delay is multiplied with for the next; at least 1.
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

/// What a run consumed, normalised over providers.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
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
    /// Cost in US dollars, where the provider says it or prices are known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost_usd: Option<f64>,
    /// The cost is no statement of the provider but computed from a table of prices.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub cost_estimated: bool,
}

/// A task as `lease`, `list` and `get` answer it. The first eleven fields are what every client may rely on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Task {
    /// The task's number.
    pub task_id: TaskId,
    /// What is to be done.
    pub prompt: String,
    /// Instructions that frame the prompt.
    pub system_prompt: Option<String>,
    /// `chat`, `python`, `human`, or any text that workers agree on.
    #[serde(rename = "type")]
    pub task_type: String,
    /// Where it stands.
    pub status: Status,
    /// Unix seconds of the enqueue.
    pub created_at: f64,
    /// Unix seconds of the last change of state.
    pub updated_at: f64,
    /// Unix seconds until which the present lease holds.
    pub leased_until: Option<f64>,
    /// Who holds, or last held, the task.
    pub worker_id: Option<String>,
    /// What the winning ack said.
    pub result: Option<String>,
    /// Why it failed.
    pub error: Option<String>,
    /// The newest lease's fencing token; 0 before the first lease.
    pub fence: Fence,
    /// The queue it waits in.
    pub queue: String,
    /// Higher goes first within a queue.
    pub priority: i32,
    /// Attempts that count (given-back leases do not).
    pub attempts: u32,
    /// In a lease's answer: the attempt's number among all that the task has had, where that is not `attempts`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempt: Option<u32>,
    /// The most attempts it may have; none: a failed ack is final, a lost lease is retried for ever.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_attempts: Option<u32>,
    /// Unix seconds before which it does not run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run_at: Option<f64>,
    /// Unix seconds of its end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<f64>,
    /// Longest run, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_ms: Option<u64>,
    /// The task that enqueued this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent_id: Option<TaskId>,
    /// The provider asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider: Option<String>,
    /// The model asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// The directory asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workdir: Option<String>,
    /// The budget it was enqueued with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget: Option<TaskBudget>,
    /// The tasks whose budget of a tree counts for this one too, itself included.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub budget_trees: Vec<TaskId>,
    /// What must hold before it is done; its worker checks it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accept: Option<Box<Accept>>,
    /// In a lease's answer: the newest answer that was not accepted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_accepted: Option<Box<NotAccepted>>,
    /// Whatever the client wants to keep beside the task.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Value>,
    /// The labels it was enqueued with.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub labels: Vec<String>,
    /// In the answers to `get`, `list` and `wait`: why it waits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waiting: Option<Box<Waiting>>,
    /// In the answer to `list`: the fields of which only the beginning is here (of `metadata` nothing, nor of `accept`),
    /// each with its whole length in bytes. `get` answers the whole task.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub cut: BTreeMap<String, u64>,
}

impl Task {
    /// The number of a leased task's attempt among all that the task has had, from 1: also those that were given back and
    /// those before a retry.
    pub fn attempt_number(&self) -> u32 {
        self.attempt.unwrap_or(self.attempts).max(1)
    }

    /// Bytes of memory that its texts take, about.
    pub fn weight(&self) -> usize {
        let texts = [&self.system_prompt, &self.result, &self.error];
        let texts = texts.into_iter().flatten().map(String::len);
        self.prompt.len()
            + texts.sum::<usize>()
            + self.metadata.as_ref().map_or(0, weight)
            + self.accept.as_ref().map_or(0, |accept| accept.weight())
    }
}

/// One ended attempt of a task, as `get` answers it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Attempt {
    /// The lease's fencing token.
    pub fence: Fence,
    /// Who ran it.
    pub worker_id: Option<String>,
    /// Unix seconds of the lease.
    pub started_at: f64,
    /// Unix seconds of its end.
    pub ended_at: f64,
    /// `done`, a failure class, `released` (not counted).
    pub outcome: String,
    /// Why it failed, was cancelled, or was given back.
    pub error: Option<String>,
    /// The end of an answer that was not accepted, at most 4 KiB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<String>,
    /// Which provider ran it, where the worker says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider: Option<String>,
    /// What it consumed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usage: Option<Usage>,
}

/// The counters every client may rely on, and ours.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Stats {
    /// Tasks ready to be leased.
    pub queued: i64,
    /// Tasks held by workers.
    pub leased: i64,
    /// Tasks done, ever (pruned ones included).
    pub done: i64,
    /// Tasks that are failed now, and pruned failed ones.
    pub failed: i64,
    /// Tasks ever enqueued.
    pub total_tasks: i64,
    /// Tasks done within the last hour.
    pub completed_last_hour: i64,
    /// Mean of (finished - enqueued) over all done tasks ever, in seconds, rounded to 2 digits; 0 when none.
    pub avg_completion_time_sec: f64,
    /// failed / (done + failed) in percent, rounded to 2 digits; 0 when none.
    pub error_rate_percent: f64,
    /// Tasks waiting for others.
    pub blocked: i64,
    /// Tasks waiting for their time.
    pub scheduled: i64,
    /// Tasks waiting for a person.
    pub awaiting_approval: i64,
    /// Tasks cancelled, ever.
    pub cancelled: i64,
    /// The paused queues, by name; `*` first stands for all, those to come included.
    #[serde(default)]
    pub paused: Vec<String>,
    /// The hub drains: it leases nothing until it is restarted.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub draining: bool,
}
