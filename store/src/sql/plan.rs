//! Runs of plans, their steps, items and sources.

use super::{ColumnValue, column, insert, row, statement};
use crate::plans::{PlanRun, RunStep, StepId, item_state};
use diesel::deserialize;
use diesel::sqlite::SqliteValue;
use kirosu_protocol::{ItemState, RunState, StepState, TaskId};

// Without statistics SQLite prefers the primary key of `plan_item` to the index on states, and would read all items of a step
// where few are open: so these queries name the index, and fail if it cannot be used.

/// The columns of a [`PlanRun`].
macro_rules! run_columns {
    () => {
        "task_id, state, reason, name, hash, made, wishes, started_at, ended_at, agreed, raised"
    };
}

column! {
    RunState: String => |name| Ok(RunState::from_name(&name).ok_or_else(|| format!("unknown run state {name}"))?),
    StepState: String => |name| Ok(StepState::from_name(&name).ok_or_else(|| format!("unknown step state {name}"))?),
    ItemState: i64 => |number| Ok(item_state(number)),
}

row! { PlanRun { task_id, state, reason, name, hash, made, wishes, started_ms, ended_ms, agreed, raised } }

/// The columns of a [`RunStep`].
macro_rules! step_columns {
    () => {
        "id, run_id, path, kind, each, shared, state, reason, generation, version, total, cursor, waiting, open, done, failed, cancelled, \
         streak, class, result, started_at, ended_at, merges"
    };
}
pub(crate) use step_columns;

row! {
    RunStep {
        id, run_id, path, kind, each, shared, state, reason, generation, version, total, cursor, waiting, open, done, failed, cancelled,
        streak, class, result, started_ms, ended_ms, merges,
    }
}

statement! {
    /// A run.
    SelectPlanRun { task_id: i64 } concat!("SELECT ", run_columns!(), " FROM plan_run WHERE task_id = ?")
}

statement! {
    /// The plan with which a run goes on, as JSON.
    SelectPlanText { run_id: i64 } "SELECT plan FROM plan_text WHERE run_id = ?"
}

statement! {
    /// A run goes on with another plan.
    PutPlanText<'a> { run_id: i64, plan: &'a str } "INSERT OR REPLACE INTO plan_text (run_id, plan) VALUES (?, ?)"
}

statement! {
    /// The plan of a run is deleted.
    DeletePlanText { run_id: i64 } "DELETE FROM plan_text WHERE run_id = ?"
}

statement! {
    /// The steps of a run that have open items.
    SelectBusySteps { run_id: i64 } "SELECT id FROM plan_step WHERE run_id = ? AND open > 0"
}

statement! {
    /// A task whose result later ones with this fingerprint may have.
    PutCached<'a> { fingerprint: &'a str, task_id: i64, created_at: i64, place: &'a str, parts: &'a str }
    "INSERT OR REPLACE INTO plan_cache (fingerprint, task_id, created_at, place, parts) VALUES (?, ?, ?, ?, ?)"
}

statement! {
    /// The result of a task is used no more.
    DeleteCached { task_id: i64 } "DELETE FROM plan_cache WHERE task_id = ?"
}

statement! {
    /// The task with a fingerprint that is done, if it was made after a time.
    SelectCached<'a> { fingerprint: &'a str, since: i64 }
    "SELECT task.id FROM plan_cache JOIN task ON task.id = plan_cache.task_id WHERE fingerprint = ? AND plan_cache.created_at >= ? AND task.state = 5"
}

statement! {
    /// The task with a fingerprint, as an [`EarlierResult`](crate::EarlierResult).
    SelectEqual<'a> { fingerprint: &'a str }
    "SELECT task_id, plan_cache.created_at, parts, 1, task.state = 5 FROM plan_cache JOIN task ON task.id = task_id WHERE fingerprint = ?"
}

statement! {
    /// The newest task of an item in a scope, as an [`EarlierResult`](crate::EarlierResult).
    SelectNewest<'a> { place: &'a str }
    "SELECT task_id, plan_cache.created_at, parts, 0, task.state = 5 FROM plan_cache JOIN task ON task.id = task_id WHERE place = ? ORDER BY plan_cache.created_at DESC LIMIT 1"
}

statement! {
    /// The steps of a run that have an item with a key, and its position.
    SelectItemsByKey<'a> { key: &'a str, run_id: i64 }
    "SELECT plan_step.id, idx FROM plan_step JOIN plan_item ON step_id = plan_step.id AND key = ? WHERE run_id = ?"
}

statement! {
    /// Whether an item has the result of a task.
    SelectItemWith { task_id: i64 } "SELECT 1 FROM plan_item WHERE task_id = ? LIMIT 1"
}

statement! {
    /// Later tasks do not take the result of an item.
    DropCachedItem { step_id: i64, idx: i64 }
    "DELETE FROM plan_cache WHERE task_id = (SELECT task_id FROM plan_item WHERE step_id = ? AND idx = ?)"
}

statement! {
    /// Later tasks do not take the results of the first items of a step.
    DropCachedItems { step_id: i64, limit: i64 }
    "DELETE FROM plan_cache WHERE task_id IN (SELECT task_id FROM plan_item WHERE step_id = ? ORDER BY idx LIMIT ?)"
}

statement! {
    /// Another task goes on with the items of one.
    MoveItems { next: i64, task_id: i64 } "UPDATE plan_item SET task_id = ? WHERE task_id = ? AND cached = 0"
}

statement! {
    /// The state of a run.
    SelectRunState { task_id: i64 } "SELECT state FROM plan_run WHERE task_id = ?"
}

statement! {
    /// A run as it is now.
    PutPlanRun<'a> {
        task_id: i64,
        state: &'a str,
        reason: Option<&'a str>,
        name: Option<&'a str>,
        hash: Option<&'a str>,
        made: i64,
        wishes: Option<&'a str>,
        started_at: i64,
        ended_at: Option<i64>,
        agreed: i64,
        raised: i64,
    } concat!("INSERT OR REPLACE INTO plan_run (", run_columns!(), ") VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)")
}

statement! {
    /// A step.
    SelectPlanStep { id: i64 } concat!("SELECT ", step_columns!(), " FROM plan_step WHERE id = ?")
}

statement! {
    /// A step by its path.
    SelectStepAt<'a> { run_id: i64, path: &'a str } "SELECT id FROM plan_step WHERE run_id = ? AND path = ?"
}

statement! {
    /// The highest id of a step.
    SelectLastStep {} "SELECT coalesce(max(id), 0) FROM plan_step"
}

statement! {
    /// A step as it is now.
    PutPlanStep<'a> {
        id: i64,
        run_id: i64,
        path: &'a str,
        kind: &'a str,
        each: i64,
        shared: i64,
        state: &'a str,
        reason: Option<&'a str>,
        generation: i64,
        version: i64,
        total: Option<i64>,
        cursor: i64,
        waiting: i64,
        open: i64,
        done: i64,
        failed: i64,
        cancelled: i64,
        streak: i64,
        class: Option<&'a str>,
        result: Option<&'a str>,
        started_at: i64,
        ended_at: Option<i64>,
        merges: Option<&'a str>,
    } concat!("INSERT OR REPLACE INTO plan_step (", step_columns!(), ") VALUES \
               (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)")
}

/// The steps of a run, in the order in which they began.
pub(crate) fn run_steps(run_id: TaskId) -> String {
    format!(
        concat!(
            "SELECT ",
            step_columns!(),
            " FROM plan_step WHERE run_id = {} ORDER BY id"
        ),
        run_id
    )
}

insert! {
    /// A new item.
    InsertPlanItem<'a> { step_id: i64, idx: i64, key: &'a str, state: i64, task_id: Option<i64>, position: i64, cached: i64 }
    "INSERT INTO plan_item"
}

statement! {
    /// An item that waits has a task again.
    MakeItemAgain { state: i64, task_id: Option<i64>, position: i64, cached: i64, step_id: i64, idx: i64 }
    "UPDATE plan_item SET state = ?, task_id = ?, position = ?, cached = ?, class = NULL WHERE step_id = ? AND idx = ? AND state = 0"
}

statement! {
    /// The position of the item of a step with a key.
    SelectItemByKey<'a> { step_id: i64, key: &'a str } "SELECT idx FROM plan_item WHERE step_id = ? AND key = ?"
}

statement! {
    /// The state of an item.
    SelectItemState { step_id: i64, idx: i64 } "SELECT state FROM plan_item WHERE step_id = ? AND idx = ?"
}

row! {
    /// The items of a task.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub(crate) struct ItemsOfTask {
        pub step_id: StepId,
        /// The state of all of them, as a number.
        pub state: i64,
        pub count: i64,
    }
}

statement! {
    /// The items of a task, which are in one state: they change together.
    SelectItemsOfTask { task_id: i64 }
    "SELECT step_id, max(state), count(*) FROM plan_item WHERE task_id = ? AND cached = 0 GROUP BY step_id"
}

statement! {
    /// The task of some items has ended, or was retried.
    SetItemsOfTask<'a> { state: i64, class: Option<&'a str>, task_id: i64 }
    "UPDATE plan_item SET state = ?, class = ? WHERE task_id = ? AND cached = 0"
}

statement! {
    /// The tasks of a step's open items, without repeats of neighbours.
    SelectOpenTasks { step_id: i64, limit: i64 }
    "SELECT DISTINCT task_id FROM (SELECT task_id FROM plan_item INDEXED BY plan_item_state WHERE step_id = ? AND state = 1 AND state <> 2 ORDER BY idx LIMIT ?)"
}

statement! {
    /// Tasks of a step's open items that wait in the queue and have not run yet, without repeats of neighbours. `waited`: the flag
    /// of those that have waited for children.
    SelectQueuedTasks { step_id: i64, waited: i64, limit: i64 }
    "SELECT DISTINCT task_id FROM (SELECT task_id FROM plan_item INDEXED BY plan_item_state JOIN task ON task.id = task_id \
     WHERE step_id = ? AND plan_item.state = 1 AND plan_item.state <> 2 AND task.state = 0 AND task.attempts = 0 AND task.flags & ? = 0 \
     AND NOT EXISTS (SELECT 1 FROM handoff WHERE next = task.id) ORDER BY idx LIMIT ?)"
}

statement! {
    /// Tasks of a step's open items that await approval after an attempt with an outcome.
    SelectHeldTasks<'a> { step_id: i64, outcome: &'a str, limit: i64 }
    "SELECT DISTINCT task_id FROM (SELECT plan_item.task_id FROM plan_item INDEXED BY plan_item_state JOIN task ON task.id = plan_item.task_id \
     JOIN attempt ON attempt.task_id = task.id AND attempt.fence = task.fence \
     WHERE step_id = ? AND plan_item.state = 1 AND plan_item.state <> 2 AND task.state = 3 AND attempt.outcome = ? ORDER BY idx LIMIT ?)"
}

statement! {
    /// The items of a task are to be made again.
    WithdrawItems { task_id: i64 }
    "UPDATE plan_item SET state = 0, task_id = NULL, class = NULL WHERE task_id = ?"
}

statement! {
    /// The number of open steps of a run that wait for a person.
    SelectAskingSteps { run_id: i64 }
    "SELECT count(*) FROM plan_step WHERE run_id = ? AND state = 'open' AND reason IN ('breaker', 'sample')"
}

statement! {
    /// A reduce of a run that began while the step with this path went on, and may have merged items of it.
    SelectMerge<'a> { run_id: i64, merges: &'a str }
    "SELECT id FROM plan_step WHERE run_id = ? AND merges = ? AND state IN ('open', 'failed', 'cancelled') LIMIT 1"
}

statement! {
    /// Items that failed or were cancelled.
    SelectLostItems { step_id: i64, limit: i64 }
    "SELECT idx FROM plan_item INDEXED BY plan_item_state WHERE step_id = ? AND state IN (3, 4) AND state <> 2 ORDER BY idx LIMIT ?"
}

statement! {
    /// The task of an item is to be made again.
    ResetItem { step_id: i64, idx: i64 }
    "UPDATE plan_item SET state = 0, task_id = NULL, class = NULL WHERE step_id = ? AND idx = ?"
}

statement! {
    /// Items of a step are deleted, at most `limit`.
    DeleteSomeItems { step_id: i64, same: i64, limit: i64 }
    "DELETE FROM plan_item WHERE step_id = ? AND idx IN (SELECT idx FROM plan_item WHERE step_id = ? ORDER BY idx LIMIT ?)"
}

statement! {
    /// A step of a run, any.
    SelectAnyStep { run_id: i64 } "SELECT id FROM plan_step WHERE run_id = ? LIMIT 1"
}

statement! {
    /// A step is deleted.
    DeletePlanStep { id: i64 } "DELETE FROM plan_step WHERE id = ?"
}

statement! {
    /// A run is deleted.
    DeletePlanRun { task_id: i64 } "DELETE FROM plan_run WHERE task_id = ?"
}

statement! {
    /// Runs that have not ended.
    SelectOpenRuns {} "SELECT task_id FROM plan_run WHERE ended_at IS NULL ORDER BY task_id"
}

insert! {
    /// A new source.
    InsertSource { id: i64, items: i64, created_at: i64 } "INSERT INTO plan_source"
}

insert! {
    /// A piece of a source.
    InsertSourcePiece<'a> { source_id: i64, first: i64, items: &'a str } "INSERT INTO plan_source_piece"
}

statement! {
    /// A source has more items.
    SetSourceItems { items: i64, id: i64 } "UPDATE plan_source SET items = ? WHERE id = ?"
}

statement! {
    /// The number of items of a source.
    SelectSourceItems { id: i64 } "SELECT items FROM plan_source WHERE id = ?"
}

statement! {
    /// The run that has named a source; 0: none yet.
    SelectSourceRun { id: i64 } "SELECT coalesce(run_id, 0) FROM plan_source WHERE id = ?"
}

statement! {
    /// A run names a source that none has named.
    BindSource { run_id: i64, id: i64 } "UPDATE plan_source SET run_id = ? WHERE id = ? AND run_id IS NULL"
}

statement! {
    /// The highest id of a source.
    SelectLastSource {} "SELECT coalesce(max(id), 0) FROM plan_source"
}

statement! {
    /// A source of a run.
    SelectSourceOfRun { run_id: i64 } "SELECT id FROM plan_source WHERE run_id = ? LIMIT 1"
}

statement! {
    /// A source that no run has named, from before a time.
    SelectUnnamedSource { before: i64 }
    "SELECT id FROM plan_source WHERE run_id IS NULL AND created_at < ? LIMIT 1"
}

statement! {
    /// One piece of a source is deleted.
    DeleteSourcePiece { source_id: i64 }
    "DELETE FROM plan_source_piece WHERE rowid = (SELECT rowid FROM plan_source_piece WHERE source_id = ? LIMIT 1)"
}

statement! {
    /// A source without pieces is deleted.
    DeleteSource { id: i64 } "DELETE FROM plan_source WHERE id = ?"
}
