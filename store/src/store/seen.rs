//! What a store says of itself.

use kirosu_protocol::{Fence, TaskId};

/// A lease that is alive now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LiveLease {
    /// The task.
    pub task_id: TaskId,
    /// Its fence.
    pub fence: Fence,
    /// Who holds it.
    pub worker_id: Option<String>,
    /// The session it belongs to.
    pub session: Option<String>,
    /// Unix milliseconds until which it holds.
    pub lease_until_ms: i64,
}

/// How full one pair of queue and type is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LaneDepth {
    /// The queue.
    pub queue: String,
    /// The type.
    pub task_type: String,
    /// Tasks ready to be leased (or, for `human`, to be answered).
    pub queued: i64,
    /// Tasks held by workers.
    pub leased: i64,
    /// Whether the queue is paused.
    pub paused: bool,
}
