//! The output of one attempt.

use super::OutputChunk;
use crate::sql;
use diesel::{QueryResult, SqliteConnection, sql_query};
use kirosu_protocol::{Fence, TaskId};

/// Chunks of one attempt from a number on, in order.
pub(crate) fn chunks(
    conn: &mut SqliteConnection,
    id: TaskId,
    fence: Fence,
    from: u64,
    limit: u32,
) -> QueryResult<Vec<OutputChunk>> {
    let from = i64::try_from(from).unwrap_or(i64::MAX);
    let text = format!(
        "SELECT fence, chunk, text FROM output WHERE task_id = {id} AND fence = {fence} AND chunk >= {from} \
         ORDER BY chunk LIMIT {limit}"
    );
    sql::all(conn, sql_query(text))
}
