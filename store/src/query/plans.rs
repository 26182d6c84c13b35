//! Runs of plans: their steps, items and sources.

use crate::plans::{PlanRun, RunStep, StepId, item_number};
use crate::sql::plan::{
    SelectCached, SelectEqual, SelectItemsByKey, SelectNewest, SelectOpenRuns, SelectPlanRun,
    SelectPlanText, SelectRunState, run_steps, step_columns,
};
use crate::sql::{self, row};
use diesel::{QueryResult, SqliteConnection, sql_query};
use kirosu_protocol::{FailureClass, ItemState, RunState, SourceId, TaskId};

row! {
    /// An item of a step.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct PlanItem {
        /// Its position in the step, from 0.
        pub index: i64,
        /// Its key.
        pub key: String,
        /// Its state.
        pub state: ItemState,
        /// Its newest task.
        pub task_id: Option<TaskId>,
        /// The class of its failure.
        pub class: Option<String>,
        /// Its position among the items of its task, from 0.
        pub position: i64,
        /// 1: the task was made for an earlier item.
        pub cached: i64,
    }
}

row! {
    /// A piece of a source.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct SourcePiece {
        /// The position of its first item.
        pub first: i64,
        /// A JSON list.
        pub items: String,
    }
}

row! {
    /// Sums over the steps of a run.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct StepTotals {
        /// The number of steps that have begun.
        pub steps: i64,
        /// Items whose tasks have not ended.
        pub open: i64,
        /// Items that are done.
        pub done: i64,
        /// Items that failed.
        pub failed: i64,
        /// Items whose tasks were cancelled.
        pub cancelled: i64,
    }
}

/// The runs that have not ended.
pub(crate) fn open_runs(conn: &mut SqliteConnection) -> QueryResult<Vec<TaskId>> {
    sql::all(conn, SelectOpenRuns {})
}

/// A run, and its steps in the order in which they began.
pub(crate) fn run(
    conn: &mut SqliteConnection,
    task_id: TaskId,
) -> QueryResult<Option<(PlanRun, Vec<RunStep>)>> {
    let Some(run) = sql::first(conn, SelectPlanRun { task_id })? else {
        return Ok(None);
    };
    let steps = sql::all(conn, sql_query(run_steps(task_id)))?;
    Ok(Some((run, steps)))
}

row! {
    /// The open items of a step whose tasks await approval.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct HeldItems {
        /// All of them.
        pub all: i64,
        /// Those that wait for a budget.
        pub budget: i64,
    }
}

/// The task with a fingerprint that is done, if it was made after a time.
pub(crate) fn cached(
    conn: &mut SqliteConnection,
    fingerprint: &str,
    since: i64,
) -> QueryResult<Option<TaskId>> {
    sql::first(conn, SelectCached { fingerprint, since })
}

row! {
    /// An earlier task of a step with `cache` whose result is not taken.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct EarlierResult {
        /// The task.
        pub task_id: TaskId,
        /// Unix milliseconds at which it was made.
        pub created_at: i64,
        /// See [`CacheEntry::parts`](crate::CacheEntry).
        pub parts: String,
        /// 1: it has the same fingerprint.
        pub is_equal: i64,
        /// 1: it is done.
        pub is_done: i64,
    }
}

/// The task with the same fingerprint, or else the newest one of the same place.
pub(crate) fn earlier(
    conn: &mut SqliteConnection,
    fingerprint: &str,
    place: &str,
) -> QueryResult<Option<EarlierResult>> {
    match sql::first(conn, SelectEqual { fingerprint })? {
        Some(equal) => Ok(Some(equal)),
        None => sql::first(conn, SelectNewest { place }),
    }
}

/// The steps of a run that have an item with a key, and its position in each.
pub(crate) fn items_with_key(
    conn: &mut SqliteConnection,
    run_id: TaskId,
    key: &str,
) -> QueryResult<Vec<(StepId, i64)>> {
    sql::all(conn, SelectItemsByKey { key, run_id })
}

/// The open items of a step whose tasks await approval.
pub(crate) fn held(conn: &mut SqliteConnection, step: StepId) -> QueryResult<HeldItems> {
    let class = FailureClass::BudgetExhausted.as_str();
    let text = format!(
        "SELECT count(*), coalesce(sum(EXISTS (SELECT 1 FROM attempt WHERE attempt.task_id = task.id AND attempt.fence = task.fence \
         AND attempt.outcome = '{class}')), 0) FROM plan_item INDEXED BY plan_item_state JOIN task ON task.id = plan_item.task_id \
         WHERE step_id = {step} AND plan_item.state = 1 AND plan_item.state <> 2 AND task.state = 3"
    );
    Ok(sql::first(conn, sql_query(text))?.unwrap_or_default())
}

/// The state of a run that has begun.
pub(crate) fn run_state(
    conn: &mut SqliteConnection,
    task_id: TaskId,
) -> QueryResult<Option<RunState>> {
    sql::first(conn, SelectRunState { task_id })
}

/// The plan with which a run goes on instead of that of its task, as JSON.
pub(crate) fn plan_text(
    conn: &mut SqliteConnection,
    run_id: TaskId,
) -> QueryResult<Option<String>> {
    sql::first(conn, SelectPlanText { run_id })
}

/// A run, and the sums over its steps.
pub(crate) fn totals(
    conn: &mut SqliteConnection,
    task_id: TaskId,
) -> QueryResult<Option<(PlanRun, StepTotals)>> {
    let Some(run) = sql::first(conn, SelectPlanRun { task_id })? else {
        return Ok(None);
    };
    let text = format!(
        "SELECT count(*), coalesce(sum(open), 0), coalesce(sum(done), 0), coalesce(sum(failed), 0), \
         coalesce(sum(cancelled), 0) FROM plan_step WHERE run_id = {task_id}"
    );
    let totals = sql::first(conn, sql_query(text))?;
    Ok(Some((run, totals.unwrap_or_default())))
}

/// A step.
pub(crate) fn step(conn: &mut SqliteConnection, id: StepId) -> QueryResult<Option<RunStep>> {
    let text = format!(
        concat!("SELECT ", step_columns!(), " FROM plan_step WHERE id = {}"),
        id
    );
    sql::first(conn, sql_query(text))
}

/// Items of a step from a position on, at most `limit`; in one state, or in any.
pub(crate) fn items(
    conn: &mut SqliteConnection,
    step: StepId,
    state: Option<ItemState>,
    from: i64,
    limit: i64,
) -> QueryResult<Vec<PlanItem>> {
    // The index on states has the items that are not done.
    let state = match state {
        Some(ItemState::Done) => "AND state = 2".to_owned(),
        Some(state) => format!("AND state = {} AND state <> 2", item_number(state)),
        None => String::new(),
    };
    let text = format!(
        "SELECT idx, key, state, task_id, class, position, cached FROM plan_item WHERE step_id = {step} AND idx >= {from} {state} \
         ORDER BY idx LIMIT {limit}"
    );
    sql::all(conn, sql_query(text))
}

/// States of items whose tasks have not ended.
pub(crate) const NOT_ENDED: [ItemState; 2] = [ItemState::Waiting, ItemState::Open];
/// States of items that are not done.
pub(crate) const NOT_DONE: [ItemState; 4] = [
    ItemState::Waiting,
    ItemState::Open,
    ItemState::Failed,
    ItemState::Cancelled,
];

/// The position of the first item of a step in one of these states, of which none is done. A step in an index for each state,
/// however many items there are.
pub(crate) fn first_item(
    conn: &mut SqliteConnection,
    step: StepId,
    states: &[ItemState],
) -> QueryResult<Option<i64>> {
    let mut first = None;
    for state in states.iter().copied().map(item_number) {
        let text = format!(
            "SELECT idx FROM plan_item INDEXED BY plan_item_state WHERE step_id = {step} AND state = {state} AND state <> 2 \
             ORDER BY idx LIMIT 1"
        );
        let found: Option<i64> = sql::first(conn, sql_query(text))?;
        first = [first, found].into_iter().flatten().min();
    }
    Ok(first)
}

/// The items of a step with a task, by position.
pub(crate) fn items_of_task(
    conn: &mut SqliteConnection,
    step: StepId,
    task: TaskId,
) -> QueryResult<Vec<PlanItem>> {
    let text = format!(
        "SELECT idx, key, state, task_id, class, position, cached FROM plan_item WHERE task_id = {task} AND step_id = {step} ORDER BY idx"
    );
    sql::all(conn, sql_query(text))
}

/// The piece of a source that has the item at a position.
pub(crate) fn piece(
    conn: &mut SqliteConnection,
    source: SourceId,
    position: i64,
) -> QueryResult<Option<SourcePiece>> {
    let text = format!(
        "SELECT first, items FROM plan_source_piece WHERE source_id = {source} AND first <= {position} \
         ORDER BY first DESC LIMIT 1"
    );
    sql::first(conn, sql_query(text))
}

/// The number of items of a source.
pub(crate) fn source_items(
    conn: &mut SqliteConnection,
    source: SourceId,
) -> QueryResult<Option<i64>> {
    let text = format!("SELECT items FROM plan_source WHERE id = {source}");
    sql::first(conn, sql_query(text))
}
