//! The queries of readers: one file per query, on connections that never write.
//!
//! They are written for SQLite and read the tables directly. For a second engine they need a seam of their own, as
//! [`Backend`](crate::backend::Backend) serves the writer only.

pub(crate) mod approvals;
pub(crate) mod audit;
pub(crate) mod dependencies;
pub(crate) mod get;
pub mod group;
pub(crate) mod list;
pub(crate) mod oldest;
pub(crate) mod output;
pub mod plans;
pub(crate) mod rows;
pub(crate) mod statuses;
pub(crate) mod tree;
pub(crate) mod usage;
pub(crate) mod waiting;

use crate::sql::row;
use kirosu_protocol::{Attempt, Fence, IdRange, RecordedDecision, Status, Task, TaskId};

/// A query for tasks, newest id first.
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
    /// Maximum number of tasks; 0 or less means all.
    pub limit: i64,
    /// Only ids below this (the cursor).
    pub before_id: Option<TaskId>,
    /// Only tasks with all of these labels.
    pub labels: Vec<String>,
    /// Only ids in one of these ranges; empty means any.
    pub ranges: Vec<IdRange>,
}

/// A page of tasks.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TaskPage {
    /// Newest id first.
    pub tasks: Vec<Task>,
    /// `before_id` of the next page; `None` means that there is none.
    pub next_before: Option<TaskId>,
}

/// The ids of a page of tasks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ids {
    /// Newest first.
    pub ids: Vec<TaskId>,
    /// `before_id` of the next page; `None` means that there is none.
    pub next_before: Option<TaskId>,
}

/// The details of one task.
#[derive(Clone, Debug, PartialEq)]
pub struct TaskDetail {
    /// The task.
    pub task: Task,
    /// Its ended attempts, oldest first.
    pub attempts: Vec<Attempt>,
    /// The tasks it depends on.
    pub depends_on: Vec<TaskId>,
    /// The number of them that are not done.
    pub blocked_by: u32,
    /// The last report of progress of the newest attempt.
    pub progress: Option<serde_json::Value>,
    /// The end of the output of the requested attempt, oldest chunk first.
    pub output: Vec<OutputChunk>,
    /// Whether output is missing: earlier chunks were left out, or it was cut when it was stored.
    pub output_cut: bool,
    /// The session of the live lease.
    pub session: Option<String>,
    /// Decisions of people about it, oldest first.
    pub decisions: Vec<RecordedDecision>,
}

row! {
    /// A chunk of a run's output.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct OutputChunk {
        /// The lease's fence.
        pub fence: Fence,
        /// The chunk's number within the attempt.
        pub chunk: u64,
        /// The text.
        pub text: String,
    }
}
