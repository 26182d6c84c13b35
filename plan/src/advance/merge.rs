//! A reduce and the step whose results it merges: the groups that can be merged, also while that step goes on.

use super::{Act, ReduceShape, RunFacts, StepFacts, StepScope, World, items, scope, waits};
use crate::compiled::{MapWork, ReduceWork, Step, Work};
use kirosu_protocol::StepState;

/// The step that a reduce merges.
pub(super) fn source<'r>(
    run: &'r RunFacts<'_>,
    scope: &StepScope<'_>,
    reduce: &ReduceWork,
) -> Result<&'r StepFacts, String> {
    let row = run.rows.get(&scope.path(&reduce.of));
    row.ok_or_else(|| format!("the step {} has not begun", reduce.of))
}

/// Whether a step begins although this one, which it needs, goes on: it is a reduce whose first group has ended.
pub(super) fn begins_early(
    run: &RunFacts<'_>,
    scope: &StepScope<'_>,
    step: &Step,
    id: &str,
    world: &mut dyn World,
) -> bool {
    let Work::Reduce(reduce) = &step.work else {
        return false;
    };
    if !step.merges_early(id) {
        return false;
    }
    let Ok(of) = source(run, scope, reduce) else {
        return false;
    };
    let shape = ReduceShape::new(of.total.unwrap_or(0), reduce.arity);
    let Some((_, _, to)) = shape.inputs(0) else {
        return false;
    };
    // Until one item is done, a reduce that may be empty cannot know whether it is.
    let may_be_ready = of.done > 0 && of.ended() >= to && gives_results(scope, reduce, of);
    may_be_ready && ended_first(scope, id, world) >= to
}

/// The path of the step that a reduce may merge, if it goes on.
pub(super) fn open_source(
    run: &RunFacts<'_>,
    scope: &StepScope<'_>,
    step: &Step,
) -> Option<String> {
    let Work::Reduce(reduce) = &step.work else {
        return None;
    };
    let is_over = source(run, scope, reduce).is_ok_and(|of| of.state.is_final());
    (step.merges_early(&reduce.of) && !is_over).then(|| scope.path(&reduce.of))
}

/// Whether a step is a reduce that may end before the step that it merges, which goes on: steps that depend on it read the results
/// of both.
pub(super) fn source_goes_on(run: &RunFacts<'_>, scope: &StepScope<'_>, id: &str) -> bool {
    let step = scope.steps.iter().find(|step| step.id == id);
    step.is_some_and(|step| open_source(run, scope, step).is_some())
}

/// Whether the items of a step that goes on can be merged: their number is fixed, and neither its sample nor its breaker
/// holds it.
fn gives_results(scope: &StepScope<'_>, reduce: &ReduceWork, of: &StepFacts) -> bool {
    let step = scope.steps.iter().find(|step| step.id == reduce.of);
    let Some(Step {
        work: Work::Map(map),
        ..
    }) = step
    else {
        return false;
    };
    of.state == StepState::Open
        && of.total.is_some()
        // It ends in this turn, in a state that is not known yet.
        && !of.is_complete()
        && !is_sampling(map, of)
        && step.is_some_and(|step| items::stop(step, of).is_none())
}

fn is_sampling(map: &MapWork, of: &StepFacts) -> bool {
    let waits = map.ask && of.reason.as_deref() != Some(waits::AGREED);
    map.sample.is_some_and(|sample| of.done < sample || waits)
}

fn ended_first(scope: &StepScope<'_>, id: &str, world: &mut dyn World) -> u64 {
    // A store that cannot be read now is asked again in the next turn.
    world.ended_first(&scope.path(id)).unwrap_or(0)
}

/// The position up to which the tasks of a reduce have all that they merge. They are made in order.
pub(super) fn mergeable(
    run: &RunFacts<'_>,
    scope: &StepScope<'_>,
    (step, reduce, row): (&Step, &ReduceWork, &StepFacts),
    room: u64,
    world: &mut dyn World,
) -> u64 {
    let Ok(of) = source(run, scope, reduce) else {
        return 0;
    };
    let shape = ReduceShape::of(reduce.arity, of, row);
    // The first items that have ended: of the source; and those that are done of the reduce itself, whose lost items end it, also
    // one that was lost since the rows were read.
    let (mut results, mut merged) = (None, None);
    let mut last = row.cursor;
    while last < row.cursor + room {
        let Some((level, _, to)) = shape.inputs(last) else {
            break;
        };
        let ended = match level {
            1 if of.state.is_final() => u64::MAX,
            1 if of.ended() < to || !gives_results(scope, reduce, of) => 0,
            1 => *results.get_or_insert_with(|| ended_first(scope, &reduce.of, world)),
            _ => *merged.get_or_insert_with(|| {
                let done = world.done_first(&scope.path(&step.id));
                done.unwrap_or(0)
            }),
        };
        if ended < to {
            break;
        }
        last += 1;
    }
    last
}

/// The next change of a reduce whose source has ended without results after groups of it had begun.
pub(super) fn omitted(
    run: &RunFacts<'_>,
    scope: &StepScope<'_>,
    step: &Step,
    row: &StepFacts,
) -> Option<Act> {
    let Work::Reduce(reduce) = &step.work else {
        return None;
    };
    let of = source(run, scope, reduce).ok()?;
    let reason = scope::unmet(scope, step, &reduce.of, of)?;
    let path = scope.path(&step.id);
    Some(match row.open {
        0 => items::set(&path, StepState::Omitted, Some(reason)),
        _ => Act::CancelTasks { path, reason },
    })
}
