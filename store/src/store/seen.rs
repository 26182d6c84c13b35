//! Views of a store's state.

use kirosu_protocol::{Fence, TaskId};

/// A live lease.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LiveLease {
    /// The task.
    pub task_id: TaskId,
    /// Its fence.
    pub fence: Fence,
    /// The worker that holds it.
    pub worker_id: Option<String>,
    /// The session to which it belongs.
    pub session: Option<String>,
    /// The key under which it was taken, if that has the role `work`.
    pub key: Option<String>,
    /// Its deadline in Unix milliseconds.
    pub lease_until_ms: i64,
}

/// The depth of one pair of queue and type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LaneDepth {
    /// The queue.
    pub queue: String,
    /// The type.
    pub task_type: String,
    /// Tasks that are ready to be leased (for `human`: to be answered).
    pub queued: i64,
    /// Tasks held by workers.
    pub leased: i64,
    /// Whether the queue is paused.
    pub paused: bool,
}
