//! Recorded usage, budgets and reservations.

use super::{ColumnValue, bind, column, insert, row, statement};
use crate::rules::budget::{Amount, BudgetAccount};
use diesel::deserialize;
use diesel::sqlite::SqliteValue;
use kirosu_protocol::{Budget, Fence, Scope};

/// The columns of [`UsageEntry`].
macro_rules! entry_columns {
    () => {
        "pool, provider, model, attempts, input, cache_read, cache_write, output, micros, estimated, unpriced"
    };
}

/// Usage to add to sums.
#[derive(Clone, Copy)]
pub(crate) struct UsageEntry<'a> {
    pub pool: &'a str,
    pub provider: &'a str,
    pub model: &'a str,
    pub attempts: i64,
    pub input: i64,
    pub cache_read: i64,
    pub cache_write: i64,
    pub output: i64,
    /// The cost, in millionths of a dollar.
    pub micros: i64,
    /// The part of the cost that was computed from configured prices.
    pub estimated: i64,
    /// Attempts with an unknown cost.
    pub unpriced: i64,
}

bind! {
    UsageEntry<'_> {
        pool, provider, model, attempts, input, cache_read, cache_write, output, micros, estimated, unpriced,
    }
}

/// The update of an existing row. A sum beyond 64 bits would become a float, which a STRICT table refuses, so the sums
/// saturate.
macro_rules! add_up {
    ($($column:literal)+) => {
        concat!("DO UPDATE SET attempts = attempts + excluded.attempts" $(
            , ", ", $column, " = min(9223372036854775807, ", $column, " + excluded.", $column, ")"
        )+)
    };
    () => {
        add_up!("input" "cache_read" "cache_write" "output" "micros" "estimated" "unpriced")
    };
}

statement! {
    /// Adds usage to its day.
    AddDay<'a> { day: i64, entry: UsageEntry<'a> }
    concat!("INSERT INTO usage_day (day, ", entry_columns!(), ") VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) \
             ON CONFLICT (day, pool, provider, model) ", add_up!())
}

statement! {
    /// Adds usage to its task.
    AddTask<'a> { task_id: i64, day: i64, entry: UsageEntry<'a> }
    concat!("INSERT INTO usage_task (task_id, day, ", entry_columns!(), ") VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) \
             ON CONFLICT (task_id, day, pool, provider, model) ", add_up!())
}

statement! {
    /// The usage of an ended attempt in a late ack; only the first one is stored.
    SetLateUsage<'a> { usage: &'a str, task_id: i64, fence: i64 }
    "UPDATE attempt SET usage = ? WHERE task_id = ? AND fence = ? \
     AND (usage IS NULL OR json_extract(usage, '$.partial'))"
}

statement! {
    /// The usage that was counted for an attempt without an ack.
    SelectPartialUsage { task_id: i64, fence: i64 }
    "SELECT usage FROM attempt WHERE task_id = ? AND fence = ? AND json_extract(usage, '$.partial')"
}

statement! {
    /// The newest report of progress of an attempt.
    SelectProgress { task_id: i64, fence: i64 }
    "SELECT data FROM progress WHERE task_id = ? AND fence = ?"
}

statement! {
    /// The usage of one day over all pools, or of one pool or provider; `*` means all.
    SelectDay<'a> { day: i64, pool: &'a str, same: &'a str, provider: &'a str, too: &'a str }
    "SELECT CAST(total(input) + total(cache_write) + total(output) AS INTEGER), CAST(total(micros) AS INTEGER) FROM usage_day \
     WHERE day = ? AND (? = '*' OR pool = ?) AND (? = '*' OR provider = ?)"
}

/// The columns of a budget, in the order in which `BudgetAccount` is read.
macro_rules! account {
    () => {
        "scope, tokens, micros, raise_tokens, raise_micros, per, since, used_tokens, used_micros, reserved_tokens, \
         reserved_micros"
    };
}

statement! {
    /// Writes a budget.
    PutAccount<'a> {
        scope: &'a str,
        limit: [Option<i64>; 2],
        raise: [Option<i64>; 2],
        per: i64,
        since: i64,
        used: [i64; 2],
        reserved: [i64; 2],
    } concat!("INSERT OR REPLACE INTO budget (", account!(), ") VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)")
}

statement! {
    /// A budget.
    SelectAccount<'a> { scope: &'a str } concat!("SELECT ", account!(), " FROM budget WHERE scope = ?")
}

statement! {
    /// Scopes of the budgets of hub, pools and providers.
    SelectShared {} "SELECT scope FROM budget WHERE scope NOT LIKE 'task:%' AND scope NOT LIKE 'tree:%'"
}

statement! {
    /// Whether a task or tree has a budget.
    SelectOfTasks {}
    "SELECT EXISTS (SELECT 1 FROM budget WHERE scope >= 'task:' AND scope < 'task;') \
     OR EXISTS (SELECT 1 FROM budget WHERE scope >= 'tree:' AND scope < 'tree;')"
}

statement! {
    /// Whether the usage of any task is recorded.
    SelectUsed {} "SELECT EXISTS (SELECT 1 FROM usage_task)"
}

statement! {
    /// Deletes a budget.
    DeleteAccount<'a> { scope: &'a str } "DELETE FROM budget WHERE scope = ?"
}

insert! {
    /// Adds a task to a tree.
    InsertMember { task_id: i64, tree_id: i64 } "INSERT OR IGNORE INTO member"
}

statement! {
    /// The trees with a budget to which a task belongs, or belonged before it was pruned.
    SelectTrees { task_id: i64 } "SELECT tree_id FROM member WHERE task_id = ? ORDER BY tree_id"
}

statement! {
    /// Whether a tree has other tasks that are not pruned.
    SelectLives { tree_id: i64, task_id: i64 }
    "SELECT EXISTS (SELECT 1 FROM member WHERE tree_id = ? AND pruned = 0 AND task_id <> ?)"
}

statement! {
    /// A member is pruned.
    PruneMember { task_id: i64, tree_id: i64 }
    "UPDATE member SET pruned = 1 WHERE task_id = ? AND tree_id = ?"
}

statement! {
    /// Deletes some of the pruned members of a tree.
    DeletePruned { tree_id: i64, same: i64, limit: i64 }
    "DELETE FROM member WHERE tree_id = ? AND task_id IN \
     (SELECT task_id FROM member WHERE tree_id = ? AND pruned = 1 LIMIT ?)"
}

statement! {
    /// Deletes a member.
    DeleteMember { task_id: i64, tree_id: i64 } "DELETE FROM member WHERE task_id = ? AND tree_id = ?"
}

statement! {
    /// Deletes the usage of a task; the sums of the days keep it.
    DeleteUsage { id: i64 } "DELETE FROM usage_task WHERE task_id = ?"
}

statement! {
    /// The reservation of an attempt.
    PutReservation<'a> {
        task_id: i64,
        fence: i64,
        amount: [i64; 2],
        reported: [i64; 2],
        counted: [i64; 2],
        scopes: &'a str,
    } "INSERT OR REPLACE INTO reservation (task_id, fence, tokens, micros, told_tokens, told_micros, counted_tokens, \
       counted_micros, scopes) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
}

statement! {
    /// Deletes a reservation.
    DeleteReservation { task_id: i64 } "DELETE FROM reservation WHERE task_id = ?"
}

statement! {
    /// All reservations.
    SelectReservations {}
    "SELECT task_id, fence, tokens, micros, told_tokens, told_micros, counted_tokens, counted_micros, scopes FROM reservation"
}

row! {
    /// The reservation of an attempt.
    #[derive(Clone, Debug, Default, PartialEq)]
    pub(crate) struct Reservation {
        pub fence: Fence,
        /// The reserved amount.
        pub amount: Amount,
        /// The usage that the run has reported.
        pub reported: Amount,
        /// The usage that was counted after an end without an ack.
        pub counted: Amount,
        /// The budgets of which it is reserved.
        pub scopes: Vec<Scope>,
    }
}

row! { BudgetAccount { limit, raise, per, since, used, reserved } }
row! { Budget { tokens, micros } }
row! { Amount { tokens, micros } }

column! { Vec<Scope>: String => |text| Ok(serde_json::from_str(&text)?) }

impl Amount {
    /// The stored form: tokens and millionths of a dollar.
    pub fn stored(self) -> [i64; 2] {
        [self.tokens, self.micros].map(number)
    }
}

/// The stored form of a limit.
pub(crate) fn stored_limit(limit: Budget) -> [Option<i64>; 2] {
    [limit.tokens, limit.micros].map(|amount| amount.map(number))
}

/// The stored form of an amount; one that does not fit is stored as the maximum.
pub(crate) fn number(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
