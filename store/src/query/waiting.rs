//! The stored facts about why tasks wait.

use crate::sql::{self, row, statement};
use diesel::{QueryResult, SqliteConnection, sql_query};
use kirosu_protocol::{Status, TaskId};
use std::collections::HashMap;

/// Ids named in one statement.
const CHUNK: usize = 500;

/// Stored facts about why some tasks wait.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct WaitFacts {
    /// The paused queues by name; `*` means all queues.
    pub paused: Vec<String>,
    /// The dependency for which each of the blocked tasks waits.
    pub dependencies: HashMap<TaskId, Dependency>,
    /// The number of leased tasks by queue and type, for the pairs of the queued tasks.
    pub leased: HashMap<(String, String), i64>,
}

row! {
    /// The dependency for which a blocked task waits.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Dependency {
        /// The first of the tasks that are not done.
        pub task_id: TaskId,
        /// Its status.
        pub status: Status,
        /// The number of other dependencies that are not done.
        pub more: u64,
    }
}

statement! {
    /// The paused queues, under the names of the wire.
    SelectPausedNames {} "SELECT queue FROM paused_queue ORDER BY queue"
}

/// The facts about these tasks.
pub(crate) fn facts(conn: &mut SqliteConnection, ids: &[TaskId]) -> QueryResult<WaitFacts> {
    let mut facts = WaitFacts {
        paused: sql::all(conn, SelectPausedNames {})?,
        ..WaitFacts::default()
    };
    for chunk in ids.chunks(CHUNK) {
        let list: Vec<String> = chunk.iter().map(TaskId::to_string).collect();
        let list = list.join(",");
        // The bare column `state` is that of the row with the smallest id, as SQLite documents for a single min().
        let blocked = format!(
            "SELECT d.task_id, min(d.depends_on), n.state, count(*) - 1 FROM task t CROSS JOIN dependency d ON d.task_id = t.id \
             CROSS JOIN task n ON n.id = d.depends_on \
             WHERE t.id IN ({list}) AND +t.state = 1 AND +n.state <> 5 GROUP BY d.task_id"
        );
        let blocked: Vec<(TaskId, Dependency)> = sql::all(conn, sql_query(blocked))?;
        facts.dependencies.extend(blocked);
        let leased = format!(
            "SELECT DISTINCT l.queue, l.type, l.leased FROM task t CROSS JOIN lane l ON l.id = t.lane \
             WHERE t.id IN ({list}) AND +t.state = 0 AND l.leased > 0"
        );
        let leased: Vec<((String, String), i64)> = sql::all(conn, sql_query(leased))?;
        facts.leased.extend(leased);
    }
    Ok(facts)
}
