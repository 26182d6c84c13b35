//! The hot row and its input.

use super::statement;
use diesel::sql_types::{BigInt, Nullable, Text};

/// The hot row's columns, in the order `TaskRow` reads them.
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
    /// A step of a task's life, guarded by the state and fence it was decided on.
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
    /// One hot row.
    SelectTask { id: i64 => BigInt } concat!("SELECT ", hot_columns!(), " FROM task WHERE id = ?")
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
