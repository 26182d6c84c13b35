//! The row of a task and its input.

use super::{FromRow, int, maybe_int, maybe_text, statement, text};
use crate::row::{Flags, InputOptions, TaskInput, TaskRow};
use diesel::QueryResult;
use diesel::result::Error;
use diesel::row::Row;
use diesel::sql_types::{BigInt, Nullable, Text};
use diesel::sqlite::Sqlite;
use kirosu_protocol::Status;
use std::sync::Arc;

/// The columns of a row, in the order in which `TaskRow` reads them.
macro_rules! hot_columns {
    () => {
        "id, state, lane, priority, fence, attempts, max_attempts, run_at, lease_until, lease_ms, leased_at, session, \
         worker, created_at, updated_at, finished_at, flags, blocked_by"
    };
}
pub(crate) use hot_columns;

statement! {
    /// A new task.
    InsertTask<'a> {
        id: i64 => BigInt,
        state: i64 => BigInt,
        lane: i64 => BigInt,
        priority: i64 => BigInt,
        fence: i64 => BigInt,
        attempts: i64 => BigInt,
        max_attempts: Option<i64> => Nullable<BigInt>,
        run_at: Option<i64> => Nullable<BigInt>,
        lease_until: Option<i64> => Nullable<BigInt>,
        lease_ms: Option<i64> => Nullable<BigInt>,
        leased_at: Option<i64> => Nullable<BigInt>,
        session: Option<&'a str> => Nullable<Text>,
        worker: Option<&'a str> => Nullable<Text>,
        created_at: i64 => BigInt,
        updated_at: i64 => BigInt,
        finished_at: Option<i64> => Nullable<BigInt>,
        flags: i64 => BigInt,
        blocked_by: i64 => BigInt,
    } concat!("INSERT INTO task (", hot_columns!(), ") VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)")
}

statement! {
    /// A changed row, guarded by the state and fence on which the change was decided.
    UpdateTask<'a> {
        state: i64 => BigInt,
        fence: i64 => BigInt,
        attempts: i64 => BigInt,
        run_at: Option<i64> => Nullable<BigInt>,
        lease_until: Option<i64> => Nullable<BigInt>,
        lease_ms: Option<i64> => Nullable<BigInt>,
        leased_at: Option<i64> => Nullable<BigInt>,
        session: Option<&'a str> => Nullable<Text>,
        worker: Option<&'a str> => Nullable<Text>,
        updated_at: i64 => BigInt,
        finished_at: Option<i64> => Nullable<BigInt>,
        flags: i64 => BigInt,
        blocked_by: i64 => BigInt,
        id: i64 => BigInt,
        old_state: i64 => BigInt,
        old_fence: i64 => BigInt,
    } "UPDATE task SET state = ?, fence = ?, attempts = ?, run_at = ?, lease_until = ?, lease_ms = ?, leased_at = ?, \
       session = ?, worker = ?, updated_at = ?, finished_at = ?, flags = ?, blocked_by = ? \
       WHERE id = ? AND state = ? AND fence = ?"
}

statement! {
    /// One row.
    SelectTask { id: i64 => BigInt } concat!("SELECT ", hot_columns!(), " FROM task WHERE id = ?")
}

statement! {
    /// Rows of tasks; the ids are a JSON array.
    SelectTasks<'a> { ids: &'a str => Text }
    concat!("SELECT ", hot_columns!(), " FROM task WHERE id IN (SELECT value FROM json_each(?))")
}

statement! {
    /// The best ready tasks of a lane.
    SelectReady { lane: i64 => BigInt, limit: i64 => BigInt }
    concat!("SELECT ", hot_columns!(), " FROM task WHERE state = 0 AND lane = ? ORDER BY priority DESC, id LIMIT ?")
}

statement! {
    /// The highest id in use.
    SelectLastId {} "SELECT coalesce(max(id), 0) FROM task"
}

statement! {
    /// A new task's input.
    InsertInput<'a> {
        task_id: i64 => BigInt,
        prompt: &'a str => Text,
        system_prompt: Option<&'a str> => Nullable<Text>,
        options: Option<&'a str> => Nullable<Text>,
        key: Option<&'a str> => Nullable<Text>,
    } "INSERT INTO task_input (task_id, prompt, system_prompt, options, idempotency_key) VALUES (?, ?, ?, ?, ?)"
}

statement! {
    /// A task's input.
    SelectInput { id: i64 => BigInt }
    "SELECT prompt, system_prompt, options, idempotency_key FROM task_input WHERE task_id = ?"
}

/// A column that holds the number of a status.
pub(crate) fn status<'a>(row: &impl Row<'a, Sqlite>, index: usize) -> QueryResult<Status> {
    let number = int(row, index)?;
    let known = usize::try_from(number)
        .ok()
        .and_then(|n| Status::ALL.get(n));
    known
        .copied()
        .ok_or_else(|| Error::DeserializationError(format!("unknown task state {number}").into()))
}

/// A column that holds the options of an input as JSON, or null for the defaults.
pub(crate) fn options<'a>(row: &impl Row<'a, Sqlite>, index: usize) -> QueryResult<InputOptions> {
    let text = maybe_text(row, index)?;
    InputOptions::parse(text.as_deref()).map_err(|error| Error::DeserializationError(error.into()))
}

impl FromRow for TaskRow {
    const COLUMNS: usize = 18;

    fn from_row<'a>(row: &impl Row<'a, Sqlite>) -> QueryResult<TaskRow> {
        Ok(TaskRow {
            id: int(row, 0)?,
            state: status(row, 1)?,
            lane: int(row, 2)?,
            priority: int(row, 3)? as i32,
            fence: int(row, 4)?,
            attempts: int(row, 5)? as u32,
            max_attempts: maybe_int(row, 6)?.map(|n| n as u32),
            run_at: maybe_int(row, 7)?,
            lease_until: maybe_int(row, 8)?,
            lease_ms: maybe_int(row, 9)?,
            leased_at: maybe_int(row, 10)?,
            session: maybe_text(row, 11)?.map(Arc::from),
            worker: maybe_text(row, 12)?.map(Arc::from),
            created_at: int(row, 13)?,
            updated_at: int(row, 14)?,
            finished_at: maybe_int(row, 15)?,
            flags: Flags(int(row, 16)?),
            blocked_by: int(row, 17)? as u32,
        })
    }
}

impl FromRow for TaskInput {
    const COLUMNS: usize = 4;

    fn from_row<'a>(row: &impl Row<'a, Sqlite>) -> QueryResult<TaskInput> {
        Ok(TaskInput {
            prompt: text(row, 0)?,
            system_prompt: maybe_text(row, 1)?,
            options: options(row, 2)?,
            key: maybe_text(row, 3)?,
        })
    }
}
