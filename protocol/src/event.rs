//! What happened, as `watch` tells it.

use crate::approval::{PermissionId, PermissionState};
use crate::task::{Fence, Status, TaskId};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// One thing that happened, numbered by the hub's event bus.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// Grows by one with each event of one hub process.
    pub seq: u64,
    /// Unix seconds.
    pub time: f64,
    /// Events in their order.
    #[serde(flatten)]
    pub what: EventKind,
}

/// What can happen.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum EventKind {
    /// A task was enqueued or changed its state.
    Task {
        /// The task.
        task_id: TaskId,
        /// Its status now.
        status: Status,
        /// The newest lease's fence.
        fence: Fence,
        /// Who holds or held it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        worker_id: Option<String>,
        /// Who cancelled, approved or rejected it, where that is known.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        by: Option<String>,
        /// Why: `enqueued`, `leased`, `done`, `failed`, `lost`, `released`, `retried`, `cancelled`, `approved`, `rejected`, `due`, `unblocked`.
        reason: String,
        /// What a person is asked, when the task begins to wait for `approve` or `reject`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        question: Option<String>,
    },
    /// A tool question was asked, decided, or is over.
    Approval {
        /// The question.
        approval_id: PermissionId,
        /// The task whose agent asks.
        task_id: TaskId,
        /// The lease it is bound to.
        fence: Fence,
        /// Where it stands now.
        state: PermissionState,
        /// The tool.
        tool: String,
        /// What is asked, one line.
        title: String,
        /// Who decided.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        by: Option<String>,
        /// The rule that decided.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        rule: Option<String>,
    },
    /// A running task said how far it is.
    Progress {
        /// The task.
        task_id: TaskId,
        /// The lease it belongs to.
        fence: Fence,
        /// What the worker said.
        data: Value,
    },
    /// A running task printed something.
    Output {
        /// The task.
        task_id: TaskId,
        /// The lease it belongs to.
        fence: Fence,
        /// The chunk's number within the attempt, from 0.
        chunk: u64,
        /// The text.
        text: String,
    },
    /// A session came, went, was lost or ended.
    Session {
        /// The session.
        session_id: String,
        /// `opened`, `resumed`, `closed`, `lost`.
        state: String,
    },
    /// A supervised actor exited or was restarted.
    Actor {
        /// Its place in the tree, as `root/writer`.
        path: String,
        /// `exited`, `restarting`, `restarted`, `gave_up`.
        state: String,
        /// Why it exited.
        reason: String,
    },
    /// A queue was paused or resumed.
    Queue {
        /// The queue; `*` stands for all.
        queue: String,
        /// `paused`, `resumed`.
        state: String,
    },
    /// The hub began to drain, or stops.
    Hub {
        /// `draining`, `stopping`.
        state: String,
    },
}

impl EventKind {
    /// Who brought about a change of a task: a person for decisions, the worker for what a run does. `None`: the hub
    /// itself, or nobody is named.
    pub fn task_changed_by(&self) -> Option<&str> {
        let EventKind::Task {
            worker_id,
            by,
            reason,
            ..
        } = self
        else {
            return None;
        };
        match reason.as_str() {
            "cancelled" | "approved" | "rejected" => by.as_deref(),
            "retried" | "due" | "unblocked" => None,
            _ => worker_id.as_deref(),
        }
    }
}
