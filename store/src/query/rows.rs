//! Tasks by id, with everything that is shown of them.

use crate::row::{Input, InputOptions, TaskRow};
use crate::sql::{self, FromRow, maybe_text, text};
use crate::task::task_of;
use diesel::row::Row;
use diesel::sqlite::Sqlite;
use diesel::{QueryResult, SqliteConnection, sql_query};
use kirosu_protocol::{Task, TaskId};
use std::collections::HashMap;

/// Ids named in one statement.
const CHUNK: usize = 500;

/// A task with its input, its lane's names, and the result and error that hold now.
struct Shown(Task);

impl FromRow for Shown {
    fn from_row<'a>(row: &impl Row<'a, Sqlite>) -> QueryResult<Shown> {
        let hot = TaskRow::from_row(row)?;
        let input = Input {
            prompt: maybe_text(row, 18)?.unwrap_or_default(),
            system_prompt: maybe_text(row, 19)?,
            options: InputOptions::parse(maybe_text(row, 20)?.as_deref())?,
            key: None,
        };
        let (queue, task_type) = (text(row, 21)?, text(row, 22)?);
        let (result, error) = (maybe_text(row, 23)?, maybe_text(row, 24)?);
        Ok(Shown(task_of(
            &hot, input, &queue, &task_type, result, error,
        )))
    }
}

/// Flag 1 says that the newest attempt tells result and error, flag 2 that `note` does.
const SELECT: &str = "SELECT t.id, t.state, t.lane, t.priority, t.fence, t.attempts, t.max_attempts, t.run_at, \
    t.lease_until, t.lease_ms, t.leased_at, t.session, t.worker, t.created_at, t.updated_at, t.finished_at, t.flags, \
    t.blocked_by, i.prompt, i.system_prompt, i.options, l.queue, l.type, \
    CASE WHEN t.flags & 1 THEN a.result WHEN t.flags & 2 THEN n.result END, \
    CASE WHEN t.flags & 1 THEN a.error WHEN t.flags & 2 THEN n.error END \
    FROM task t JOIN lane l ON l.id = t.lane LEFT JOIN task_input i ON i.task_id = t.id \
    LEFT JOIN attempt a ON a.task_id = t.id AND a.fence = t.fence LEFT JOIN note n ON n.task_id = t.id";

/// The tasks with these ids that exist, in the order asked.
pub(crate) fn by_ids(conn: &mut SqliteConnection, ids: &[TaskId]) -> QueryResult<Vec<Task>> {
    let mut tasks = Vec::with_capacity(ids.len());
    for chunk in ids.chunks(CHUNK) {
        let list = chunk
            .iter()
            .map(TaskId::to_string)
            .collect::<Vec<_>>()
            .join(",");
        let shown: Vec<Shown> =
            sql::all(conn, sql_query(format!("{SELECT} WHERE t.id IN ({list})")))?;
        let mut by_id: HashMap<TaskId, Task> = shown
            .into_iter()
            .map(|shown| (shown.0.task_id, shown.0))
            .collect();
        tasks.extend(chunk.iter().filter_map(|id| by_id.remove(id)));
    }
    Ok(tasks)
}
