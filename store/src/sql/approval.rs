//! Permission requests. Each query for the requests of one task names its index: SQLite has no statistics of this table
//! and might read the open requests of all tasks instead.

use super::{ColumnValue, column, insert, row, statement};
use diesel::deserialize;
use diesel::sqlite::SqliteValue;
use kirosu_protocol::PermissionState;
use kirosu_protocol::approval::PermissionOption;

/// The columns of a request, in the order of [`Permission`].
macro_rules! columns {
    () => {
        "SELECT id, task_id, fence, tool, kind, title, args, args_hash, pool, state, used, asked_at, deadline_at, \
         decided_at, by, reason, rule, options, chosen FROM approval "
    };
}

insert! {
    /// A new request; the answer is its id.
    InsertApproval<'a> {
        task_id: i64,
        fence: i64,
        call: &'a str,
        tool: &'a str,
        kind: Option<&'a str>,
        title: &'a str,
        args: Option<&'a str>,
        args_hash: &'a str,
        pool: Option<&'a str>,
        state: i64,
        used: i64,
        asked_at: i64,
        deadline_at: Option<i64>,
        decided_at: Option<i64>,
        rule: Option<&'a str>,
        options: Option<&'a str>,
    } "INSERT INTO approval" " RETURNING id"
}

statement! {
    /// One request.
    SelectApproval { id: i64 } concat!(columns!(), "WHERE id = ?")
}

statement! {
    /// The request of an attempt under a call name.
    SelectCall<'a> { task_id: i64, fence: i64, call: &'a str }
    concat!(columns!(), "WHERE task_id = ? AND fence = ? AND call = ?")
}

statement! {
    /// The oldest request with the same hash that belongs to no waiting agent and whose decision was not delivered. One
    /// that has expired, or is about to, does not count: another attempt requests again.
    SelectLeftBehind<'a> { task_id: i64, args_hash: &'a str, fence: i64, now: i64 }
    concat!(columns!(), "INDEXED BY approval_same WHERE task_id = ? AND args_hash = ? AND state NOT IN (3, 4) AND used = 0 AND (fence < ? OR loose = 1) \
            AND NOT (state = 0 AND deadline_at IS NOT NULL AND deadline_at <= ?) ORDER BY id LIMIT 1")
}

statement! {
    /// The newest later request with the same hash.
    SelectReplacement<'a> { task_id: i64, args_hash: &'a str, id: i64 }
    "SELECT id FROM approval INDEXED BY approval_same WHERE task_id = ? AND args_hash = ? AND id > ? ORDER BY id DESC LIMIT 1"
}

statement! {
    /// The open requests of a task.
    SelectOpen { task_id: i64 } concat!(columns!(), "INDEXED BY approval_task WHERE task_id = ? AND state = 0 ORDER BY id")
}

statement! {
    /// The number of open requests of a task.
    CountOpen { task_id: i64 } "SELECT count(*) FROM approval INDEXED BY approval_task WHERE task_id = ? AND state = 0"
}

statement! {
    /// Binds a request to another attempt, with that attempt's deadline.
    Rebind<'a> { fence: i64, call: &'a str, deadline_at: Option<i64>, id: i64 }
    "UPDATE approval SET fence = ?, call = ?, deadline_at = ?, loose = 0 WHERE id = ?"
}

statement! {
    /// The agent has withdrawn the request.
    DetachPermission { id: i64 } "UPDATE approval SET loose = 1 WHERE id = ?"
}

statement! {
    /// The decision was delivered to an agent.
    MarkDelivered { id: i64 } "UPDATE approval SET used = 1 WHERE id = ?"
}

statement! {
    /// Ends an open request.
    EndApproval<'a> {
        state: i64,
        decided_at: i64,
        by: Option<&'a str>,
        reason: Option<&'a str>,
        chosen: Option<&'a str>,
        id: i64,
    } "UPDATE approval SET state = ?, decided_at = ?, by = ?, reason = ?, chosen = ? WHERE id = ? AND state = 0"
}

statement! {
    /// Marks decisions that were not delivered as used.
    SpendApprovals { task_id: i64 } "UPDATE approval INDEXED BY approval_unused SET used = 1 WHERE task_id = ? AND used = 0"
}

statement! {
    /// Open requests that have passed their deadline.
    SelectOverdue { until: i64, limit: i64 }
    concat!(columns!(), "WHERE state = 0 AND deadline_at IS NOT NULL AND deadline_at <= ? ORDER BY deadline_at LIMIT ?")
}

statement! {
    /// The earliest deadline of an open question.
    SelectNextDeadline {}
    "SELECT deadline_at FROM approval WHERE state = 0 AND deadline_at IS NOT NULL ORDER BY deadline_at LIMIT 1"
}

statement! {
    /// Deletes the requests of a task.
    DeleteApprovals { id: i64 } "DELETE FROM approval WHERE task_id = ?"
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

row! {
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
}

/// The statement for requests, up to its WHERE.
pub(crate) const SELECT: &str = columns!();

column! {
    PermissionState: i64 => |number| {
        let known = PermissionState::ALL.into_iter().find(|state| state_number(*state) == number);
        Ok(known.ok_or_else(|| format!("unknown state {number} of a permission request"))?)
    },
    // JSON; null means none.
    Vec<PermissionOption>: Option<String> => |text| {
        Ok(text.map_or_else(|| Ok(Vec::new()), |text| serde_json::from_str(&text))?)
    },
}
