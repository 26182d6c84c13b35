//! What readers may ask: one file a question, on connections of their own that never write.

pub(crate) mod approvals;
pub(crate) mod dependencies;
pub(crate) mod get;
pub mod group;
pub(crate) mod list;
pub(crate) mod oldest;
pub(crate) mod output;
pub(crate) mod rows;
pub(crate) mod statuses;
pub(crate) mod usage;
pub(crate) mod waiting;

use kirosu_protocol::{Attempt, Fence, IdRange, Status, Task, TaskId};

/// Which tasks to list: newest id first.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ListQuery {
    /// Only this status.
    pub status: Option<Status>,
    /// Only this queue.
    pub queue: Option<String>,
    /// Only this type.
    pub task_type: Option<String>,
    /// Only tasks that this one enqueued.
    pub parent_id: Option<TaskId>,
    /// At most this many; 0 or less: all.
    pub limit: i64,
    /// Only ids below this (the cursor).
    pub before_id: Option<TaskId>,
    /// Only tasks with all of these labels.
    pub labels: Vec<String>,
    /// Only ids in one of these ranges; empty: any.
    pub ranges: Vec<IdRange>,
}

/// A page of tasks.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Page {
    /// Newest id first.
    pub tasks: Vec<Task>,
    /// Where the next page begins (`before_id`), when there may be one.
    pub next_before: Option<TaskId>,
}

/// The ids of a page of tasks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ids {
    /// Newest first.
    pub ids: Vec<TaskId>,
    /// Where the next page begins (`before_id`), when there may be one.
    pub next_before: Option<TaskId>,
}

/// Everything known of one task.
#[derive(Clone, Debug, PartialEq)]
pub struct TaskDetail {
    /// The task.
    pub task: Task,
    /// Its ended attempts, oldest first.
    pub attempts: Vec<Attempt>,
    /// The tasks it depends on.
    pub depends_on: Vec<TaskId>,
    /// How many of them are not done.
    pub blocked_by: u32,
    /// What the newest attempt last said about its progress.
    pub progress: Option<serde_json::Value>,
    /// The end of the output of the attempt that was asked for, oldest chunk first.
    pub output: Vec<OutputChunk>,
    /// Whether that is not all of it: earlier chunks were left out, or it was cut when it was kept.
    pub output_cut: bool,
    /// The session of the present lease.
    pub session: Option<String>,
    /// Decisions of people about it, oldest first.
    pub decisions: Vec<Decision>,
}

/// A piece of a run's output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutputChunk {
    /// The lease's fence.
    pub fence: Fence,
    /// The chunk's number within the attempt.
    pub chunk: u64,
    /// The text.
    pub text: String,
}

/// A person's decision about a task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// `approved`, `answered`, `rejected` or `cancelled`.
    pub verdict: String,
    /// Who decided.
    pub by: Option<String>,
    /// Why.
    pub reason: Option<String>,
    /// Unix milliseconds.
    pub at_ms: i64,
    /// The newest lease's fence at that time.
    pub fence: Fence,
}
