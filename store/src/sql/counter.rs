//! Lanes and counters.

use super::{FromRow, column, int, statement, text};
use crate::lanes::IdleSums;
use diesel::QueryResult;
use diesel::row::Row;
use diesel::sql_types::{BigInt, Double, Text};
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
        completion_ms: i64 => BigInt,
        minute: i64 => BigInt,
        minute_done: i64 => BigInt,
        newest_done: i64 => BigInt,
        id: i64 => BigInt,
    } "UPDATE lane SET queued = ?, blocked = ?, scheduled = ?, awaiting_approval = ?, leased = ?, done = ?, failed = ?, \
       cancelled = ?, completion_ms = ?, minute = ?, minute_done = ?, newest_done = ? WHERE id = ?"
}

/// A lane's columns, in the order `LaneRow` reads them.
macro_rules! lane_columns {
    () => {
        "id, queue, type, queued, blocked, scheduled, awaiting_approval, leased, done, failed, cancelled, \
         completion_ms, minute, minute_done, newest_done"
    };
}

/// Whether a lane has unfinished tasks.
macro_rules! live {
    () => {
        "queued + blocked + scheduled + awaiting_approval + leased <> 0"
    };
}

statement! {
    /// Every lane.
    SelectLanes {} concat!("SELECT ", lane_columns!(), " FROM lane ORDER BY id")
}

statement! {
    /// The lanes with unfinished tasks.
    SelectLiveLanes {} concat!("SELECT ", lane_columns!(), " FROM lane WHERE ", live!(), " ORDER BY id")
}

statement! {
    /// The sums of the lanes without unfinished tasks.
    SelectIdleSums {}
    concat!("SELECT count(*), total(done), total(failed), total(cancelled), total(completion_ms) FROM lane WHERE NOT (",
            live!(), ")")
}

statement! {
    /// The number of lanes, and the highest lane id.
    SelectLaneNumbers {} "SELECT count(*), coalesce(max(id), 0) FROM lane"
}

statement! {
    /// A lane by its id.
    SelectLane { id: i64 => BigInt } concat!("SELECT ", lane_columns!(), " FROM lane WHERE id = ?")
}

statement! {
    /// A lane by its name.
    SelectLaneOf<'a> { queue: &'a str => Text, task_type: &'a str => Text }
    concat!("SELECT ", lane_columns!(), " FROM lane WHERE queue = ? AND type = ?")
}

statement! {
    /// A lane without tasks.
    DeleteLane { id: i64 => BigInt } "DELETE FROM lane WHERE id = ?"
}

statement! {
    /// Tasks done in the newest minute of each lane, added up per minute.
    SelectNewestMinutes {} "SELECT minute, sum(minute_done) FROM lane GROUP BY minute"
}

impl FromRow for IdleSums {
    const COLUMNS: usize = 5;

    fn from_row<'a>(row: &impl Row<'a, Sqlite>) -> QueryResult<IdleSums> {
        let sum = |at| column::<Double, f64>(row, at).map(|sum| sum as i64);
        Ok(IdleSums {
            lanes: int(row, 0)?,
            counts: [0, 0, 0, 0, 0, sum(1)?, sum(2)?, sum(3)?],
            completion_ms: sum(4)?,
        })
    }
}

statement! {
    /// The highest id of a task that is or was done.
    SelectNewestDone {} "SELECT coalesce(max(newest_done), 0) FROM lane"
}

/// A stored lane.
#[derive(Debug)]
pub(crate) struct LaneRow {
    pub id: i64,
    pub queue: String,
    pub task_type: String,
    pub counts: [i64; 8],
    pub done: FinishedCounts,
}

/// Sums over the done tasks of a lane.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct FinishedCounts {
    /// Sum of (finished - enqueued) over all of them, also pruned ones, in milliseconds.
    pub completion_ms: i64,
    /// The newest Unix minute in which one was done, and the number done in it.
    pub minute: i64,
    pub minute_done: i64,
    /// The highest id of a task that is or was done.
    pub newest: i64,
}

impl FromRow for LaneRow {
    const COLUMNS: usize = 15;

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
            done: FinishedCounts {
                completion_ms: int(row, 11)?,
                minute: int(row, 12)?,
                minute_done: int(row, 13)?,
                newest: int(row, 14)?,
            },
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
    const COLUMNS: usize = 2;

    fn from_row<'a>(row: &impl Row<'a, Sqlite>) -> QueryResult<(String, i64)> {
        Ok((text(row, 0)?, int(row, 1)?))
    }
}

statement! {
    /// Adds to the tasks that were done in a minute.
    AddMinute { minute: i64 => BigInt, done: i64 => BigInt }
    "INSERT INTO done_minute (minute, done) VALUES (?, ?) ON CONFLICT (minute) DO UPDATE SET done = done + excluded.done"
}

statement! {
    /// Minutes before the last hour.
    DeleteMinutes { before: i64 => BigInt } "DELETE FROM done_minute WHERE minute < ?"
}

statement! {
    /// The minutes from one on.
    SelectMinutes { from: i64 => BigInt } "SELECT minute, done FROM done_minute WHERE minute >= ?"
}

impl FromRow for (i64, i64) {
    const COLUMNS: usize = 2;

    fn from_row<'a>(row: &impl Row<'a, Sqlite>) -> QueryResult<(i64, i64)> {
        Ok((int(row, 0)?, int(row, 1)?))
    }
}

impl FromRow for String {
    const COLUMNS: usize = 1;

    fn from_row<'a>(row: &impl Row<'a, Sqlite>) -> QueryResult<String> {
        text(row, 0)
    }
}
