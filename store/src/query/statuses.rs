//! Statuses of tasks, without their texts.

use crate::sql::task::status;
use crate::sql::{self, FromRow, int};
use diesel::row::Row;
use diesel::sqlite::Sqlite;
use diesel::{QueryResult, SqliteConnection, sql_query};
use kirosu_protocol::{Status, TaskId};

/// Ids named in one statement.
const CHUNK: usize = 1000;

struct StatusRow(TaskId, Status);

impl FromRow for StatusRow {
    const COLUMNS: usize = 2;

    fn from_row<'a>(row: &impl Row<'a, Sqlite>) -> QueryResult<StatusRow> {
        Ok(StatusRow(int(row, 0)?, status(row, 1)?))
    }
}

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
        let stands: Vec<StatusRow> = sql::all(conn, sql_query(text))?;
        all.extend(stands.into_iter().map(|StatusRow(id, status)| (id, status)));
    }
    Ok(all)
}
