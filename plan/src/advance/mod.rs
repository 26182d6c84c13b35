//! The next changes of a run: a pure function of the plan and of the rows of its steps.
//!
//! [`advance`] looks at the whole run each time and remembers nothing, so a caller that was killed between two changes goes on
//! with the same decisions. Questions about results (conditions, lists of items, votes) go to a [`World`].
//!
//! A *scope* is a list of steps with the prefix of their paths: that of the plan has none, pass 2 of the loop `polish` has
//! `polish[2].`, the race `r` has `r.`.

mod items;
mod merge;
mod reduce_shape;
mod ref_of;
mod repeat;
mod scope;
mod staged;

pub use items::items_per_task;
pub use reduce_shape::ReduceShape;
pub use ref_of::ResultRef;
pub use repeat::{Repeat, Repeats, repeats};
pub use scope::{Found, StepScope, find};
pub use staged::PlannerStage;

use crate::compiled::{Plan, Step, Work};
use crate::limits::BEGUN_STEPS;
use kirosu_protocol::{PERSON_REASON, RunState, StepState};
use std::collections::BTreeMap;

/// The row of a step, as far as decisions depend on it.
#[derive(Clone, Debug, PartialEq)]
pub struct StepFacts {
    /// The state; a step that is to begin anew is pending.
    pub state: StepState,
    /// The reason, or what it waits for.
    pub reason: Option<String>,
    /// The number of items; `None`: not known.
    pub total: Option<u64>,
    /// Items that have a row.
    pub cursor: u64,
    /// Items whose tasks are to be made again.
    pub waiting: u64,
    /// Items whose tasks have not ended.
    pub open: u64,
    /// Items that are done.
    pub done: u64,
    /// Items that failed.
    pub failed: u64,
    /// Items whose tasks were cancelled.
    pub cancelled: u64,
    /// The newest ends in a row that failed with one class.
    pub streak: u64,
    /// That class.
    pub class: Option<String>,
    /// Where the result is.
    pub result: Option<ResultRef>,
    /// Whether it is a reduce that began while the step went on whose results it merges.
    pub began_early: bool,
}

impl StepFacts {
    /// A step that has begun, without items.
    pub fn open(total: Option<u64>) -> StepFacts {
        StepFacts {
            state: StepState::Open,
            reason: None,
            total,
            cursor: 0,
            waiting: 0,
            open: 0,
            done: 0,
            failed: 0,
            cancelled: 0,
            streak: 0,
            class: None,
            result: None,
            began_early: false,
        }
    }

    /// Items that have ended.
    pub fn ended(&self) -> u64 {
        self.done + self.failed + self.cancelled
    }

    /// Whether all items have ended.
    pub fn is_complete(&self) -> bool {
        self.waiting == 0 && self.open == 0 && self.total == Some(self.cursor)
    }

    pub(crate) fn has_begun(&self) -> bool {
        self.state != StepState::Pending
    }
}

/// The rows of a run, by path.
pub type StepRows = BTreeMap<String, StepFacts>;

/// A run as it is now.
#[derive(Debug)]
pub struct RunFacts<'a> {
    /// Its plan.
    pub plan: &'a Plan,
    /// The rows of its steps.
    pub rows: &'a StepRows,
    /// The tasks that its steps have made.
    pub made: u64,
    /// Whether nothing new may start.
    pub is_paused: bool,
    /// Open tasks that a step may have, unless it sets the number itself.
    pub window: u64,
}

/// The reasons for which a step waits. They are stored and shown.
pub mod waits {
    /// Too many items failed in a row with one class.
    pub const BREAKER: &str = "breaker";
    /// The sample is done, and a person must agree.
    pub const SAMPLE: &str = "sample";
    /// A person is asked whether the plan of a planner may run.
    pub const PERSON: &str = "person";
    /// A person has let the step go on.
    pub const AGREED: &str = "agreed";
}

/// A change of a run.
#[derive(Clone, Debug, PartialEq)]
pub enum Act {
    /// A step begins, or ends without having begun.
    Open {
        /// Its path.
        path: String,
        /// Its kind.
        kind: &'static str,
        /// Its state.
        state: StepState,
        /// The reason for the state.
        reason: Option<String>,
        /// The number of its items.
        total: Option<u64>,
        /// The path of the step whose results it merges while that step goes on.
        merges: Option<String>,
    },
    /// Tasks are made for some items of a step.
    Expand {
        /// Its path.
        path: String,
        /// Whether the items are some that wait; otherwise they are the next ones.
        again: bool,
        /// At most this many.
        count: u64,
    },
    /// A step changes.
    Set {
        /// Its path.
        path: String,
        /// The state.
        state: StepState,
        /// The reason.
        reason: Option<String>,
        /// The number of items, if it changes.
        total: Option<u64>,
        /// Where the result is, if that is known now.
        result: Option<ResultRef>,
    },
    /// Open tasks of a step are cancelled.
    CancelTasks {
        /// Its path.
        path: String,
        /// The reason.
        reason: String,
    },
    /// The run waits for a person.
    Wait {
        /// The reason.
        reason: String,
    },
    /// The run ends.
    End {
        /// The state.
        state: RunState,
        /// The reason.
        reason: Option<String>,
        /// Where the result is.
        result: Option<ResultRef>,
    },
}

/// Answers to questions about results. An error is the reason for which the step fails.
pub trait World {
    /// Whether an expression of a step holds.
    fn holds(
        &mut self,
        scope: &StepScope<'_>,
        step: &Step,
        expression: &str,
    ) -> Result<bool, String>;

    /// The value of an expression that is a number, in the scope of a pass.
    fn number(
        &mut self,
        scope: &StepScope<'_>,
        step: &Step,
        expression: &str,
    ) -> Result<f64, String>;

    /// The number of items of a map.
    fn items(&mut self, scope: &StepScope<'_>, step: &Step) -> Result<u64, String>;

    /// Whether these steps have equal results.
    fn are_equal(&mut self, paths: &[String]) -> Result<bool, String>;

    /// The position of the answer of a vote that most answers equal, if it is a majority of `n`.
    fn majority(&mut self, path: &str, n: u64, key: Option<&str>) -> Result<Option<u64>, String>;

    /// The position of the answer that the judge of a vote has chosen; `None`: its own answer is the result.
    fn chosen(&mut self, path: &str, n: u64) -> Result<Option<u64>, String>;

    /// The number of a step's items before the first one that has not ended.
    fn ended_first(&mut self, path: &str) -> Result<u64, String>;

    /// The number of a step's items before the first one that is not done.
    fn done_first(&mut self, path: &str) -> Result<u64, String>;

    /// The stage of a planner whose items have ended.
    fn planner(&mut self, path: &str) -> Result<PlannerStage, String>;

    /// The decision about an approval whose task has ended.
    fn decision(&mut self, path: &str) -> Result<(), String>;
}

/// The next changes of a run; empty if it waits for its tasks.
pub fn advance(run: &RunFacts<'_>, world: &mut dyn World) -> Vec<Act> {
    let mut acts = Vec::new();
    // Tasks that run go on: their results count.
    let has_open = run.rows.values().any(|row| row.open > 0);
    if run.made >= run.plan.limits.tasks && !has_open && !is_over(run) {
        let limit = run.plan.limits.tasks;
        acts.push(Act::End {
            state: RunState::Failed,
            reason: Some(format!(
                "limit: the run has made {limit} tasks, which is its limit `tasks`"
            )),
            result: None,
        });
        return acts;
    }
    if run.rows.len() >= BEGUN_STEPS {
        acts.push(Act::End {
            state: RunState::Failed,
            reason: Some(format!(
                "limit: {BEGUN_STEPS} steps have begun, counted once per pass of loops, which is the most of a run"
            )),
            result: None,
        });
        return acts;
    }
    let scope = StepScope::of_plan(run.plan);
    scope::advance(run, &scope, world, &mut acts);
    if acts.is_empty() && scope.is_over(run.rows) {
        acts.push(end(run));
    } else if acts.is_empty()
        && let Some(reason) = waits_for_person(run)
    {
        acts.push(Act::Wait { reason });
    }
    acts
}

/// Whether nothing is left to make: a run that has just reached its limit ends as its steps did.
fn is_over(run: &RunFacts<'_>) -> bool {
    run.rows
        .values()
        .all(|row| row.state.is_final() || (row.waiting == 0 && row.total == Some(row.cursor)))
        && StepScope::of_plan(run.plan).has_begun(run.rows)
}

/// The reason for which a run waits for a person: a step does, and nothing else is under way.
fn waits_for_person(run: &RunFacts<'_>) -> Option<String> {
    let open = run
        .rows
        .iter()
        .filter(|(_, row)| row.state == StepState::Open);
    let mut reason = None;
    for (path, row) in open {
        match row.reason.as_deref() {
            Some(why @ (waits::BREAKER | waits::SAMPLE)) => {
                let class = row.class.as_deref().unwrap_or("one class");
                reason.get_or_insert(match why {
                    waits::BREAKER if row.streak < row.failed && row.done == 0 => format!(
                        "breaker: {} items of the step {path} failed and none is done, the last ones with {class}",
                        row.failed
                    ),
                    waits::BREAKER => format!(
                        "breaker: {} items of the step {path} failed in a row with {class}",
                        row.streak
                    ),
                    _ => format!(
                        "sample: {} items of the step {path} are done, and the others wait for a person",
                        row.done
                    ),
                });
            }
            _ if row.open > 0 && is_question(run.plan, path, row) => {
                reason.get_or_insert(format!("{PERSON_REASON}the step {path} asks a question"));
            }
            _ if row.open > 0 => return None,
            _ => {}
        }
    }
    reason
}

/// Whether the open task of a step is a question to a person.
fn is_question(plan: &Plan, path: &str, row: &StepFacts) -> bool {
    let is_approval = |step: &Step| matches!(step.work, Work::Approve(_));
    row.reason.as_deref() == Some(waits::PERSON)
        || find(plan, path).is_some_and(|found| is_approval(found.step))
}

/// The state in which a run ends after the steps that have ended; open while another one is left, apart from those with
/// `always`.
pub fn outlook(plan: &Plan, rows: &StepRows) -> RunState {
    let is_over = |step: &Step| rows.get(&step.id).is_some_and(|row| row.state.is_final());
    match plan
        .pipeline
        .iter()
        .all(|step| step.always || is_over(step))
    {
        true => ended(plan, rows).0,
        false => RunState::Open,
    }
}

/// The state of a run whose steps have ended, and the step that failed it.
fn ended<'p>(plan: &'p Plan, rows: &StepRows) -> (RunState, Option<&'p Step>) {
    let steps = &plan.pipeline;
    let row = |step: &Step| rows.get(&step.id);
    let failed = steps.iter().find(|step| {
        let failed = [StepState::Failed, StepState::Cancelled];
        !step.may_fail && row(step).is_some_and(|row| failed.contains(&row.state))
    });
    // A step with `always` that asks for the state is not over itself.
    let lost = steps.iter().filter_map(row).filter(|row| {
        row.state.is_final() && !matches!(row.state, StepState::Done | StepState::Skipped)
    });
    let state = match failed {
        Some(_) => RunState::Failed,
        None if lost.count() > 0 => RunState::Partial,
        None => RunState::Done,
    };
    (state, failed)
}

/// The end of a run whose steps have ended.
fn end(run: &RunFacts<'_>) -> Act {
    let steps = &run.plan.pipeline;
    let row = |step: &Step| run.rows.get(&step.id);
    let (state, failed) = ended(run.plan, run.rows);
    let reason = failed.map(|step| {
        let why = row(step).and_then(|row| row.reason.clone());
        match why {
            Some(why) => format!("the step {} failed: {why}", step.id),
            None => format!("the step {} failed", step.id),
        }
    });
    // The result of a run is that of the last step that has one; steps with `always` come after the work.
    let last = steps.iter().rev().filter(|step| !step.always);
    let result = last
        .filter(|step| row(step).is_some_and(|row| row.state.satisfies() && row.result.is_some()))
        .map(|step| ResultRef::Step(step.id.clone()))
        .next();
    Act::End {
        state,
        reason,
        result,
    }
}

#[cfg(test)]
mod merge_tests;
#[cfg(test)]
mod tests;
