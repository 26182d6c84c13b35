//! Lists of steps with their paths, and the steps that begin in them.

use super::{Act, ResultRef, RunFacts, StepFacts, StepRows, World, items, merge};
use crate::compiled::{LoopWork, Plan, Step, Work};
use kirosu_protocol::StepState;
use std::collections::BTreeMap;

/// A list of steps, and the prefix of their paths.
#[derive(Clone, Debug)]
pub struct StepScope<'a> {
    /// The steps.
    pub steps: &'a [Step],
    /// The prefix of their paths.
    pub prefix: String,
    /// The step that has them; `None`: the plan has them.
    pub owner: Option<&'a Step>,
    /// The pass of a loop, from 1.
    pub pass: Option<u64>,
    /// The scope of the owner.
    pub outer: Option<Box<StepScope<'a>>>,
}

/// A step that was found by its path.
#[derive(Clone, Debug)]
pub struct Found<'a> {
    /// The step.
    pub step: &'a Step,
    /// The scope in which it is.
    pub scope: StepScope<'a>,
}

impl<'a> StepScope<'a> {
    /// The steps of a plan.
    pub fn of_plan(plan: &'a Plan) -> StepScope<'a> {
        StepScope {
            steps: &plan.pipeline,
            prefix: String::new(),
            owner: None,
            pass: None,
            outer: None,
        }
    }

    /// The path of a step of this scope.
    pub fn path(&self, id: &str) -> String {
        format!("{}{id}", self.prefix)
    }

    /// The steps of a loop or race in this scope.
    pub fn inner(&self, step: &'a Step, pass: Option<u64>) -> StepScope<'a> {
        let path = self.path(&step.id);
        StepScope {
            steps: step.work.steps(),
            prefix: match pass {
                Some(pass) => format!("{path}[{pass}]."),
                None => format!("{path}."),
            },
            owner: Some(step),
            pass,
            outer: Some(Box::new(self.clone())),
        }
    }

    /// The path of a step that is named in this scope: it is in the list itself, or in one around it.
    pub fn resolve(&self, id: &str) -> Option<String> {
        match self.steps.iter().any(|step| step.id == id) {
            true => Some(self.path(id)),
            false => self.outer.as_ref()?.resolve(id),
        }
    }

    /// Whether a step of it has begun.
    pub fn has_begun(&self, rows: &StepRows) -> bool {
        let mut begun = self
            .steps
            .iter()
            .filter_map(|step| rows.get(&self.path(&step.id)));
        begun.any(StepFacts::has_begun)
    }

    /// Whether all its steps have ended.
    pub fn is_over(&self, rows: &StepRows) -> bool {
        let state = |step: &Step| rows.get(&self.path(&step.id)).map(|row| row.state);
        self.steps
            .iter()
            .all(|step| state(step).is_some_and(StepState::is_final))
    }

    /// The newest pass of a loop in this scope that has begun; 1 if none has.
    pub fn newest_pass(&self, step: &'a Step, rows: &StepRows) -> u64 {
        let mut pass = 1;
        while self.inner(step, Some(pass + 1)).has_begun(rows) {
            pass += 1;
        }
        pass
    }
}

/// The step with a path, such as `polish[2].write`.
pub fn find<'a>(plan: &'a Plan, path: &str) -> Option<Found<'a>> {
    let mut scope = StepScope::of_plan(plan);
    let mut parts = path.split('.').peekable();
    while let Some(part) = parts.next() {
        let (id, pass) = match part.strip_suffix(']').and_then(|part| part.split_once('[')) {
            Some((id, pass)) => (id, Some(pass.parse().ok()?)),
            None => (part, None),
        };
        let step = scope.steps.iter().find(|step| step.id == id)?;
        if parts.peek().is_none() {
            return Some(Found { step, scope });
        }
        scope = scope.inner(step, pass);
    }
    None
}

/// The changes of the steps of a scope.
pub(super) fn advance(
    run: &RunFacts<'_>,
    scope: &StepScope<'_>,
    world: &mut dyn World,
    acts: &mut Vec<Act>,
) {
    for step in scope.steps {
        let path = scope.path(&step.id);
        match run.rows.get(&path).filter(|row| row.has_begun()) {
            None => {
                if !run.is_paused {
                    acts.extend(begin(run, scope, step, world));
                }
            }
            Some(row) if row.state.is_final() => {}
            Some(row) => match &step.work {
                Work::Loop(work) => advance_loop(run, scope, (step, work), world, acts),
                Work::Race(_) => advance_race(run, scope, step, world, acts),
                _ => items::advance(run, scope, step, row, world, acts),
            },
        }
    }
}

/// The beginning of a step, if what it needs has ended.
fn begin(
    run: &RunFacts<'_>,
    scope: &StepScope<'_>,
    step: &Step,
    world: &mut dyn World,
) -> Option<Act> {
    let open = |state, reason, total| {
        Some(Act::Open {
            path: scope.path(&step.id),
            kind: step.work.name(),
            state,
            reason,
            total,
            merges: match state {
                StepState::Open => merge::open_source(run, scope, step),
                _ => None,
            },
        })
    };
    if step.always {
        let others = scope.steps.iter().filter(|other| !other.always);
        let state = |other: &Step| run.rows.get(&scope.path(&other.id)).map(|row| row.state);
        if !others
            .into_iter()
            .all(|other| state(other).is_some_and(StepState::is_final))
        {
            return None;
        }
    }
    for id in &step.depends_on {
        let row = run.rows.get(&scope.path(id))?;
        if !row.state.is_final() && !merge::begins_early(run, scope, step, id, world) {
            return None;
        }
        if merge::source_goes_on(run, scope, id) {
            return None;
        }
        if let Some(reason) = unmet(scope, step, id, row) {
            return open(StepState::Omitted, Some(reason), None);
        }
    }
    if let Some(expression) = &step.r#if {
        match world.holds(scope, step, expression) {
            Ok(true) => {}
            Ok(false) => return open(StepState::Skipped, Some("its `if` is false".into()), None),
            Err(why) => return open(StepState::Failed, Some(format!("`if`: {why}")), None),
        }
    }
    match items::total(run, scope, step, world) {
        Ok(total) => open(StepState::Open, None, total),
        Err(why) => open(StepState::Failed, Some(why), None),
    }
}

/// The reason for which a step is omitted: one that it needs has ended without a result.
pub(super) fn unmet(
    scope: &StepScope<'_>,
    step: &Step,
    id: &str,
    row: &StepFacts,
) -> Option<String> {
    let mut others = scope.steps.iter();
    let may_fail = others.any(|other| other.id == *id && other.may_fail);
    let is_unmet = row.state.is_final() && !row.state.satisfies();
    (is_unmet && !step.always && !may_fail)
        .then(|| format!("it needs the step {id}, which is {}", row.state))
}

/// A loop: the steps of its pass, and after them its end or the next pass.
fn advance_loop(
    run: &RunFacts<'_>,
    scope: &StepScope<'_>,
    (step, work): (&Step, &LoopWork),
    world: &mut dyn World,
    acts: &mut Vec<Act>,
) {
    let path = scope.path(&step.id);
    let pass = scope.newest_pass(step, run.rows);
    let inner = scope.inner(step, Some(pass));
    let before = acts.len();
    if !inner.is_over(run.rows) {
        advance(run, &inner, world, acts);
        return;
    }
    debug_assert_eq!(before, acts.len());
    let set = |state, reason, result| Act::Set {
        path: path.clone(),
        state,
        reason,
        total: None,
        result,
    };
    let failed = inner.steps.iter().find(|step| {
        let row = run.rows.get(&inner.path(&step.id));
        !step.may_fail && row.is_some_and(|row| !row.state.satisfies())
    });
    if let Some(failed) = failed {
        let reason = format!("the step {} of pass {pass} has no result", failed.id);
        acts.push(set(StepState::Failed, Some(reason), None));
        return;
    }
    match next_of_loop(scope, (step, work), pass, world) {
        Ok(None) => {
            let next = scope.inner(step, Some(pass + 1));
            advance(run, &next, world, acts);
        }
        Ok(Some((state, reason, pass))) => {
            let chosen = scope.inner(step, Some(pass));
            let result = chosen.steps.last();
            let result = result.map(|last| ResultRef::Step(chosen.path(&last.id)));
            acts.push(set(state, reason, result));
        }
        Err(why) => acts.push(set(StepState::Failed, Some(why), None)),
    }
}

/// The end of a loop after a pass: its state, the reason and the pass with the result. `None`: another pass follows.
fn next_of_loop(
    scope: &StepScope<'_>,
    (step, work): (&Step, &LoopWork),
    pass: u64,
    world: &mut dyn World,
) -> Result<Option<(StepState, Option<String>, u64)>, String> {
    let inner = scope.inner(step, Some(pass));
    if let Some(until) = &work.until
        && world
            .holds(&inner, step, until)
            .map_err(|why| format!("`until`: {why}"))?
    {
        return Ok(Some((StepState::Done, None, pass)));
    }
    let last_of = |pass: u64| {
        let inner = scope.inner(step, Some(pass));
        inner.steps.last().map(|last| inner.path(&last.id))
    };
    let is_same = match work.same {
        Some(same) if pass >= same => {
            let paths: Vec<String> = (pass + 1 - same..=pass).filter_map(last_of).collect();
            world.are_equal(&paths)?
        }
        _ => false,
    };
    if pass < work.max && !is_same {
        return Ok(None);
    }
    let why = match is_same {
        true => format!("the results of {} passes are equal", work.same.unwrap_or(0)),
        false => format!("{pass} passes, which is its `max`"),
    };
    let state = match work.on_max.as_str() {
        "done" => StepState::Done,
        _ => StepState::Failed,
    };
    Ok(Some((
        state,
        Some(why),
        best_pass(scope, (step, work), pass, world)?,
    )))
}

/// The pass with the greatest score, the newest of equals; without `score` the last one.
pub(super) fn best_pass(
    scope: &StepScope<'_>,
    (step, work): (&Step, &LoopWork),
    passes: u64,
    world: &mut dyn World,
) -> Result<u64, String> {
    let Some(score) = &work.score else {
        return Ok(passes);
    };
    let mut best = (f64::NEG_INFINITY, passes);
    for pass in 1..=passes {
        let inner = scope.inner(step, Some(pass));
        let value = world.number(&inner, step, score);
        let value = value.map_err(|why| format!("`score`: {why}"))?;
        if value >= best.0 {
            best = (value, pass);
        }
    }
    Ok(best.1)
}

/// A race: the first step that is done wins, and the others are cancelled.
fn advance_race(
    run: &RunFacts<'_>,
    scope: &StepScope<'_>,
    step: &Step,
    world: &mut dyn World,
    acts: &mut Vec<Act>,
) {
    let inner = scope.inner(step, None);
    let states: BTreeMap<&str, &StepFacts> = inner
        .steps
        .iter()
        .filter_map(|step| Some((step.id.as_str(), run.rows.get(&inner.path(&step.id))?)))
        .collect();
    let winner = inner.steps.iter().find(|step| {
        let row = states.get(step.id.as_str());
        row.is_some_and(|row| matches!(row.state, StepState::Done | StepState::Partial))
    });
    let Some(winner) = winner else {
        if inner.is_over(run.rows) {
            acts.push(Act::Set {
                path: scope.path(&step.id),
                state: StepState::Failed,
                reason: Some("none of its steps is done".into()),
                total: None,
                result: None,
            });
        } else {
            advance(run, &inner, world, acts);
        }
        return;
    };
    let reason = format!("the step {} has won the race", winner.id);
    let others: Vec<Act> = run
        .rows
        .iter()
        .filter(|(path, row)| path.starts_with(&inner.prefix) && !row.state.is_final())
        .map(|(path, row)| cancel(path, row, &reason))
        .collect();
    let is_over = others.is_empty();
    acts.extend(others);
    if is_over {
        acts.push(Act::Set {
            path: scope.path(&step.id),
            state: StepState::Done,
            reason: Some(reason),
            total: None,
            result: Some(ResultRef::Step(inner.path(&winner.id))),
        });
    }
}

/// The next change of a step that is to be cancelled.
pub(super) fn cancel(path: &str, row: &StepFacts, reason: &str) -> Act {
    let (path, reason) = (path.to_owned(), reason.to_owned());
    match row.open {
        0 => Act::Set {
            path,
            state: StepState::Cancelled,
            reason: Some(reason),
            total: None,
            result: None,
        },
        _ => Act::CancelTasks { path, reason },
    }
}
