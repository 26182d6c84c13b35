//! `get`: the details of one task.

use super::{OutputChunk, TaskDetail};
use crate::command::holder::is_cut;
use crate::query::rows;
use crate::sql::long_text::{last_piece, whole};
use crate::sql::{self, row};
use diesel::{QueryResult, SqliteConnection, sql_query};
use kirosu_protocol::{Attempt, Fence, RecordedDecision, TaskId, Usage};

row! {
    Attempt {
        fence, worker_id, started_at = seconds, ended_at = seconds, outcome, error, usage = known_usage, result, provider,
    }
}

row! { RecordedDecision { verdict, by, comment, at = seconds, fence } }

/// Unix seconds of Unix milliseconds.
fn seconds(ms: i64) -> f64 {
    ms as f64 / 1000.0
}

/// The usage in an attempt's row; `None` as well if it has a form that this version does not know.
fn known_usage(text: Option<String>) -> Option<Usage> {
    serde_json::from_str(&text?).ok()
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
    let held: Option<(u32, Option<String>)> = sql::first(
        conn,
        sql_query(format!(
            "SELECT blocked_by, session FROM task WHERE id = {id}"
        )),
    )?;
    let (blocked_by, session) = held.unwrap_or_default();
    let (error, answer) = (whole!("error", "second"), last_piece!("result"));
    let attempts = format!(
        "SELECT fence, worker, started_at, ended_at, outcome, {error}, usage, \
         CASE outcome WHEN 'not_accepted' THEN substr({answer}, -4096) END, provider FROM attempt WHERE task_id = {id} ORDER BY fence"
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
        blocked_by,
        session,
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
         + (SELECT total(first + second) FROM long_text WHERE id IN (SELECT text_id FROM task_input WHERE task_id = {id} \
            UNION ALL SELECT text_id FROM attempt WHERE task_id = {id} UNION ALL SELECT text_id FROM note WHERE task_id = {id})) \
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
