//! The row of a task and its input.

use super::{ColumnValue, bind, column, insert, row, statement};
use crate::row::{Flags, InputOptions, LongInput, TaskInput, TaskRow};
use diesel::deserialize;
use diesel::sqlite::SqliteValue;
use kirosu_protocol::Status;

/// The columns of a row, in the order in which `TaskRow` reads them.
macro_rules! hot_columns {
    () => {
        "id, state, lane, priority, fence, attempts, max_attempts, run_at, lease_until, lease_ms, leased_at, session, \
         worker, leased_by, created_at, updated_at, finished_at, flags, blocked_by"
    };
}
pub(crate) use hot_columns;

/// The values of the columns that change.
pub(crate) struct ChangingColumns<'a> {
    pub state: i64,
    pub fence: i64,
    pub attempts: i64,
    pub run_at: Option<i64>,
    pub lease_until: Option<i64>,
    pub lease_ms: Option<i64>,
    pub leased_at: Option<i64>,
    pub session: Option<&'a str>,
    pub worker: Option<&'a str>,
    pub leased_by: Option<&'a str>,
    pub updated_at: i64,
    pub finished_at: Option<i64>,
    pub flags: i64,
    pub blocked_by: i64,
}

bind! {
    ChangingColumns<'_> {
        state, fence, attempts, run_at, lease_until, lease_ms, leased_at, session, worker, leased_by, updated_at,
        finished_at, flags, blocked_by,
    }
}

statement! {
    /// A new task.
    InsertTask<'a> {
        id: i64,
        lane: i64,
        priority: i64,
        max_attempts: Option<i64>,
        created_at: i64,
        changing: ChangingColumns<'a>,
    } "INSERT INTO task (id, lane, priority, max_attempts, created_at, state, fence, attempts, run_at, lease_until, \
       lease_ms, leased_at, session, worker, leased_by, updated_at, finished_at, flags, blocked_by) \
       VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
}

statement! {
    /// A changed row, guarded by the state and fence on which the change was decided.
    UpdateTask<'a> { changing: ChangingColumns<'a>, id: i64, old_state: i64, old_fence: i64 }
    "UPDATE task SET state = ?, fence = ?, attempts = ?, run_at = ?, lease_until = ?, lease_ms = ?, leased_at = ?, \
     session = ?, worker = ?, leased_by = ?, updated_at = ?, finished_at = ?, flags = ?, blocked_by = ? \
     WHERE id = ? AND state = ? AND fence = ?"
}

statement! {
    /// Flags that are set in many rows; the ids are a JSON array.
    SetFlags<'a> { flags: i64, ids: &'a str }
    "UPDATE task SET flags = flags | ? WHERE id IN (SELECT value FROM json_each(?))"
}

statement! {
    /// One row.
    SelectTask { id: i64 } concat!("SELECT ", hot_columns!(), " FROM task WHERE id = ?")
}

statement! {
    /// Rows of tasks; the ids are a JSON array.
    SelectTasks<'a> { ids: &'a str }
    concat!("SELECT ", hot_columns!(), " FROM task WHERE id IN (SELECT value FROM json_each(?))")
}

statement! {
    /// The best ready tasks of a lane.
    SelectReady { lane: i64, limit: i64 }
    concat!("SELECT ", hot_columns!(), " FROM task WHERE state = 0 AND lane = ? ORDER BY priority DESC, id LIMIT ?")
}

statement! {
    /// The next queued tasks of a lane that a step of a run has made. `flag`: that of such tasks.
    SelectReadyInPlan { lane: i64, flag: i64, limit: i64 }
    concat!("SELECT ", hot_columns!(), " FROM task WHERE state = 0 AND lane = ? AND flags & ? <> 0 ORDER BY priority DESC, id LIMIT ?")
}

statement! {
    /// The highest id in use.
    SelectLastId {} "SELECT coalesce(max(id), 0) FROM task"
}

insert! {
    /// A new task's input.
    InsertInput<'a> {
        task_id: i64,
        prompt: &'a str,
        system_prompt: Option<&'a str>,
        options: Option<&'a str>,
        idempotency_key: Option<&'a str>,
        text_id: Option<i64>,
    } "INSERT INTO task_input"
}

statement! {
    /// A task's input, without the pieces of its texts.
    SelectInput { id: i64 }
    "SELECT prompt, system_prompt, options, idempotency_key, text_id FROM task_input WHERE task_id = ?"
}

statement! {
    /// A task's options.
    SelectOptions { id: i64 } "SELECT options FROM task_input WHERE task_id = ? AND options IS NOT NULL"
}

column! {
    Status: i64 => |number| {
        let known = usize::try_from(number).ok().and_then(|n| Status::ALL.get(n));
        Ok(*known.ok_or_else(|| format!("unknown task state {number}"))?)
    },
    Flags: i64 => |bits| Ok(Flags(bits)),
    // JSON; null means the defaults.
    InputOptions: Option<String> => |text| Ok(InputOptions::parse(text.as_deref())?),
}

row! {
    TaskRow {
        id, state, lane, priority, fence, attempts, max_attempts, run_at, lease_until, lease_ms, leased_at, session,
        worker, leased_by, created_at, updated_at, finished_at, flags, blocked_by,
    }
}

row! { TaskInput { prompt, system_prompt, options, key, long = read_long } }

fn read_long(text: Option<i64>) -> Option<LongInput> {
    text.map(|text| LongInput { text, whole: None })
}
