//! The hub's notifications, in the form of JSON-RPC 2.0.

use crate::{Event, Fence, PermissionId, PermissionState, TaskId};
use serde::{Deserialize, Serialize};

/// A notification from the hub to a client. The variant's name in snake case is the method.
#[serde_with::skip_serializing_none]
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "method", content = "params", rename_all = "snake_case")]
pub enum Notice {
    /// To the holder of a lease: the task was cancelled. Stop the run.
    Cancel {
        /// The task.
        task_id: TaskId,
        /// The lease of the run.
        fence: Fence,
        /// The reason, for people.
        reason: Option<String>,
    },
    /// To the holder of a lease: the lease is over. Stop the run; an ack would be refused as `stale_lease`.
    LeaseLost {
        /// The task.
        task_id: TaskId,
        /// The lease that is over.
        fence: Fence,
        /// `expired`, `session_lost`, `cancelled` or `taken`.
        reason: String,
    },
    /// To the holder of a lease: a permission request of the run is decided. Send the same `ask` again for the decision.
    Decided {
        /// The task.
        task_id: TaskId,
        /// The lease of the run.
        fence: Fence,
        /// The permission request.
        approval_id: PermissionId,
        /// The new state.
        state: PermissionState,
    },
    /// To the holder of a lease: the run's agent has begun to wait for tasks below its own, or has ended one of its waits. While it
    /// waits, the holder may run another task in its place.
    Waiting {
        /// The task.
        task_id: TaskId,
        /// The lease of the run.
        fence: Fence,
        /// Whether a wait has begun; else one has ended.
        waiting: bool,
    },
    /// To a watcher: an event.
    Event(Event),
    /// To a watcher: a task or a permission request begins to wait for `approve` or `reject`.
    Approval {
        /// The permission request. `None` if the task itself waits.
        approval_id: Option<PermissionId>,
        /// The task.
        task_id: TaskId,
        /// The task's newest lease; 0 if it never had one.
        #[serde(default)]
        fence: Fence,
        /// The question to the person, one sentence.
        question: String,
    },
}

impl Notice {
    /// Appends the notification as a line with its line end.
    pub fn write(&self, out: &mut Vec<u8>) {
        #[derive(Serialize)]
        struct Line<'a> {
            jsonrpc: &'static str,
            #[serde(flatten)]
            notice: &'a Notice,
        }
        let before = out.len();
        match serde_json::to_writer(
            &mut *out,
            &Line {
                jsonrpc: "2.0",
                notice: self,
            },
        ) {
            Ok(()) => out.push(b'\n'),
            Err(_) => out.truncate(before),
        }
    }
}
