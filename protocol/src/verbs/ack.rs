//! `ack`: a run ended; the answer is given once it is durable.

use crate::task::{FailureClass, Fence, TaskId, Usage};

/// How the worker says the run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AckStatus {
    /// With a result.
    Done,
    /// Without one.
    Failed,
}

/// One ended run.
#[derive(Clone, Debug, PartialEq)]
pub struct Ack {
    /// The task.
    pub task_id: TaskId,
    /// The lease's fence; without one the hub looks at the connection, then at the current lease.
    pub fence: Option<Fence>,
    /// The holder, where said: another's is refused.
    pub worker_id: Option<String>,
    /// How it ended.
    pub status: AckStatus,
    /// The result.
    pub result: Option<String>,
    /// Why it failed.
    pub error: Option<String>,
    /// The class of the failure; `provider_error` when none is given.
    pub class: Option<FailureClass>,
    /// For `rate_limited`: Unix milliseconds before which a retry is useless.
    pub retry_at_ms: Option<i64>,
    /// What it consumed.
    pub usage: Option<Usage>,
}
