//! Rows that the common path of a task does not touch: idempotency keys, dependencies, progress, output, notes.

use super::{FromRow, int, maybe_int, statement, text};
use diesel::QueryResult;
use diesel::row::Row;
use diesel::sql_types::{BigInt, Nullable, Text};
use diesel::sqlite::Sqlite;
use kirosu_protocol::TaskId;

statement! {
    /// The task of an idempotency key, and the hash of its request.
    SelectKey<'a> { key: &'a str => Text } "SELECT key, task_id, body FROM idempotency WHERE key = ?"
}

statement! {
    /// The same for many keys, as a JSON array of texts.
    SelectKeys<'a> { keys: &'a str => Text }
    "SELECT key, task_id, body FROM idempotency WHERE key IN (SELECT value FROM json_each(?))"
}

statement! {
    /// Binds an idempotency key to a task.
    InsertKey<'a> { key: &'a str => Text, task_id: i64 => BigInt, body: i64 => BigInt }
    "INSERT INTO idempotency (key, task_id, body) VALUES (?, ?, ?)"
}

statement! {
    /// One task waits for another.
    InsertDependency { depends_on: i64 => BigInt, task_id: i64 => BigInt }
    "INSERT INTO dependency (depends_on, task_id) VALUES (?, ?)"
}

statement! {
    /// One task was enqueued by another.
    InsertChild { parent_id: i64 => BigInt, task_id: i64 => BigInt }
    "INSERT INTO child (parent_id, task_id) VALUES (?, ?)"
}

statement! {
    /// The error of a task without an attempt.
    SelectNote { task_id: i64 => BigInt } "SELECT error FROM note WHERE task_id = ? AND error IS NOT NULL"
}

statement! {
    /// A task has a label.
    InsertLabel<'a> { label: &'a str => Text, task_id: i64 => BigInt }
    "INSERT INTO task_label (label, task_id) VALUES (?, ?)"
}

statement! {
    /// The newest report of progress of a running task.
    PutProgress<'a> { task_id: i64 => BigInt, fence: i64 => BigInt, data: &'a str => Text, at: i64 => BigInt }
    "INSERT OR REPLACE INTO progress (task_id, fence, data, at) VALUES (?, ?, ?, ?)"
}

statement! {
    /// A chunk of output; one that is stored already stays as it is.
    InsertOutput<'a> { task_id: i64 => BigInt, fence: i64 => BigInt, chunk: i64 => BigInt, text: &'a str => Text }
    "INSERT OR IGNORE INTO output (task_id, fence, chunk, text) VALUES (?, ?, ?, ?)"
}

statement! {
    /// The bytes of output that an attempt has, and the number after its last chunk.
    SelectOutputKept { task_id: i64 => BigInt, fence: i64 => BigInt }
    "SELECT coalesce(sum(octet_length(text)), 0), coalesce(max(chunk) + 1, 0) FROM output WHERE task_id = ? AND fence = ?"
}

statement! {
    /// Whether a task without an attempt has this result.
    SelectNoteHas<'a> { task_id: i64 => BigInt, result: &'a str => Text }
    "SELECT 1 FROM note WHERE task_id = ? AND result = ?"
}

statement! {
    /// Result and error of a task without an attempt.
    PutNote<'a> { task_id: i64 => BigInt, result: Option<&'a str> => Nullable<Text>, error: Option<&'a str> => Nullable<Text> }
    "INSERT OR REPLACE INTO note (task_id, result, error) VALUES (?, ?, ?)"
}

impl FromRow for (String, TaskId, Option<i64>) {
    const COLUMNS: usize = 3;

    fn from_row<'a>(row: &impl Row<'a, Sqlite>) -> QueryResult<(String, TaskId, Option<i64>)> {
        Ok((text(row, 0)?, int(row, 1)?, maybe_int(row, 2)?))
    }
}
