//! Runs of plans, as `runs`, `run` and `run_items` answer them.

use super::QueryFailure;
use crate::answers;
use crate::conductor::live_run::LiveRun;
use crate::conductor::results::Results;
use kirosu_plan::limits::DEPTH;
use kirosu_protocol::text::shorten;
use kirosu_protocol::verbs::run_items::RUN_ITEMS_LIMIT;
use kirosu_protocol::verbs::runs::RUNS_LIMIT;
use kirosu_protocol::{
    Effect, Error, ErrorCode, ItemInfo, ItemState, ListedRun, PlanMetadata, PlanText, RunAnswer,
    RunItemsAnswer, RunItemsParams, RunParams, RunState, RunsAnswer, RunsParams, Status, StepInfo,
    StepState, TYPE_PLAN, Task, TaskId,
};
use kirosu_store::{ListQuery, PlanRun, RunStep, StepId, StepTotals, StoreReader, Texts};
use std::collections::HashMap;

/// Bytes of result and error in the answer to `run`.
const TEXT_BYTES: usize = 16 << 10;
/// Bytes of results after which a page of items ends.
const PAGE_BYTES: usize = 4 << 20;
/// Bytes of an error in a page of items.
const ERROR_BYTES: usize = 2 << 10;
/// Bytes of each text of a task that are read for a list of runs: the name is in its metadata, the reason in its error.
const LISTED_BYTES: usize = 4 << 10;
/// Bytes of an error in a list of runs.
const LISTED_ERROR_BYTES: usize = 500;
/// The most look-ups for a page of runs. Each examines a bounded number of tasks.
const LOOK_UPS: usize = 8;

/// A page of runs, newest first.
pub(super) fn runs(
    store: &mut StoreReader,
    params: RunsParams,
) -> Result<RunsAnswer, QueryFailure> {
    let limit = params.limit.unwrap_or(RUNS_LIMIT) as usize;
    let (mut runs, mut before) = (Vec::new(), params.before);
    for _ in 0..LOOK_UPS {
        let query = ListQuery {
            task_type: Some(TYPE_PLAN.to_owned()),
            limit: i64::try_from(limit).unwrap_or(i64::MAX),
            before_id: before,
            ..ListQuery::default()
        };
        let page = store.list_ids(&query)?;
        let mut tasks = Vec::with_capacity(page.ids.len());
        store.visit(&page.ids, Texts::Preview(LISTED_BYTES), u64::MAX, |task| {
            tasks.push(task);
            true
        })?;
        for task in tasks {
            let known = store.plan_totals(task.task_id)?;
            let summary = summary(task, known);
            if params.state.is_none_or(|state| summary.state == state) {
                runs.push(summary);
            }
            if runs.len() >= limit {
                let next = runs.last().map(|run: &ListedRun| run.task_id);
                return Ok(RunsAnswer { runs, next });
            }
        }
        before = page.next_before;
        if before.is_none() {
            break;
        }
    }
    Ok(RunsAnswer { runs, next: before })
}

fn summary(task: Task, known: Option<(PlanRun, StepTotals)>) -> ListedRun {
    let (run, totals) = match known {
        Some((run, totals)) => (Some(run), totals),
        None => (None, StepTotals::default()),
    };
    let named = || Some(task.metadata.as_ref()?.get("name")?.as_str()?.to_owned());
    let error = task.error.as_deref().and_then(|why| why.lines().next());
    ListedRun {
        task_id: task.task_id,
        state: state_of(task.status, run.as_ref()),
        reason: run.as_ref().and_then(|run| run.reason.clone()),
        name: run.as_ref().and_then(|run| run.name.clone()).or_else(named),
        error: error.map(|why| shorten(why, LISTED_ERROR_BYTES)),
        made: run.as_ref().map_or(0, |run| count(run.made)),
        steps: count(totals.steps),
        open: count(totals.open),
        done: count(totals.done),
        failed: count(totals.failed),
        cancelled: count(totals.cancelled),
        created_at: task.created_at,
        ended_at: task.finished_at,
    }
}

/// A run with its steps.
pub(super) fn run(store: &mut StoreReader, params: &RunParams) -> Result<RunAnswer, QueryFailure> {
    let id = params.task_id;
    let (task, run) = store.task_and_run(id)?;
    let Some(task) = task else {
        return Err(answers::no_such_task(id).into());
    };
    if task.task_type != TYPE_PLAN {
        return Err(not_a_run(id).into());
    }
    let (run, steps) = match run {
        Some((run, steps)) => (Some(run), steps),
        None => (None, Vec::new()),
    };
    let mut state = state_of(task.status, run.as_ref());
    let mut reason = run.as_ref().and_then(|run| run.reason.clone());
    if matches!(state, RunState::Open | RunState::Waiting)
        && let Some(above) = paused_above(store, task.parent_id)?
    {
        state = RunState::Paused;
        reason = Some(format!("run {above}, above it, is paused"));
    }
    let text = |text: Option<String>| text.map(|text| shorten(&text, TEXT_BYTES));
    let mut infos = Vec::with_capacity(steps.len());
    for step in steps {
        infos.push(info(store, step, state)?);
    }
    Ok(RunAnswer {
        task_id: id,
        state,
        reason,
        name: run.as_ref().and_then(|run| run.name.clone()),
        plan: run.as_ref().and_then(|run| run.hash.clone()),
        plan_text: match params.with_plan {
            true => Some(plan_text(store, &task)?),
            false => None,
        },
        made: run.as_ref().map_or(0, |run| count(run.made)),
        created_at: task.created_at,
        ended_at: task.finished_at,
        result: text(task.result),
        error: text(task.error),
        steps: infos,
    })
}

/// The nearest run above a task that is paused.
fn paused_above(
    store: &mut StoreReader,
    mut parent: Option<TaskId>,
) -> Result<Option<TaskId>, QueryFailure> {
    for _ in 0..DEPTH.hardest {
        let Some(id) = parent else {
            break;
        };
        if store.run_state(id)? == Some(RunState::Paused) {
            return Ok(Some(id));
        }
        parent = store.many(&[id])?.pop().and_then(|task| task.parent_id);
    }
    Ok(None)
}

/// The plan of a run: that of its task, or the one with which it goes on.
fn plan_text(store: &mut StoreReader, task: &Task) -> Result<PlanText, QueryFailure> {
    let other = store.plan_text(task.task_id)?;
    if let Some(other) = other.and_then(|text| serde_json::from_str(&text).ok()) {
        return Ok(other);
    }
    let metadata = task.metadata.clone().unwrap_or_default();
    let metadata: PlanMetadata = serde_json::from_value(metadata).unwrap_or_default();
    Ok(PlanText {
        text: task.prompt.clone(),
        format: metadata.format,
        programs: metadata.programs,
        plans: metadata.plans,
    })
}

/// Refuses a plan with which a run cannot go on.
pub(super) fn check_plan(
    store: &mut StoreReader,
    id: TaskId,
    plan: &PlanText,
) -> Result<(), QueryFailure> {
    let Some(task) = store.many(&[id])?.pop() else {
        return Err(answers::no_such_task(id).into());
    };
    if task.task_type != TYPE_PLAN {
        return Err(not_a_run(id).into());
    }
    let own = plan_text(store, &task)?;
    match LiveRun::new(&task, Some(own), Vec::new()).with_plan(plan) {
        Ok(_) => Ok(()),
        Err(why) => {
            let message = format!("the run {id} cannot go on with this plan: {why}");
            Err(Error::invalid_params(message).into())
        }
    }
}

/// The state of a run whose task has this status.
fn state_of(status: Status, run: Option<&PlanRun>) -> RunState {
    match (status, run) {
        (Status::Done, Some(run)) if run.state == RunState::Partial => RunState::Partial,
        (Status::Done, _) => RunState::Done,
        (Status::Failed, _) => RunState::Failed,
        (Status::Cancelled, _) => RunState::Cancelled,
        // It ends with its task.
        (Status::Leased, Some(run)) if run.state.is_final() => RunState::Open,
        (Status::Leased, Some(run)) => run.state,
        _ => RunState::Pending,
    }
}

fn info(store: &mut StoreReader, step: RunStep, run: RunState) -> Result<StepInfo, QueryFailure> {
    let task_id = match step.total {
        Some(1) => store.plan_items(step.id, None, 0, 1)?.pop(),
        _ => None,
    };
    let is_left = run.is_final() && !step.state.is_final();
    Ok(StepInfo {
        state: match is_left {
            // The run has ended around it.
            true => StepState::Cancelled,
            false => step.state,
        },
        task_id: task_id.and_then(|item| item.task_id),
        ..step.info()
    })
}

/// A page of items. A cursor is the id of a step and a position in it.
pub(super) fn items(
    store: &mut StoreReader,
    params: &RunItemsParams,
) -> Result<RunItemsAnswer, QueryFailure> {
    let id = params.task_id;
    let Some((_, steps)) = store.plan_run(id)? else {
        let Some(task) = store.many(&[id])?.pop() else {
            return Err(answers::no_such_task(id).into());
        };
        return match task.task_type == TYPE_PLAN {
            true => Ok(RunItemsAnswer::default()),
            false => Err(not_a_run(id).into()),
        };
    };
    if let Some(path) = &params.step
        && !steps.iter().any(|step| step.path == *path)
    {
        let message = format!(
            "the run {id} has no step {path:?} that has begun; `kirosu run show {id}` lists them"
        );
        return Err(Error::invalid_params(message).into());
    }
    let (from_step, mut from) = match &params.cursor {
        Some(cursor) => read_cursor(cursor)?,
        None => (0, 0),
    };
    let limit = params.limit.unwrap_or(RUN_ITEMS_LIMIT) as usize;
    let places: Option<HashMap<StepId, i64>> = match &params.key {
        Some(key) => Some(store.items_with_key(id, key)?.into_iter().collect()),
        None => None,
    };
    let (mut found, mut bytes) = (Vec::new(), 0);
    let wanted = steps.into_iter().filter(|step| {
        step.id >= from_step
            && params.step.as_ref().is_none_or(|path| step.path == *path)
            && places.as_ref().is_none_or(|it| it.contains_key(&step.id))
    });
    for step in wanted {
        if step.id != from_step {
            from = 0;
        }
        loop {
            // One more than fits shows whether others follow.
            let room = limit - found.len();
            let page = match places.as_ref().and_then(|it| it.get(&step.id)) {
                Some(at) => {
                    let mut one = store.plan_items(step.id, params.state, from.max(*at), 1)?;
                    one.retain(|item| item.index == *at);
                    one
                }
                None => store.plan_items(step.id, params.state, from, room as i64 + 1)?,
            };
            let is_last = page.len() <= room;
            let mut next = None;
            for item in page {
                if found.len() >= limit || bytes >= PAGE_BYTES {
                    next = Some(item.index);
                    break;
                }
                from = item.index + 1;
                let info = item_info(store, &step, item, params.results)?;
                bytes += info.result.as_ref().map_or(0, String::len);
                found.push(info);
            }
            if let Some(index) = next {
                return Ok(RunItemsAnswer {
                    items: found,
                    next: Some(format!("{}-{index}", step.id)),
                });
            }
            if is_last {
                break;
            }
        }
    }
    Ok(RunItemsAnswer {
        items: found,
        next: None,
    })
}

fn read_cursor(cursor: &str) -> Result<(i64, i64), Error> {
    let parts = cursor.split_once('-');
    let parts = parts.and_then(|(step, index)| Some((step.parse().ok()?, index.parse().ok()?)));
    parts.ok_or_else(|| Error::invalid_params("`cursor` must be `next` of an earlier answer"))
}

fn item_info(
    store: &mut StoreReader,
    step: &RunStep,
    item: kirosu_store::PlanItem,
    with_result: bool,
) -> Result<ItemInfo, QueryFailure> {
    let mut info = ItemInfo {
        step: step.path.clone(),
        index: count(item.index),
        key: item.key.clone(),
        state: item.state,
        task_id: item.task_id,
        cached: item.cached != 0,
        class: item.class.clone(),
        error: None,
        result: None,
    };
    let is_needed = match item.state {
        ItemState::Failed | ItemState::Cancelled => true,
        ItemState::Done => with_result,
        ItemState::Open | ItemState::Waiting => false,
    };
    if is_needed {
        let ended = Results { store }.with_results(step, vec![item]);
        let ended = ended
            .map_err(|why| Error::internal(Effect::None, why))?
            .pop();
        if let Some(ended) = ended {
            info.error = ended.error.map(|error| shorten(&error, ERROR_BYTES));
            info.result = ended.result.filter(|_| with_result);
        }
    }
    Ok(info)
}

fn not_a_run(id: TaskId) -> Error {
    let message = format!("task {id} is not a run of a plan; `kirosu runs` lists runs");
    Error::new(ErrorCode::WrongState, message)
}

fn count(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}
