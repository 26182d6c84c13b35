//! Steps with items: the tasks that they make next, and their ends.

use super::{
    Act, ReduceShape, ResultRef, RunFacts, StepFacts, StepScope, World, merge, staged, waits,
};
use crate::compiled::{Batch, MapWork, Step, StopMode, Tolerance, Work};
use kirosu_protocol::StepState;

/// Items that fail in a row with one class after others have ended, until a step waits for a person.
const BREAKER_LATER: u64 = 20;

/// The reason for which a step makes no further items.
#[derive(Clone, Debug, PartialEq)]
pub enum Stop {
    /// More items failed than may.
    Failed(String),
    /// It waits for a person.
    Person(&'static str),
}

/// The number of items of a step that begins; `None` for steps that have others inside.
///
/// # Errors
/// The list of items cannot be read or is too long; the reason.
pub(super) fn total(
    run: &RunFacts<'_>,
    scope: &StepScope<'_>,
    step: &Step,
    world: &mut dyn World,
) -> Result<Option<u64>, String> {
    Ok(match &step.work {
        Work::Loop(_) | Work::Race(_) => None,
        Work::Task | Work::Run(_) | Work::Approve(_) | Work::Pipeline(_) | Work::Plan(_) => Some(1),
        Work::Vote(vote) => Some(vote.n),
        Work::Map(_) => {
            let (items, limit) = (world.items(scope, step)?, run.plan.limits.items);
            if items > limit {
                return Err(format!(
                    "limit: {items} items, and `limits.items` is {limit}"
                ));
            }
            Some(items)
        }
        Work::Reduce(reduce) => {
            let of = merge::source(run, scope, reduce)?;
            // One that goes on will have all its items.
            let results = match of.state.is_final() {
                true => of.cursor,
                false => of.total.unwrap_or(of.cursor),
            };
            match (of.done, reduce.may_be_empty, &reduce.into) {
                (0, false, _) => {
                    return Err(format!("no result of the step {} to merge", reduce.of));
                }
                (0, true, _) | (_, _, Some(_)) => Some(0),
                _ => Some(ReduceShape::new(results, reduce.arity).total()),
            }
        }
    })
}

/// The next changes of a step with items that is open.
pub(super) fn advance(
    run: &RunFacts<'_>,
    scope: &StepScope<'_>,
    step: &Step,
    row: &StepFacts,
    world: &mut dyn World,
    acts: &mut Vec<Act>,
) {
    if let Some(act) = merge::omitted(run, scope, step, row) {
        acts.push(act);
        return;
    }
    let path = scope.path(&step.id);
    if let Work::Vote(vote) = &step.work
        && let Some(act) = staged::advance_vote(&path, vote, row, world)
    {
        acts.push(act);
        return;
    }
    if let Work::Plan(planner) = &step.work
        && row.is_complete()
    {
        acts.push(staged::advance_planner(&path, planner, row, world));
        return;
    }
    if row.is_complete() {
        acts.push(end(scope, step, row, world));
        return;
    }
    match stop(step, row) {
        Some(Stop::Failed(reason)) => {
            let cancels = matches!(&step.work, Work::Map(map) if map.stop == StopMode::Cancel);
            if row.open == 0 {
                acts.push(set(&path, StepState::Failed, Some(reason)));
            } else if cancels {
                acts.push(Act::CancelTasks { path, reason });
            }
        }
        Some(Stop::Person(reason)) => {
            if row.reason.as_deref() != Some(reason) {
                acts.push(set(&path, StepState::Open, Some(reason.to_owned())));
            }
        }
        None if run.is_paused => {}
        None => acts.extend(expand(run, scope, step, row, world)),
    }
}

/// The next items to make.
fn expand(
    run: &RunFacts<'_>,
    scope: &StepScope<'_>,
    step: &Step,
    row: &StepFacts,
    world: &mut dyn World,
) -> Option<Act> {
    let path = scope.path(&step.id);
    let own = match &step.work {
        Work::Map(map) => map.concurrency,
        _ => None,
    };
    let window = own.or(run.plan.limits.concurrency).unwrap_or(run.window);
    // The window counts tasks, the row counts items.
    let per_task = items_per_task(step);
    let window = window.saturating_mul(per_task);
    let mut room = window.saturating_sub(row.open);
    if let Work::Map(map) = &step.work
        && row.done == 0
        && row.reason.as_deref() != Some(waits::AGREED)
    {
        // Before anything is known about a prompt, no more runs are spent on it than the breaker takes to stop it.
        let most = map.breaker.saturating_mul(per_task);
        room = room.min(most.saturating_sub(row.failed + row.open));
    }
    // Few large commits cost less than many small ones: a window is filled up once a quarter of it is free.
    if room == 0 || (row.open > 0 && row.done > 0 && room < window / 4) {
        return None;
    }
    let left = run.plan.limits.tasks.saturating_sub(run.made);
    let room = room.min(left.saturating_mul(per_task));
    if row.waiting > 0 {
        let count = room.min(row.waiting);
        return (count > 0).then_some(Act::Expand {
            path,
            again: true,
            count,
        });
    }
    let total = row.total.unwrap_or(0);
    let mut last = total;
    if let Work::Map(MapWork {
        sample: Some(sample),
        ..
    }) = &step.work
        && row.done < *sample
    {
        // After failures of the sample further items take their place.
        last = last.min(sample + row.failed + row.cancelled);
    }
    if let Work::Reduce(reduce) = &step.work {
        last = last.min(merge::mergeable(
            run,
            scope,
            (step, reduce, row),
            room,
            world,
        ));
    }
    let mut count = room.min(last.saturating_sub(row.cursor));
    let is_cut = row.cursor + count < last && count > per_task;
    if is_cut {
        // Only the last batch, of a sample or of all, may be a smaller one.
        count -= count % per_task;
    }
    (count > 0).then_some(Act::Expand {
        path,
        again: false,
        count,
    })
}

/// The items of a task of a step, approximately where their size decides.
pub fn items_per_task(step: &Step) -> u64 {
    match &step.work {
        Work::Map(map) => match map.batch {
            Batch::Items(items) => items,
            Batch::Size { .. } => 10,
        },
        _ => 1,
    }
}

/// The reason for which a step makes no further items now.
pub(super) fn stop(step: &Step, row: &StepFacts) -> Option<Stop> {
    let agreed = row.reason.as_deref() == Some(waits::AGREED);
    let Work::Map(map) = &step.work else {
        let lost = row.failed + row.cancelled;
        let is_vote = matches!(step.work, Work::Vote(_));
        return (lost > 0 && !is_vote).then(|| Stop::Failed(failure(row)));
    };
    let is_whole = row.total == Some(row.cursor) && row.waiting == 0;
    // A person who lets a step go on after failures wants all its other items.
    if !agreed && !tolerates(map.tolerate, row, is_whole) {
        return Some(Stop::Failed(failure(row)));
    }
    let per_task = items_per_task(step);
    let breaker = map.breaker.saturating_mul(per_task);
    let later = BREAKER_LATER.saturating_mul(per_task).max(breaker);
    let first = row.done == 0 && row.failed >= breaker;
    if (first || row.streak >= later) && !agreed && !is_whole {
        return Some(Stop::Person(waits::BREAKER));
    }
    let sampled = map
        .sample
        .is_some_and(|sample| row.done >= sample && row.cursor > 0);
    if map.ask && sampled && !agreed && !is_whole && row.open == 0 {
        return Some(Stop::Person(waits::SAMPLE));
    }
    None
}

/// Whether at most as many items failed as may fail. A percentage fails before the end once the items that are left cannot
/// change that.
fn tolerates(tolerate: Tolerance, row: &StepFacts, is_whole: bool) -> bool {
    let lost = row.failed + row.cancelled;
    match tolerate {
        Tolerance::Items(0) if !is_whole && row.done == 0 => {
            // Until one item is done, the breaker decides: with a wrong prompt nothing is gained by failing at once.
            true
        }
        Tolerance::Items(most) => lost <= most,
        Tolerance::Percent { percent } => {
            let all = match is_whole {
                true => row.ended(),
                false => row.total.unwrap_or(0).max(row.ended()),
            };
            lost as f64 <= all as f64 * percent / 100.0
        }
    }
}

pub(super) fn failure(row: &StepFacts) -> String {
    let ran = row.ended();
    let lost = row.failed + row.cancelled;
    match (&row.class, row.total) {
        (Some(class), Some(1)) => class.clone(),
        (Some(class), _) => format!("{lost} of {ran} items failed, the last ones with {class}"),
        (None, _) => format!("{lost} of {ran} items failed or were cancelled"),
    }
}

pub(super) fn set(path: &str, state: StepState, reason: Option<String>) -> Act {
    Act::Set {
        path: path.to_owned(),
        state,
        reason,
        total: None,
        result: None,
    }
}

/// The end of a step whose items have all ended.
fn end(scope: &StepScope<'_>, step: &Step, row: &StepFacts, world: &mut dyn World) -> Act {
    let path = scope.path(&step.id);
    let lost = row.failed + row.cancelled;
    let done = |result| Act::Set {
        path: path.clone(),
        state: match lost {
            0 => StepState::Done,
            _ => StepState::Partial,
        },
        reason: (lost > 0).then(|| failure(row)),
        total: None,
        result: Some(result),
    };
    match &step.work {
        Work::Map(_) if row.total == Some(0) => done(ResultRef::Items),
        Work::Map(map) => match row.done > 0 && tolerates(map.tolerate, row, true) {
            true => done(ResultRef::Items),
            false => set(&path, StepState::Failed, Some(failure(row))),
        },
        Work::Reduce(reduce) if reduce.into.is_some() && lost == 0 => {
            let of = scope.path(&reduce.of);
            let into = reduce.into.clone().unwrap_or_default();
            done(ResultRef::Joined { of, into })
        }
        Work::Reduce(_) if row.total == Some(0) => {
            let reason = Some("empty: there was nothing to merge".to_owned());
            set(&path, StepState::Done, reason)
        }
        Work::Reduce(_) if lost == 0 => done(ResultRef::Item(row.cursor.saturating_sub(1))),
        // A person's no is an answer, too.
        Work::Approve(_) => match world.decision(&path) {
            Ok(()) => Act::Set {
                path,
                state: StepState::Done,
                reason: None,
                total: None,
                result: Some(ResultRef::Item(0)),
            },
            Err(why) => set(&path, StepState::Failed, Some(why)),
        },
        _ if lost == 0 => done(ResultRef::Item(0)),
        _ => set(&path, StepState::Failed, Some(failure(row))),
    }
}
