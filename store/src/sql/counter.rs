//! Lanes and counters.

use super::{FromRow, int, statement, text};
use diesel::QueryResult;
use diesel::row::Row;
use diesel::sql_types::{BigInt, Text};
use diesel::sqlite::Sqlite;

statement! {
    /// A new lane.
    InsertLane<'a> { id: i64 => BigInt, queue: &'a str => Text, task_type: &'a str => Text }
    "INSERT INTO lane (id, queue, type) VALUES (?, ?, ?)"
}

statement! {
    /// A lane's counters.
    UpdateLane {
        queued: i64 => BigInt,
        blocked: i64 => BigInt,
        scheduled: i64 => BigInt,
        awaiting_approval: i64 => BigInt,
        leased: i64 => BigInt,
        done: i64 => BigInt,
        failed: i64 => BigInt,
        cancelled: i64 => BigInt,
        id: i64 => BigInt,
    } "UPDATE lane SET queued = ?, blocked = ?, scheduled = ?, awaiting_approval = ?, leased = ?, done = ?, failed = ?, \
       cancelled = ? WHERE id = ?"
}

statement! {
    /// Every lane.
    SelectLanes {}
    "SELECT id, queue, type, queued, blocked, scheduled, awaiting_approval, leased, done, failed, cancelled FROM lane \
     ORDER BY id"
}

/// A lane as the file keeps it.
pub(crate) struct LaneRow {
    pub id: i64,
    pub queue: String,
    pub task_type: String,
    pub counts: [i64; 8],
}

impl FromRow for LaneRow {
    fn from_row<'a>(row: &impl Row<'a, Sqlite>) -> QueryResult<LaneRow> {
        let mut counts = [0; 8];
        for (offset, count) in counts.iter_mut().enumerate() {
            *count = int(row, 3 + offset)?;
        }
        Ok(LaneRow {
            id: int(row, 0)?,
            queue: text(row, 1)?,
            task_type: text(row, 2)?,
            counts,
        })
    }
}

statement! {
    /// A counter's value.
    PutCounter<'a> { name: &'a str => Text, value: i64 => BigInt }
    "INSERT OR REPLACE INTO counter (name, value) VALUES (?, ?)"
}

statement! {
    /// Every counter.
    SelectCounters {} "SELECT name, value FROM counter"
}

impl FromRow for (String, i64) {
    fn from_row<'a>(row: &impl Row<'a, Sqlite>) -> QueryResult<(String, i64)> {
        Ok((text(row, 0)?, int(row, 1)?))
    }
}

statement! {
    /// How many tasks were done in a minute.
    PutMinute { minute: i64 => BigInt, done: i64 => BigInt }
    "INSERT OR REPLACE INTO done_minute (minute, done) VALUES (?, ?)"
}

statement! {
    /// Minutes that no longer matter.
    DeleteMinutes { before: i64 => BigInt } "DELETE FROM done_minute WHERE minute < ?"
}

statement! {
    /// The minutes from one on.
    SelectMinutes { from: i64 => BigInt } "SELECT minute, done FROM done_minute WHERE minute >= ?"
}

impl FromRow for (i64, i64) {
    fn from_row<'a>(row: &impl Row<'a, Sqlite>) -> QueryResult<(i64, i64)> {
        Ok((int(row, 0)?, int(row, 1)?))
    }
}

impl FromRow for String {
    fn from_row<'a>(row: &impl Row<'a, Sqlite>) -> QueryResult<String> {
        text(row, 0)
    }
}
