//! Permission requests. Each query for the requests of one task names its index: SQLite has no statistics of this table
//! and might read the open requests of all tasks instead.

use super::{FromRow, int, maybe_int, maybe_text, statement, text};
use diesel::QueryResult;
use diesel::row::Row;
use diesel::sql_types::{BigInt, Nullable, Text};
use diesel::sqlite::Sqlite;
use kirosu_protocol::PermissionState;
use kirosu_protocol::approval::PermissionOption;

/// The columns of a request, in the order of [`Permission`].
macro_rules! columns {
    () => {
        "SELECT id, task_id, fence, tool, kind, title, args, args_hash, pool, state, used, asked_at, deadline_at, \
         decided_at, by, reason, rule, options, chosen FROM approval "
    };
}

statement! {
    /// A new request; the answer is its id.
    InsertApproval<'a> {
        task_id: i64 => BigInt,
        fence: i64 => BigInt,
        call: &'a str => Text,
        tool: &'a str => Text,
        kind: Option<&'a str> => Nullable<Text>,
        title: &'a str => Text,
        args: Option<&'a str> => Nullable<Text>,
        args_hash: &'a str => Text,
        pool: Option<&'a str> => Nullable<Text>,
        state: i64 => BigInt,
        used: i64 => BigInt,
        asked_at: i64 => BigInt,
        deadline_at: Option<i64> => Nullable<BigInt>,
        decided_at: Option<i64> => Nullable<BigInt>,
        rule: Option<&'a str> => Nullable<Text>,
        options: Option<&'a str> => Nullable<Text>,
    } "INSERT INTO approval (task_id, fence, call, tool, kind, title, args, args_hash, pool, state, used, asked_at, \
       deadline_at, decided_at, rule, options) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING id"
}

statement! {
    /// One request.
    SelectApproval { id: i64 => BigInt } concat!(columns!(), "WHERE id = ?")
}

statement! {
    /// The request of an attempt under a call name.
    SelectCall<'a> { task_id: i64 => BigInt, fence: i64 => BigInt, call: &'a str => Text }
    concat!(columns!(), "WHERE task_id = ? AND fence = ? AND call = ?")
}

statement! {
    /// The oldest request with the same hash that belongs to no waiting agent and whose decision was not delivered. One
    /// that has expired, or is about to, does not count: another attempt requests again.
    SelectLeftBehind<'a> { task_id: i64 => BigInt, args_hash: &'a str => Text, fence: i64 => BigInt, now: i64 => BigInt }
    concat!(columns!(), "INDEXED BY approval_same WHERE task_id = ? AND args_hash = ? AND state NOT IN (3, 4) AND used = 0 AND (fence < ? OR loose = 1) \
            AND NOT (state = 0 AND deadline_at IS NOT NULL AND deadline_at <= ?) ORDER BY id LIMIT 1")
}

statement! {
    /// The newest later request with the same hash.
    SelectReplacement<'a> { task_id: i64 => BigInt, args_hash: &'a str => Text, id: i64 => BigInt }
    "SELECT id FROM approval INDEXED BY approval_same WHERE task_id = ? AND args_hash = ? AND id > ? ORDER BY id DESC LIMIT 1"
}

statement! {
    /// The open requests of a task.
    SelectOpen { task_id: i64 => BigInt } concat!(columns!(), "INDEXED BY approval_task WHERE task_id = ? AND state = 0 ORDER BY id")
}

statement! {
    /// The number of open requests of a task.
    CountOpen { task_id: i64 => BigInt } "SELECT count(*) FROM approval INDEXED BY approval_task WHERE task_id = ? AND state = 0"
}

statement! {
    /// Binds a request to another attempt, with that attempt's deadline.
    Rebind<'a> { fence: i64 => BigInt, call: &'a str => Text, deadline_at: Option<i64> => Nullable<BigInt>, id: i64 => BigInt }
    "UPDATE approval SET fence = ?, call = ?, deadline_at = ?, loose = 0 WHERE id = ?"
}

statement! {
    /// The agent has withdrawn the request.
    DetachPermission { id: i64 => BigInt } "UPDATE approval SET loose = 1 WHERE id = ?"
}

statement! {
    /// The decision was delivered to an agent.
    MarkDelivered { id: i64 => BigInt } "UPDATE approval SET used = 1 WHERE id = ?"
}

statement! {
    /// Ends an open request.
    EndApproval<'a> {
        state: i64 => BigInt,
        decided_at: i64 => BigInt,
        by: Option<&'a str> => Nullable<Text>,
        reason: Option<&'a str> => Nullable<Text>,
        chosen: Option<&'a str> => Nullable<Text>,
        id: i64 => BigInt,
    } "UPDATE approval SET state = ?, decided_at = ?, by = ?, reason = ?, chosen = ? WHERE id = ? AND state = 0"
}

statement! {
    /// Marks decisions that were not delivered as used.
    SpendApprovals { task_id: i64 => BigInt } "UPDATE approval INDEXED BY approval_unused SET used = 1 WHERE task_id = ? AND used = 0"
}

statement! {
    /// Open requests that have passed their deadline.
    SelectOverdue { until: i64 => BigInt, limit: i64 => BigInt }
    concat!(columns!(), "WHERE state = 0 AND deadline_at IS NOT NULL AND deadline_at <= ? ORDER BY deadline_at LIMIT ?")
}

statement! {
    /// The earliest deadline of an open question.
    SelectNextDeadline {}
    "SELECT deadline_at FROM approval WHERE state = 0 AND deadline_at IS NOT NULL ORDER BY deadline_at LIMIT 1"
}

statement! {
    /// Deletes the requests of a task.
    DeleteApprovals { id: i64 => BigInt } "DELETE FROM approval WHERE task_id = ?"
}

/// The stored number of a state.
pub(crate) fn state_number(state: PermissionState) -> i64 {
    match state {
        PermissionState::Open => 0,
        PermissionState::Approved => 1,
        PermissionState::Rejected => 2,
        PermissionState::Void => 3,
        PermissionState::Expired => 4,
    }
}

/// A stored request. Times are Unix milliseconds.
#[derive(Clone, Debug)]
pub(crate) struct Permission {
    pub id: i64,
    pub task_id: i64,
    pub fence: i64,
    pub tool: String,
    pub kind: Option<String>,
    pub title: String,
    pub args: Option<String>,
    pub args_hash: String,
    pub pool: Option<String>,
    pub state: PermissionState,
    pub used: bool,
    pub asked_at: i64,
    pub deadline_at: Option<i64>,
    pub decided_at: Option<i64>,
    pub by: Option<String>,
    pub reason: Option<String>,
    pub rule: Option<String>,
    /// The options of which one must be chosen; empty for a request that is decided by yes or no.
    pub options: Vec<PermissionOption>,
    /// The id of the chosen option.
    pub chosen: Option<String>,
}

/// The statement for requests, up to its WHERE.
pub(crate) const SELECT: &str = columns!();

impl FromRow for Permission {
    const COLUMNS: usize = 19;

    fn from_row<'a>(row: &impl Row<'a, Sqlite>) -> QueryResult<Permission> {
        Ok(Permission {
            id: int(row, 0)?,
            task_id: int(row, 1)?,
            fence: int(row, 2)?,
            tool: text(row, 3)?,
            kind: maybe_text(row, 4)?,
            title: text(row, 5)?,
            args: maybe_text(row, 6)?,
            args_hash: text(row, 7)?,
            pool: maybe_text(row, 8)?,
            state: state_of(int(row, 9)?)?,
            used: int(row, 10)? != 0,
            asked_at: int(row, 11)?,
            deadline_at: maybe_int(row, 12)?,
            decided_at: maybe_int(row, 13)?,
            by: maybe_text(row, 14)?,
            reason: maybe_text(row, 15)?,
            rule: maybe_text(row, 16)?,
            options: options_of(maybe_text(row, 17)?)?,
            chosen: maybe_text(row, 18)?,
        })
    }
}

fn options_of(text: Option<String>) -> QueryResult<Vec<PermissionOption>> {
    let Some(text) = text else {
        return Ok(Vec::new());
    };
    serde_json::from_str(&text)
        .map_err(|error| diesel::result::Error::DeserializationError(error.into()))
}

fn state_of(number: i64) -> QueryResult<PermissionState> {
    let known = PermissionState::ALL.into_iter();
    known
        .into_iter()
        .find(|state| state_number(*state) == number)
        .ok_or_else(|| {
            let message = format!("unknown state {number} of a tool question");
            diesel::result::Error::DeserializationError(message.into())
        })
}
