//! Trees of tasks: whether one is below another. And its dependencies.

use crate::sql;
use diesel::sql_types::BigInt;
use diesel::{QueryResult, SqliteConnection, sql_query};
use kirosu_protocol::TaskId;

/// The first of the tasks that is not below `above`, if there is one; one that does not exist is not. With `dependencies` those
/// on which `above` depends are not outside, either.
pub(crate) fn first_outside(
    conn: &mut SqliteConnection,
    ids: &[TaskId],
    above: TaskId,
    dependencies: bool,
) -> QueryResult<Option<TaskId>> {
    const DEPENDENCY: &str = "SELECT 1 FROM dependency WHERE depends_on = ? AND task_id = ?";
    // A task has at most one parent, so the way up has no branches.
    const QUERY: &str = "WITH RECURSIVE up(id, level) AS (VALUES(?, 0)
        UNION ALL SELECT json_extract(input.options, '$.parent_id'), level + 1
        FROM up JOIN task_input input ON input.task_id = up.id WHERE level < 64)
        SELECT 1 FROM up WHERE id = ? AND level > 0 LIMIT 1";
    for id in ids {
        let mut is_found = |text: &str| -> QueryResult<bool> {
            let query = sql_query(text)
                .bind::<BigInt, _>(id)
                .bind::<BigInt, _>(above);
            Ok(!sql::all::<i64, _>(conn, query)?.is_empty())
        };
        if !(is_found(QUERY)? || dependencies && is_found(DEPENDENCY)?) {
            return Ok(Some(*id));
        }
    }
    Ok(None)
}
