//! The stored facts about why tasks wait.

use crate::sql::task::status;
use crate::sql::{self, FromRow, int, statement, text};
use diesel::row::Row;
use diesel::sqlite::Sqlite;
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

struct Blocked(TaskId, Dependency);

impl FromRow for Blocked {
    const COLUMNS: usize = 4;

    fn from_row<'a>(row: &impl Row<'a, Sqlite>) -> QueryResult<Blocked> {
        let dependency = Dependency {
            task_id: int(row, 1)?,
            status: status(row, 2)?,
            more: u64::try_from(int(row, 3)? - 1).unwrap_or(0),
        };
        Ok(Blocked(int(row, 0)?, dependency))
    }
}

struct Leased((String, String), i64);

impl FromRow for Leased {
    const COLUMNS: usize = 3;

    fn from_row<'a>(row: &impl Row<'a, Sqlite>) -> QueryResult<Leased> {
        Ok(Leased((text(row, 0)?, text(row, 1)?), int(row, 2)?))
    }
}

struct Queue(String);

impl FromRow for Queue {
    const COLUMNS: usize = 1;

    fn from_row<'a>(row: &impl Row<'a, Sqlite>) -> QueryResult<Queue> {
        text(row, 0).map(Queue)
    }
}

statement! {
    /// The paused queues, under the names of the wire.
    SelectPausedNames {} "SELECT queue FROM paused_queue ORDER BY queue"
}

/// The facts about these tasks.
pub(crate) fn facts(conn: &mut SqliteConnection, ids: &[TaskId]) -> QueryResult<WaitFacts> {
    let paused: Vec<Queue> = sql::all(conn, SelectPausedNames {})?;
    let mut facts = WaitFacts {
        paused: paused.into_iter().map(|Queue(name)| name).collect(),
        ..WaitFacts::default()
    };
    for chunk in ids.chunks(CHUNK) {
        let list: Vec<String> = chunk.iter().map(TaskId::to_string).collect();
        let list = list.join(",");
        // The bare column `state` is that of the row with the smallest id, as SQLite documents for a single min().
        let blocked = format!(
            "SELECT d.task_id, min(d.depends_on), n.state, count(*) FROM task t CROSS JOIN dependency d ON d.task_id = t.id \
             CROSS JOIN task n ON n.id = d.depends_on \
             WHERE t.id IN ({list}) AND +t.state = 1 AND +n.state <> 5 GROUP BY d.task_id"
        );
        for Blocked(id, dependency) in sql::all(conn, sql_query(blocked))? {
            facts.dependencies.insert(id, dependency);
        }
        let leased = format!(
            "SELECT DISTINCT l.queue, l.type, l.leased FROM task t CROSS JOIN lane l ON l.id = t.lane \
             WHERE t.id IN ({list}) AND +t.state = 0 AND l.leased > 0"
        );
        let leased: Vec<Leased> = sql::all(conn, sql_query(leased))?;
        let leased = leased.into_iter().map(|Leased(lane, count)| (lane, count));
        facts.leased.extend(leased);
    }
    Ok(facts)
}
