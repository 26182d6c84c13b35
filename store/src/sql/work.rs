//! Bulk work, and the queries of its steps.

use super::task::hot_columns;
use super::{row, statement};
use kirosu_protocol::{Status, TaskId};

statement! {
    /// The progress of a work.
    PutWork<'a> {
        id: i64,
        kind: i64,
        task_id: i64,
        state: i64,
        after: i64,
        upto: i64,
        queue: Option<&'a str>,
        count: i64,
    } "INSERT OR REPLACE INTO work (id, kind, task_id, state, after, upto, queue, count) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
}

statement! {
    /// A work is finished.
    DeleteWork { id: i64 } "DELETE FROM work WHERE id = ?"
}

statement! {
    /// All unfinished works, the newest first.
    SelectWork {} "SELECT id, kind, task_id, state, after, upto, queue, count FROM work ORDER BY id DESC"
}

/// A stored work.
#[derive(Debug)]
pub(crate) struct WorkRow {
    pub id: i64,
    pub kind: i64,
    pub task_id: TaskId,
    pub state: Status,
    pub after: TaskId,
    pub upto: TaskId,
    pub queue: Option<String>,
    pub count: i64,
}

row! { WorkRow { id, kind, task_id, state, after, upto, queue, count } }

statement! {
    /// The next dependents of a task.
    SelectNextDependents { depends_on: i64, after: i64, upto: i64, limit: i64 }
    "SELECT task_id FROM dependency WHERE depends_on = ? AND task_id > ? AND task_id <= ? ORDER BY task_id LIMIT ?"
}

statement! {
    /// The next children of a task.
    SelectNextChildren { parent_id: i64, after: i64, upto: i64, limit: i64 }
    "SELECT task_id FROM child WHERE parent_id = ? AND task_id > ? AND task_id <= ? ORDER BY task_id LIMIT ?"
}

statement! {
    /// The next failed tasks.
    SelectNextFailed { after: i64, upto: i64, limit: i64 }
    concat!("SELECT ", hot_columns!(), " FROM task WHERE state <> 0 AND state <> 4 AND state <> 5 AND state = 6 \
             AND id > ? AND id <= ? ORDER BY id LIMIT ?")
}

statement! {
    /// The states of a task's dependencies, added up.
    SelectDependencyStates { task_id: i64 }
    "SELECT count(*), count(CASE WHEN t.id IS NULL OR t.state <> 5 THEN 1 END), count(CASE WHEN t.id IS NULL OR t.state > 5 THEN 1 END), \
     min(CASE WHEN t.id IS NULL OR t.state > 5 THEN d.depends_on END) \
     FROM dependency d LEFT JOIN task t ON t.id = d.depends_on WHERE d.task_id = ?"
}

/// The states of a task's dependencies, added up.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct DependencyStates {
    /// All dependencies.
    pub all: i64,
    /// Those that are not done.
    pub open: i64,
    /// Those that cannot become done in their present state: failed, cancelled or pruned.
    pub dead: i64,
    /// The first of the dead ones.
    pub never: Option<TaskId>,
}

row! { DependencyStates { all, open, dead, never } }
