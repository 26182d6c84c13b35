//! Statuses of tasks, without their texts.

use crate::sql;
use diesel::{QueryResult, SqliteConnection, sql_query};
use kirosu_protocol::{Status, TaskId};

/// Ids named in one statement.
const CHUNK: usize = 1000;

/// The statuses of those of the tasks that exist.
pub(crate) fn of(
    conn: &mut SqliteConnection,
    ids: &[TaskId],
) -> QueryResult<Vec<(TaskId, Status)>> {
    let mut all = Vec::with_capacity(ids.len());
    for chunk in ids.chunks(CHUNK) {
        let list: Vec<String> = chunk.iter().map(TaskId::to_string).collect();
        let text = format!(
            "SELECT id, state FROM task WHERE id IN ({})",
            list.join(",")
        );
        all.extend(sql::all::<(TaskId, Status), _>(conn, sql_query(text))?);
    }
    Ok(all)
}
