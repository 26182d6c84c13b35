//! Ended attempts.

use super::{FromRow, maybe_text, statement, text};
use diesel::QueryResult;
use diesel::row::Row;
use diesel::sql_types::{BigInt, Nullable, Text};
use diesel::sqlite::Sqlite;

statement! {
    /// An attempt's end. A late ack replaces the `lost` of its own fence.
    InsertAttempt<'a> {
        task_id: i64 => BigInt,
        fence: i64 => BigInt,
        outcome: &'a str => Text,
        worker: Option<&'a str> => Nullable<Text>,
        started_at: i64 => BigInt,
        ended_at: i64 => BigInt,
        result: Option<&'a str> => Nullable<Text>,
        error: Option<&'a str> => Nullable<Text>,
        usage: Option<&'a str> => Nullable<Text>,
    } "INSERT OR REPLACE INTO attempt (task_id, fence, outcome, worker, started_at, ended_at, result, error, usage) \
       VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
}

statement! {
    /// How one attempt ended, and whose it was.
    SelectAttemptEnd { task_id: i64 => BigInt, fence: i64 => BigInt }
    "SELECT outcome, worker FROM attempt WHERE task_id = ? AND fence = ?"
}

statement! {
    /// Why one attempt failed.
    SelectAttemptError { task_id: i64 => BigInt, fence: i64 => BigInt }
    "SELECT coalesce(error, outcome) FROM attempt WHERE task_id = ? AND fence = ?"
}

/// How one attempt ended, and whose it was.
pub(crate) struct AttemptEnd {
    pub outcome: String,
    pub worker: Option<String>,
}

impl FromRow for AttemptEnd {
    fn from_row<'a>(row: &impl Row<'a, Sqlite>) -> QueryResult<AttemptEnd> {
        Ok(AttemptEnd {
            outcome: text(row, 0)?,
            worker: maybe_text(row, 1)?,
        })
    }
}
