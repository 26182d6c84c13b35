//! What the hub says unasked, as JSON-RPC notifications.

use crate::approval::{PermissionId, PermissionState};
use crate::event::Event;
use crate::task::{Fence, TaskId};
use serde::{Deserialize, Serialize};

/// A notification from the hub to a client; the variant's name in snake case is the method.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "method", content = "params", rename_all = "snake_case")]
pub enum Notice {
    /// To a holder: somebody asked to cancel this run; stop it.
    Cancel {
        /// The task.
        task_id: TaskId,
        /// The lease it belongs to.
        fence: Fence,
        /// Why, for people.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    /// To a holder: this lease is no longer its own; stop the run, an ack would be `stale_lease`.
    LeaseLost {
        /// The task.
        task_id: TaskId,
        /// The lost lease's fence.
        fence: Fence,
        /// `expired`, `session_lost`, `cancelled`, `taken`.
        reason: String,
    },
    /// To a holder: a tool question of this run is decided; `ask` again to hear how.
    Decided {
        /// The task.
        task_id: TaskId,
        /// The lease it belongs to.
        fence: Fence,
        /// The question.
        approval_id: PermissionId,
        /// Where it stands now.
        state: PermissionState,
    },
    /// To a watcher.
    Event(Event),
    /// To a watcher: a task, or a tool question, begins to wait for a person's `approve` or `reject`.
    Approval {
        /// The tool question; none: the task itself waits.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        approval_id: Option<PermissionId>,
        /// The task.
        task_id: TaskId,
        /// The lease that the question belongs to; 0: there was none before it.
        #[serde(default)]
        fence: Fence,
        /// What is to be decided, one sentence.
        question: String,
    },
}

impl Notice {
    /// Appends it as a line, line end included.
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
