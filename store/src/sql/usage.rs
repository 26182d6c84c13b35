//! Recorded usage, budgets and reservations.

use super::{FromRow, int, maybe_int, statement, text};
use crate::rules::budget::{Amount, BudgetAccount};
use diesel::QueryResult;
use diesel::row::Row;
use diesel::sql_types::{BigInt, Nullable, Text};
use diesel::sqlite::Sqlite;
use kirosu_protocol::{Budget, Fence, Scope, TaskId};

/// The sums of usage, in the order in which `UsageSum` reads them.
macro_rules! sums {
    () => {
        "attempts, input, cache_read, cache_write, output, micros, estimated, unpriced"
    };
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
    AddDay<'a> {
        day: i64 => BigInt,
        pool: &'a str => Text,
        provider: &'a str => Text,
        model: &'a str => Text,
        attempts: i64 => BigInt,
        input: i64 => BigInt,
        cache_read: i64 => BigInt,
        cache_write: i64 => BigInt,
        output: i64 => BigInt,
        micros: i64 => BigInt,
        estimated: i64 => BigInt,
        unpriced: i64 => BigInt,
    } concat!("INSERT INTO usage_day (day, pool, provider, model, ", sums!(), ") \
       VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (day, pool, provider, model) ", add_up!())
}

statement! {
    /// Adds usage to its task.
    AddTask<'a> {
        task_id: i64 => BigInt,
        day: i64 => BigInt,
        pool: &'a str => Text,
        provider: &'a str => Text,
        model: &'a str => Text,
        attempts: i64 => BigInt,
        input: i64 => BigInt,
        cache_read: i64 => BigInt,
        cache_write: i64 => BigInt,
        output: i64 => BigInt,
        micros: i64 => BigInt,
        estimated: i64 => BigInt,
        unpriced: i64 => BigInt,
    } concat!("INSERT INTO usage_task (task_id, day, pool, provider, model, ", sums!(), ") \
       VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) \
       ON CONFLICT (task_id, day, pool, provider, model) ", add_up!())
}

statement! {
    /// The usage of an ended attempt in a late ack; only the first one is stored.
    SetLateUsage<'a> { usage: &'a str => Text, task_id: i64 => BigInt, fence: i64 => BigInt }
    "UPDATE attempt SET usage = ? WHERE task_id = ? AND fence = ? \
     AND (usage IS NULL OR json_extract(usage, '$.partial'))"
}

statement! {
    /// The usage that was counted for an attempt without an ack.
    SelectPartialUsage { task_id: i64 => BigInt, fence: i64 => BigInt }
    "SELECT usage FROM attempt WHERE task_id = ? AND fence = ? AND json_extract(usage, '$.partial')"
}

statement! {
    /// The newest report of progress of an attempt.
    SelectProgress { task_id: i64 => BigInt, fence: i64 => BigInt }
    "SELECT data FROM progress WHERE task_id = ? AND fence = ?"
}

statement! {
    /// The usage of one day over all pools, or of one pool or provider; `*` means all.
    SelectDay<'a> { day: i64 => BigInt, pool: &'a str => Text, same: &'a str => Text, provider: &'a str => Text, too: &'a str => Text }
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
        scope: &'a str => Text,
        tokens: Option<i64> => Nullable<BigInt>,
        micros: Option<i64> => Nullable<BigInt>,
        raise_tokens: Option<i64> => Nullable<BigInt>,
        raise_micros: Option<i64> => Nullable<BigInt>,
        per: i64 => BigInt,
        since: i64 => BigInt,
        used_tokens: i64 => BigInt,
        used_micros: i64 => BigInt,
        reserved_tokens: i64 => BigInt,
        reserved_micros: i64 => BigInt,
    } concat!("INSERT OR REPLACE INTO budget (", account!(), ") VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)")
}

statement! {
    /// A budget.
    SelectAccount<'a> { scope: &'a str => Text } concat!("SELECT ", account!(), " FROM budget WHERE scope = ?")
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
    DeleteAccount<'a> { scope: &'a str => Text } "DELETE FROM budget WHERE scope = ?"
}

statement! {
    /// Adds a task to a tree.
    InsertMember { task_id: i64 => BigInt, tree_id: i64 => BigInt }
    "INSERT OR IGNORE INTO member (task_id, tree_id) VALUES (?, ?)"
}

statement! {
    /// The trees with a budget to which a task belongs, or belonged before it was pruned.
    SelectTrees { task_id: i64 => BigInt } "SELECT tree_id FROM member WHERE task_id = ? ORDER BY tree_id"
}

statement! {
    /// Whether a tree has other tasks that are not pruned.
    SelectLives { tree_id: i64 => BigInt, task_id: i64 => BigInt }
    "SELECT EXISTS (SELECT 1 FROM member WHERE tree_id = ? AND pruned = 0 AND task_id <> ?)"
}

statement! {
    /// A member is pruned.
    PruneMember { task_id: i64 => BigInt, tree_id: i64 => BigInt }
    "UPDATE member SET pruned = 1 WHERE task_id = ? AND tree_id = ?"
}

statement! {
    /// Deletes some of the pruned members of a tree.
    DeletePruned { tree_id: i64 => BigInt, same: i64 => BigInt, limit: i64 => BigInt }
    "DELETE FROM member WHERE tree_id = ? AND task_id IN \
     (SELECT task_id FROM member WHERE tree_id = ? AND pruned = 1 LIMIT ?)"
}

statement! {
    /// Deletes a member.
    DeleteMember { task_id: i64 => BigInt, tree_id: i64 => BigInt } "DELETE FROM member WHERE task_id = ? AND tree_id = ?"
}

statement! {
    /// Deletes the usage of a task; the sums of the days keep it.
    DeleteUsage { id: i64 => BigInt } "DELETE FROM usage_task WHERE task_id = ?"
}

statement! {
    /// The reservation of an attempt.
    PutReservation<'a> {
        task_id: i64 => BigInt,
        fence: i64 => BigInt,
        tokens: i64 => BigInt,
        micros: i64 => BigInt,
        told_tokens: i64 => BigInt,
        told_micros: i64 => BigInt,
        counted_tokens: i64 => BigInt,
        counted_micros: i64 => BigInt,
        scopes: &'a str => Text,
    } "INSERT OR REPLACE INTO reservation (task_id, fence, tokens, micros, told_tokens, told_micros, counted_tokens, \
       counted_micros, scopes) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
}

statement! {
    /// Deletes a reservation.
    DeleteReservation { task_id: i64 => BigInt } "DELETE FROM reservation WHERE task_id = ?"
}

statement! {
    /// All reservations.
    SelectReservations {}
    "SELECT task_id, fence, tokens, micros, told_tokens, told_micros, counted_tokens, counted_micros, scopes FROM reservation"
}

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

impl FromRow for (TaskId, Reservation) {
    const COLUMNS: usize = 9;

    fn from_row<'a>(row: &impl Row<'a, Sqlite>) -> QueryResult<(TaskId, Reservation)> {
        let scopes = serde_json::from_str(&text(row, 8)?)
            .map_err(|e| diesel::result::Error::DeserializationError(Box::new(e)))?;
        let reservation = Reservation {
            fence: int(row, 1)?,
            amount: amount(row, 2)?,
            reported: amount(row, 4)?,
            counted: amount(row, 6)?,
            scopes,
        };
        Ok((int(row, 0)?, reservation))
    }
}

impl FromRow for (String, BudgetAccount) {
    const COLUMNS: usize = 11;

    fn from_row<'a>(row: &impl Row<'a, Sqlite>) -> QueryResult<(String, BudgetAccount)> {
        let budget = |at| -> QueryResult<Budget> {
            Ok(Budget {
                tokens: maybe_int(row, at)?.map(positive),
                micros: maybe_int(row, at + 1)?.map(positive),
            })
        };
        let account = BudgetAccount {
            limit: budget(1)?,
            raise: budget(3)?,
            per: int(row, 5)?,
            since: int(row, 6)?,
            used: amount(row, 7)?,
            reserved: amount(row, 9)?,
        };
        Ok((text(row, 0)?, account))
    }
}

impl FromRow for Amount {
    const COLUMNS: usize = 2;

    fn from_row<'a>(row: &impl Row<'a, Sqlite>) -> QueryResult<Amount> {
        amount(row, 0)
    }
}

fn amount<'a>(row: &impl Row<'a, Sqlite>, at: usize) -> QueryResult<Amount> {
    Ok(Amount {
        tokens: positive(int(row, at)?),
        micros: positive(int(row, at + 1)?),
    })
}

fn positive(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

/// The stored form of an amount; one that does not fit is stored as the maximum.
pub(crate) fn number(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
