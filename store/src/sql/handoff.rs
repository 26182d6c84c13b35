//! Tasks to which runs have handed over.

use super::statement;

statement! {
    /// A run of a task has handed over.
    PutHandoff { task_id: i64, next: i64, fence: i64 } "INSERT OR REPLACE INTO handoff (task_id, next, fence) VALUES (?, ?, ?)"
}

statement! {
    /// The task to which an attempt has handed over.
    SelectHandedTo { task_id: i64, fence: i64 } "SELECT next FROM handoff WHERE task_id = ? AND fence = ?"
}

statement! {
    /// The task to which another attempt than this one has handed over.
    SelectHandedBefore { task_id: i64, fence: i64 } "SELECT next FROM handoff WHERE task_id = ? AND fence <> ?"
}

statement! {
    /// The task whose run has handed over to this one.
    SelectHandedFrom { next: i64 } "SELECT task_id FROM handoff WHERE next = ?"
}

statement! {
    /// A task that had handed over is deleted.
    DeleteHandoff { task_id: i64 } "DELETE FROM handoff WHERE task_id = ?"
}
