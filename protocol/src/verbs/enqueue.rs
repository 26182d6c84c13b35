//! `enqueue` and `enqueue_batch`: new tasks.

use crate::task::{DEFAULT_QUEUE, OnLost, RetryPolicy, TYPE_CHAT, TaskId};
use serde_json::Value;

/// A task to be made, checked against the hub's limits.
#[derive(Clone, Debug, PartialEq)]
pub struct NewTask {
    /// What is to be done; may be empty.
    pub prompt: String,
    /// Instructions that frame the prompt; never empty.
    pub system_prompt: Option<String>,
    /// `chat`, `python`, `human`, or free text.
    pub task_type: String,
    /// The queue.
    pub queue: String,
    /// Higher goes first; -1000 to 1000.
    pub priority: i32,
    /// Unix milliseconds before which it does not run.
    pub run_at_ms: Option<i64>,
    /// Most attempts, 1 to 1000. None without `retry`: a failed ack is final, a lost lease is retried for ever.
    /// With `retry` and none given: 3.
    pub max_attempts: Option<u32>,
    /// How failed attempts are spaced; the hub's default when only `max_attempts` is given.
    pub retry: Option<RetryPolicy>,
    /// Longest run, in milliseconds.
    pub timeout_ms: Option<u64>,
    /// The same key returns the same task.
    pub idempotency_key: Option<String>,
    /// Tasks that must be done first.
    pub depends_on: Vec<TaskId>,
    /// The task that enqueues this one.
    pub parent_id: Option<TaskId>,
    /// Whether a person must approve before it runs.
    pub requires_approval: bool,
    /// The provider asked for.
    pub provider: Option<String>,
    /// The model asked for.
    pub model: Option<String>,
    /// The directory asked for.
    pub workdir: Option<String>,
    /// What happens when a run is lost.
    pub on_lost: OnLost,
    /// Whatever the client wants to keep beside the task.
    pub metadata: Option<Value>,
}

impl NewTask {
    /// A chat task in the default queue with nothing else said.
    pub fn chat(prompt: impl Into<String>) -> NewTask {
        NewTask {
            prompt: prompt.into(),
            system_prompt: None,
            task_type: TYPE_CHAT.into(),
            queue: DEFAULT_QUEUE.into(),
            priority: 0,
            run_at_ms: None,
            max_attempts: None,
            retry: None,
            timeout_ms: None,
            idempotency_key: None,
            depends_on: Vec::new(),
            parent_id: None,
            requires_approval: false,
            provider: None,
            model: None,
            workdir: None,
            on_lost: OnLost::Retry,
            metadata: None,
        }
    }
}
