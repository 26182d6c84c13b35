//! `get`: the details of one task.

use super::{OutputChunk, StoredDecision, TaskDetail};
use crate::command::holder::is_cut;
use crate::query::rows;
use crate::sql::{self, FromRow, int, maybe_text, text};
use diesel::row::Row;
use diesel::sqlite::Sqlite;
use diesel::{QueryResult, SqliteConnection, sql_query};
use kirosu_protocol::{Attempt, Fence, TaskId};

/// The columns of the row that `get` returns beyond those of [`Task`].
struct LeaseColumns {
    blocked_by: i64,
    session: Option<String>,
}

impl FromRow for LeaseColumns {
    const COLUMNS: usize = 2;

    fn from_row<'a>(row: &impl Row<'a, Sqlite>) -> QueryResult<LeaseColumns> {
        Ok(LeaseColumns {
            blocked_by: int(row, 0)?,
            session: maybe_text(row, 1)?,
        })
    }
}

impl FromRow for Attempt {
    const COLUMNS: usize = 9;

    fn from_row<'a>(row: &impl Row<'a, Sqlite>) -> QueryResult<Attempt> {
        let usage = maybe_text(row, 6)?;
        Ok(Attempt {
            fence: int(row, 0)?,
            worker_id: maybe_text(row, 1)?,
            started_at: int(row, 2)? as f64 / 1000.0,
            ended_at: int(row, 3)? as f64 / 1000.0,
            outcome: text(row, 4)?,
            error: maybe_text(row, 5)?,
            result: maybe_text(row, 7)?,
            provider: maybe_text(row, 8)?,
            usage: usage.and_then(|usage| serde_json::from_str(&usage).ok()),
        })
    }
}

impl FromRow for StoredDecision {
    const COLUMNS: usize = 5;

    fn from_row<'a>(row: &impl Row<'a, Sqlite>) -> QueryResult<StoredDecision> {
        Ok(StoredDecision {
            verdict: text(row, 0)?,
            by: maybe_text(row, 1)?,
            reason: maybe_text(row, 2)?,
            at_ms: int(row, 3)?,
            fence: int(row, 4)?,
        })
    }
}

/// The details of one task, with at most `chunks` of the last output chunks of one attempt (`None` means the newest).
pub(crate) fn detail(
    conn: &mut SqliteConnection,
    id: TaskId,
    attempt: Option<Fence>,
    chunks: u32,
) -> QueryResult<Option<TaskDetail>> {
    let Some(task) = rows::by_ids(conn, &[id])?.pop() else {
        return Ok(None);
    };
    let held: Option<LeaseColumns> = sql::first(
        conn,
        sql_query(format!(
            "SELECT blocked_by, session FROM task WHERE id = {id}"
        )),
    )?;
    let attempts = format!(
        "SELECT fence, worker, started_at, ended_at, outcome, error, usage, \
         CASE outcome WHEN 'not_accepted' THEN substr(result, -4096) END, provider FROM attempt WHERE task_id = {id} ORDER BY fence"
    );
    let depends_on =
        format!("SELECT depends_on FROM dependency WHERE task_id = {id} ORDER BY depends_on");
    let decisions = format!(
        "SELECT verdict, by, reason, at, fence FROM decision WHERE task_id = {id} ORDER BY id"
    );
    let progress: Option<String> = sql::first(
        conn,
        sql_query(format!(
            "SELECT data FROM progress WHERE task_id = {id} AND fence = {}",
            task.fence
        )),
    )?;
    let (output, output_cut) = output(conn, id, attempt.unwrap_or(task.fence), chunks)?;
    Ok(Some(TaskDetail {
        attempts: sql::all(conn, sql_query(attempts))?,
        depends_on: sql::all(conn, sql_query(depends_on))?,
        decisions: sql::all(conn, sql_query(decisions))?,
        progress: progress.and_then(|data| serde_json::from_str(&data).ok()),
        output,
        output_cut,
        blocked_by: held.as_ref().map_or(0, |held| held.blocked_by as u32),
        session: held.and_then(|held| held.session),
        task,
    }))
}

/// Approximate bytes of the texts of [`detail`].
pub(crate) fn size(
    conn: &mut SqliteConnection,
    id: TaskId,
    attempt: Option<Fence>,
    chunks: u32,
) -> QueryResult<u64> {
    let fence = match attempt {
        Some(fence) => fence.to_string(),
        None => format!("(SELECT fence FROM task WHERE id = {id})"),
    };
    let output = match chunks {
        0 => "0".to_owned(),
        _ => format!(
            "(SELECT total(octet_length(text)) FROM output WHERE task_id = {id} AND fence = {fence})"
        ),
    };
    let text = format!(
        "SELECT CAST({output} \
         + (SELECT total(octet_length(prompt)) + total(octet_length(system_prompt)) + total(octet_length(options)) \
            FROM task_input WHERE task_id = {id}) \
         + (SELECT total(octet_length(result)) + total(octet_length(error)) FROM attempt WHERE task_id = {id}) \
         + (SELECT total(octet_length(result)) + total(octet_length(error)) FROM note WHERE task_id = {id}) \
         + (SELECT total(octet_length(reason)) FROM decision WHERE task_id = {id}) \
         + (SELECT total(octet_length(data)) FROM progress WHERE task_id = {id}) AS INTEGER)"
    );
    let bytes = sql::first::<i64, _>(conn, sql_query(text))?;
    Ok(bytes.map_or(0, |bytes| bytes as u64))
}

/// The last chunks of an attempt's output, and whether earlier ones were left out.
fn output(
    conn: &mut SqliteConnection,
    id: TaskId,
    fence: Fence,
    chunks: u32,
) -> QueryResult<(Vec<OutputChunk>, bool)> {
    if chunks == 0 {
        return Ok((Vec::new(), false));
    }
    // One row more than asked for shows whether there are others.
    let limit = u64::from(chunks) + 1;
    let text = format!(
        "SELECT fence, chunk, text FROM output WHERE task_id = {id} AND fence = {fence} ORDER BY chunk DESC LIMIT {limit}"
    );
    let mut output: Vec<OutputChunk> = sql::all(conn, sql_query(text))?;
    let more = output.len() as u64 == limit;
    let cut = more || output.first().is_some_and(|last| is_cut(&last.text));
    output.truncate(chunks as usize);
    output.reverse();
    Ok((output, cut))
}
