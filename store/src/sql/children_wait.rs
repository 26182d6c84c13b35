//! Tasks that wait for their children without a lease.

use super::{row, statement};
use kirosu_protocol::{Fence, TaskId};

statement! {
    /// An attempt has ended to wait for children.
    PutChildrenWait { task_id: i64, fence: i64, after: i64, upto: i64 }
    "INSERT OR REPLACE INTO children_wait (task_id, fence, after, upto) VALUES (?, ?, ?, ?)"
}

statement! {
    /// The newest wait of a task.
    SelectChildrenWait { task_id: i64 } "SELECT fence, after, upto FROM children_wait WHERE task_id = ?"
}

statement! {
    /// The task has ended.
    DeleteChildrenWait { task_id: i64 } "DELETE FROM children_wait WHERE task_id = ?"
}

/// The newest wait of a task for its children.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ChildrenWait {
    /// The lease of the attempt that ended.
    pub fence: Fence,
    /// It waited for the children with ids above this one.
    pub after: TaskId,
    /// And up to this one.
    pub upto: TaskId,
}

row! { ChildrenWait { fence, after, upto } }

statement! {
    /// The children of a task with ids above `after`, and up to `upto`, that have this flag and a state below `before`.
    SelectChildrenOfRuns { parent_id: i64, after: i64, upto: i64, flag: i64, before: i64 }
    "SELECT c.task_id FROM child c CROSS JOIN task t ON t.id = c.task_id \
     WHERE c.parent_id = ? AND c.task_id > ? AND c.task_id <= ? AND t.flags & ? <> 0 AND +t.state < ? ORDER BY c.task_id"
}

statement! {
    /// A child for which a task waited has ended.
    DeleteDependency { depends_on: i64, task_id: i64 } "DELETE FROM dependency WHERE depends_on = ? AND task_id = ?"
}

statement! {
    /// A task waits no more for its children: they have greater ids than the task, its dependencies lower ones.
    DeleteChildDependencies { task_id: i64, above: i64 } "DELETE FROM dependency WHERE task_id = ? AND depends_on > ?"
}
