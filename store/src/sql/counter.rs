//! Lanes and counters.

use super::{bind, insert, row, statement};
use crate::lanes::IdleSums;

statement! {
    /// A new lane.
    InsertLane<'a> { id: i64, queue: &'a str, task_type: &'a str }
    "INSERT INTO lane (id, queue, type) VALUES (?, ?, ?)"
}

/// A lane's counters: `counts` and `done` of `LaneRow`.
macro_rules! counter_columns {
    () => {
        "queued, blocked, scheduled, awaiting_approval, leased, done, failed, cancelled, completion_ms, minute, \
         minute_done, newest_done"
    };
}

/// A lane's columns, in the order `LaneRow` reads them.
macro_rules! lane_columns {
    () => {
        concat!("id, queue, type, ", counter_columns!())
    };
}

statement! {
    /// A lane's counters.
    UpdateLane { counts: [i64; 8], done: FinishedCounts, id: i64 }
    concat!("UPDATE lane SET (", counter_columns!(), ") = (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) WHERE id = ?")
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
    concat!("SELECT count(*), 0, 0, 0, 0, 0, CAST(total(done) AS INTEGER), CAST(total(failed) AS INTEGER), \
             CAST(total(cancelled) AS INTEGER), CAST(total(completion_ms) AS INTEGER) FROM lane WHERE NOT (", live!(), ")")
}

statement! {
    /// The number of lanes, and the highest lane id.
    SelectLaneNumbers {} "SELECT count(*), coalesce(max(id), 0) FROM lane"
}

statement! {
    /// A lane by its id.
    SelectLane { id: i64 } concat!("SELECT ", lane_columns!(), " FROM lane WHERE id = ?")
}

statement! {
    /// A lane by its name.
    SelectLaneOf<'a> { queue: &'a str, task_type: &'a str }
    concat!("SELECT ", lane_columns!(), " FROM lane WHERE queue = ? AND type = ?")
}

statement! {
    /// A lane without tasks.
    DeleteLane { id: i64 } "DELETE FROM lane WHERE id = ?"
}

statement! {
    /// Tasks done in the newest minute of each lane, added up per minute.
    SelectNewestMinutes {} "SELECT minute, sum(minute_done) FROM lane GROUP BY minute"
}

row! { IdleSums { lanes, counts, completion_ms } }

statement! {
    /// The highest id of a task that is or was done.
    SelectNewestDone {} "SELECT coalesce(max(newest_done), 0) FROM lane"
}

row! {
    /// A stored lane.
    #[derive(Debug)]
    pub(crate) struct LaneRow {
        pub id: i64,
        pub queue: String,
        pub task_type: String,
        pub counts: [i64; 8],
        pub done: FinishedCounts,
    }
}

row! {
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
}
bind! { FinishedCounts { completion_ms, minute, minute_done, newest } }

insert! {
    /// A counter's value.
    PutCounter<'a> { name: &'a str, value: i64 } "INSERT OR REPLACE INTO counter"
}

statement! {
    /// Every counter.
    SelectCounters {} "SELECT name, value FROM counter"
}

statement! {
    /// Adds to the tasks that were done in a minute.
    AddMinute { minute: i64, done: i64 }
    "INSERT INTO done_minute (minute, done) VALUES (?, ?) ON CONFLICT (minute) DO UPDATE SET done = done + excluded.done"
}

statement! {
    /// Minutes before the last hour.
    DeleteMinutes { before: i64 } "DELETE FROM done_minute WHERE minute < ?"
}

statement! {
    /// The minutes from one on.
    SelectMinutes { from: i64 } "SELECT minute, done FROM done_minute WHERE minute >= ?"
}
