//! Ended attempts.

use super::{FromRow, int, maybe_text, statement, text};
use diesel::QueryResult;
use diesel::row::Row;
use diesel::sql_types::{BigInt, Nullable, Text};
use diesel::sqlite::Sqlite;
use kirosu_protocol::NotAccepted;

statement! {
    /// The end of an attempt. A late ack replaces the `lost` of its own fence.
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
        provider: Option<&'a str> => Nullable<Text>,
    } "INSERT OR REPLACE INTO attempt (task_id, fence, outcome, worker, started_at, ended_at, result, error, usage, provider) \
       VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
}

statement! {
    /// Outcome and worker of an attempt.
    SelectAttemptEnd { task_id: i64 => BigInt, fence: i64 => BigInt }
    "SELECT outcome, worker FROM attempt WHERE task_id = ? AND fence = ?"
}

statement! {
    /// The number of ended attempts of a task.
    CountAttempts { task_id: i64 => BigInt } "SELECT count(*) FROM attempt WHERE task_id = ?"
}

statement! {
    /// The error of an attempt, or its outcome.
    SelectAttemptError { task_id: i64 => BigInt, fence: i64 => BigInt }
    "SELECT coalesce(error, outcome) FROM attempt WHERE task_id = ? AND fence = ?"
}

statement! {
    /// The newest result of a task that was not accepted: the end of it, in characters.
    SelectNotAccepted { task_id: i64 => BigInt }
    "SELECT fence, coalesce(error, ''), coalesce(substr(result, -8192), ''), coalesce(length(result) > 8192, 0) \
     FROM attempt WHERE task_id = ? AND outcome = 'not_accepted' ORDER BY fence DESC LIMIT 1"
}

impl FromRow for NotAccepted {
    const COLUMNS: usize = 4;

    fn from_row<'a>(row: &impl Row<'a, Sqlite>) -> QueryResult<NotAccepted> {
        Ok(NotAccepted {
            fence: int(row, 0)?,
            reason: text(row, 1)?,
            answer: text(row, 2)?,
            cut: int(row, 3)? != 0,
        })
    }
}

/// The end of an attempt.
pub(crate) struct AttemptEnd {
    pub outcome: String,
    pub worker: Option<String>,
}

impl FromRow for AttemptEnd {
    const COLUMNS: usize = 2;

    fn from_row<'a>(row: &impl Row<'a, Sqlite>) -> QueryResult<AttemptEnd> {
        Ok(AttemptEnd {
            outcome: text(row, 0)?,
            worker: maybe_text(row, 1)?,
        })
    }
}
