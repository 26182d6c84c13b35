//! Schedules.

use super::{insert, row, statement};
use crate::schedules::{ScheduleEntry, StoredSchedule};

/// The columns of a [`StoredSchedule`].
macro_rules! schedule_columns {
    () => {
        "id, name, spec, task, accept, missed, overlap, jitter_ms, paused, next_at, last_at, last_task, fired, skipped, \
         error, created_at"
    };
}

row! {
    StoredSchedule {
        id, name, spec, task, accept, missed, overlap, jitter_ms, paused, next_at, last_at, last_task, fired, skipped, error,
        created_at,
    }
}

row! {
    ScheduleEntry {
        name, spec, missed, overlap, jitter_ms, paused, queue, task_type, prompt, due_at, last_at, last_task, last_status,
        fired, skipped, error, created_at,
    }
}

insert! {
    /// A schedule as it is now; one of the same name is replaced.
    PutSchedule<'a> {
        name: &'a str,
        spec: &'a str,
        task: &'a str,
        accept: Option<&'a str>,
        queue: &'a str,
        task_type: &'a str,
        prompt: &'a str,
        missed: &'a str,
        overlap: &'a str,
        jitter_ms: i64,
        paused: i64,
        next_at: Option<i64>,
        due_at: Option<i64>,
        last_at: Option<i64>,
        last_task: Option<i64>,
        fired: i64,
        skipped: i64,
        error: Option<&'a str>,
        created_at: i64,
    } "INSERT OR REPLACE INTO schedule"
}

statement! {
    /// The state of a schedule, which each firing changes.
    SetSchedule<'a> {
        paused: i64,
        next_at: Option<i64>,
        due_at: Option<i64>,
        last_at: Option<i64>,
        last_task: Option<i64>,
        fired: i64,
        skipped: i64,
        error: Option<&'a str>,
        id: i64,
    } "UPDATE schedule SET paused = ?, next_at = ?, due_at = ?, last_at = ?, last_task = ?, fired = ?, skipped = ?, error = ? \
       WHERE id = ?"
}

statement! {
    /// Removes a schedule.
    DeleteSchedule { id: i64 } "DELETE FROM schedule WHERE id = ?"
}

statement! {
    /// A schedule by its name.
    SelectSchedule<'a> { name: &'a str }
    concat!("SELECT ", schedule_columns!(), " FROM schedule WHERE name = ?")
}

statement! {
    /// A schedule by its id.
    SelectScheduleById { id: i64 }
    concat!("SELECT ", schedule_columns!(), " FROM schedule WHERE id = ?")
}

statement! {
    /// The schedules that are due.
    SelectDueSchedules { until: i64, limit: i64 }
    "SELECT id FROM schedule WHERE paused = 0 AND due_at IS NOT NULL AND due_at <= ? ORDER BY due_at, id LIMIT ?"
}

statement! {
    /// The earliest time at which a schedule is due.
    SelectNextSchedule {}
    "SELECT due_at FROM schedule WHERE paused = 0 AND due_at IS NOT NULL ORDER BY due_at LIMIT 1"
}

statement! {
    /// The number of schedules.
    CountSchedules {} "SELECT count(*) FROM schedule"
}

statement! {
    /// All schedules, by name, with the states of their newest tasks.
    SelectSchedules {}
    "SELECT s.name, s.spec, s.missed, s.overlap, s.jitter_ms, s.paused, s.queue, s.task_type, s.prompt, s.due_at, s.last_at, \
            s.last_task, t.state, s.fired, s.skipped, s.error, s.created_at \
     FROM schedule s LEFT JOIN task t ON t.id = s.last_task ORDER BY s.name"
}
