//! Statements over many tasks: deadlines, sessions, retry of all, pruning.

use super::task::hot_columns;
use super::{row, statement};
use kirosu_protocol::Status;

statement! {
    /// Leases that expired at or before a time, in the order of their deadlines; of equal ones, parents before their children.
    SelectExpired { until: i64, limit: i64 }
    "SELECT id FROM task WHERE state = 4 AND lease_until <= ? ORDER BY lease_until, id LIMIT ?"
}

statement! {
    /// The earliest lease deadline. Runs of plans are leased without one.
    SelectNextExpiry {}
    "SELECT lease_until FROM task WHERE state = 4 AND lease_until IS NOT NULL ORDER BY lease_until LIMIT 1"
}

statement! {
    /// Extends every live lease to a time at least.
    ExtendLeases { until: i64, below: i64 }
    "UPDATE task SET lease_until = ? WHERE state = 4 AND lease_until < ?"
}

statement! {
    /// The tasks of all live leases.
    SelectLeasedIds {} "SELECT id FROM task WHERE state = 4"
}

statement! {
    /// Scheduled tasks that are due.
    SelectDue { until: i64, limit: i64 }
    "SELECT id FROM task WHERE state = 2 AND run_at <= ? ORDER BY run_at LIMIT ?"
}

statement! {
    /// The earliest scheduled time.
    SelectNextDue {} "SELECT run_at FROM task WHERE state = 2 ORDER BY run_at LIMIT 1"
}

statement! {
    /// Some leases of a session.
    SelectSessionTasks<'a> { session: &'a str, limit: i64 }
    "SELECT id FROM task WHERE state = 4 AND session IS NOT NULL AND session = ? ORDER BY id LIMIT ?"
}

statement! {
    /// All live leases.
    SelectLeased {} concat!("SELECT ", hot_columns!(), " FROM task WHERE state = 4 ORDER BY lease_until")
}

statement! {
    /// The live leases of a session.
    SelectSessionLeased<'a> { session: &'a str }
    concat!("SELECT ", hot_columns!(), " FROM task WHERE state = 4 AND session IS NOT NULL AND session = ? ORDER BY id")
}

statement! {
    /// Finished tasks of a range of ids, by id.
    SelectFinished { after: i64, last: i64, limit: i64 }
    "SELECT id, lane, coalesce(finished_at, updated_at), flags, state FROM task \
     WHERE id > ? AND id <= ? AND state > 4 ORDER BY id LIMIT ?"
}

statement! {
    /// The first task id from one on.
    SelectFirstFrom { from: i64 } "SELECT id FROM task WHERE id >= ? ORDER BY id LIMIT 1"
}

statement! {
    /// The number of dependents of a task, up to a limit, and how many of these are unfinished.
    SelectNeeded { id: i64, limit: i64 }
    "SELECT count(*), coalesce(sum(t.state < 5), 0) FROM (SELECT task_id FROM dependency WHERE depends_on = ? LIMIT ?) AS d \
     JOIN task t ON t.id = d.task_id"
}

statement! {
    /// Deletes some dependencies of a task, of those that are done. `same`: the task once more.
    DeleteSomeDependencies { task_id: i64, same: i64, limit: i64 }
    "DELETE FROM dependency WHERE task_id = ? AND depends_on IN (SELECT d.depends_on FROM dependency d \
     JOIN task t ON t.id = d.depends_on WHERE d.task_id = ? AND t.state = 5 LIMIT ?)"
}

row! {
    /// A finished task that may be old enough to be pruned.
    pub(crate) struct FinishedTask {
        pub id: i64,
        pub lane: i64,
        pub at: i64,
        pub flags: i64,
        pub state: Status,
    }
}

statement! {
    /// The task's entry in its parent's list of children. It must precede the deletion of the input, which names the
    /// parent.
    DeleteChild { task_id: i64, id: i64 }
    "DELETE FROM child WHERE parent_id = (SELECT json_extract(options, '$.parent_id') FROM task_input WHERE task_id = ?) \
     AND task_id = ?"
}

statement! {
    /// Some chunks of a task's output, the oldest first.
    DeleteSomeOutput { task_id: i64, same: i64, limit: i64 }
    "DELETE FROM output WHERE task_id = ? AND (fence, chunk) IN \
     (SELECT fence, chunk FROM output WHERE task_id = ? ORDER BY fence, chunk LIMIT ?)"
}

statement! {
    /// Some attempts of a task, the oldest first.
    DeleteSomeAttempts { task_id: i64, same: i64, limit: i64 }
    "DELETE FROM attempt WHERE task_id = ? AND fence IN (SELECT fence FROM attempt WHERE task_id = ? ORDER BY fence LIMIT ?)"
}

/// Defines statements that delete the rows of one task from one table.
macro_rules! delete {
    ($($name:ident $text:literal),* $(,)?) => {
        $(statement! {
            #[doc = concat!("`", $text, "`")]
            $name { id: i64 } $text
        })*
    };
}

delete! {
    DeleteTask "DELETE FROM task WHERE id = ?",
    DeleteKey "DELETE FROM idempotency WHERE key = (SELECT idempotency_key FROM task_input WHERE task_id = ?)",
    DeleteInput "DELETE FROM task_input WHERE task_id = ?",
    DeleteConversation "DELETE FROM conversation WHERE task_id = ?",
    DeleteLabels "DELETE FROM task_label WHERE task_id = ?",
    DeleteNote "DELETE FROM note WHERE task_id = ?",
    DeleteDecisions "DELETE FROM decision WHERE task_id = ?",
    DeleteDependencies "DELETE FROM dependency WHERE task_id = ?",
    DeleteDependents "DELETE FROM dependency WHERE depends_on = ?",
    DeleteProgress "DELETE FROM progress WHERE task_id = ?",
}
