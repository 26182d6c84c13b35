//! Events, as `watch` sends them.

use crate::{Fence, PermissionId, PermissionState, RunState, Status, StepInfo, TaskId};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// An event, numbered by the hub's event bus.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// The event's number; grows by 1 with each event of one hub process.
    pub seq: u64,
    /// Unix seconds.
    pub time: f64,
    /// The kind of event, with its fields.
    #[serde(flatten)]
    pub what: EventKind,
}

/// The kinds of events; the name in snake case is `event` on the wire.
#[serde_with::skip_serializing_none]
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum EventKind {
    /// A task was enqueued or changed its state.
    Task {
        /// The task.
        task_id: TaskId,
        /// The new status.
        status: Status,
        /// The newest lease's fence.
        fence: Fence,
        /// The worker that holds the task or held it last.
        worker_id: Option<String>,
        /// The person or program that cancelled, approved, answered or rejected the task, if known.
        by: Option<String>,
        /// The cause of the change: `enqueued`, `leased`, `done`, `failed`, `lost`, `released`, `retried`, `cancelled`,
        /// `approved`, `answered`, `rejected`, `due` or `unblocked`.
        reason: String,
        /// The question to a person, when the task begins to wait for `approve`, `answer` or `reject`.
        question: Option<String>,
    },
    /// A permission request was opened or decided, or is over.
    Approval {
        /// The permission request.
        approval_id: PermissionId,
        /// The task whose agent asks.
        task_id: TaskId,
        /// The lease that the permission request is bound to.
        fence: Fence,
        /// The new state.
        state: PermissionState,
        /// The tool.
        tool: String,
        /// One line for a person.
        title: String,
        /// The person who decided.
        by: Option<String>,
        /// The rule that decided.
        rule: Option<String>,
    },
    /// A worker reported the progress of a run.
    Progress {
        /// The task.
        task_id: TaskId,
        /// The lease of the run.
        fence: Fence,
        /// The progress, as reported.
        data: Value,
    },
    /// A run printed text.
    Output {
        /// The task.
        task_id: TaskId,
        /// The lease of the run.
        fence: Fence,
        /// The chunk's number within the attempt, from 0.
        chunk: u64,
        /// The text.
        text: String,
    },
    /// A session was opened, resumed, closed or lost.
    Session {
        /// The session.
        session_id: String,
        /// `opened`, `resumed`, `closed` or `lost`.
        state: String,
    },
    /// A supervised actor exited or was restarted.
    Actor {
        /// The actor's path in the supervision tree, such as `root/writer`.
        path: String,
        /// `started`, `exited`, `restarting`, `restarted` or `gave_up`.
        state: String,
        /// The reason of the exit.
        reason: String,
    },
    /// A queue was paused or resumed.
    Queue {
        /// The queue; `*` means all queues.
        queue: String,
        /// `paused` or `resumed`.
        state: String,
    },
    /// A run of a plan that has begun has another state, reason or name.
    Run {
        /// The task of the run.
        task_id: TaskId,
        /// The state.
        state: RunState,
        /// The reason for the state.
        reason: Option<String>,
        /// The name.
        name: Option<String>,
    },
    /// A step of a run has another state or reason, or other counts: of those at most four events per second and step.
    Step {
        /// The task of the run.
        task_id: TaskId,
        /// The step, without its task.
        step: Box<StepInfo>,
    },
    /// A schedule was added, changed or removed, or has come to one of its times.
    Schedule {
        /// The name.
        name: String,
        /// `added` (also in place of an earlier one), `paused`, `resumed`, `fired`, `skipped`, `failed` or `removed`.
        state: String,
        /// The task that was added, if it fired.
        task_id: Option<TaskId>,
    },
    /// The hub begins to drain or to stop.
    Hub {
        /// `draining` or `stopping`.
        state: String,
    },
}

impl EventKind {
    /// The name of the person or worker that changed a task. `None` if the hub changed it, or no name is known.
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
