//! The failed and cancelled tasks on which others depend, directly or not.

use crate::sql;
use diesel::{QueryResult, SqliteConnection, sql_query};
use kirosu_protocol::TaskId;

/// Those with ids above `above`, the oldest first, at most `limit`.
///
/// A task is newer than all of its dependencies, so a page contains the dependencies of its tasks unless an earlier
/// page did: the next page need not walk through the tasks up to the last id of this one again.
pub(crate) fn failed(
    conn: &mut SqliteConnection,
    of: &[TaskId],
    above: TaskId,
    limit: u32,
) -> QueryResult<Vec<TaskId>> {
    let of: Vec<String> = of.iter().map(TaskId::to_string).collect();
    // CROSS JOIN forces this order on SQLite. Failed and cancelled are the states above 5.
    let next = |from: &str| {
        format!(
            "SELECT d.depends_on FROM {from} CROSS JOIN task t ON t.id = d.depends_on WHERE +d.depends_on > {above} AND +t.state > 5"
        )
    };
    let text = format!(
        "WITH RECURSIVE found (id) AS ({} AND d.task_id IN ({}) UNION {}) SELECT id FROM found ORDER BY id LIMIT {limit}",
        next("dependency d"),
        of.join(","),
        next("found f CROSS JOIN dependency d ON d.task_id = f.id"),
    );
    sql::all(conn, sql_query(text))
}
