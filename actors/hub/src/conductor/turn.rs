//! One turn of a run: from its rows to the commands that change it.

use super::context::StepValues;
use super::expand::{gives_one_each, has_batches};
use super::live_run::{LiveRun, RunSnapshot};
use super::results::Results;
use super::wishes::wishes;
use super::world::RunWorld;
use kirosu_plan::advance::{Act, ResultRef, RunFacts, advance, find, waits};
use kirosu_plan::limits::CONCURRENCY_MAX;
use kirosu_plan::{Plan, StopMode, Work};
use kirosu_protocol::budget::micros_of;
use kirosu_protocol::{Ack, Budget, FailureClass, RunState, StepState, TaskId};
use kirosu_store::{
    Command, NewStep, PlanChange, PlanOrder, RunStep, StepChange, StepId, StoreReader,
};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Items that one command cancels or resets.
const ITEMS: u32 = 200;

/// Everything that a turn needs besides the run.
pub(super) struct TurnInput<'a> {
    pub store: &'a mut StoreReader,
    /// Open tasks that a step may have, unless it sets the number itself.
    pub window: u64,
    /// The pools of this process.
    pub pools: &'a [String],
    /// Unix milliseconds.
    pub now_ms: i64,
}

/// The outcome of a turn.
pub(super) enum Turn {
    /// These commands are next, each with the path of the step that it concerns. Empty: the run waits for its tasks.
    Commands(Vec<(Command, Option<String>)>),
    /// The run has ended.
    Over,
}

/// Decides the next commands of a run.
///
/// # Errors
/// The store cannot be read: the turn is to be taken again.
pub(super) fn take(live: &mut LiveRun, around: &mut TurnInput<'_>) -> Result<Turn, String> {
    let read = around.store.plan_run(live.id);
    let Some((run, steps)) = read.map_err(|why| why.to_string())? else {
        return Ok(Turn::Over);
    };
    if run.ended_ms.is_some() {
        return Ok(Turn::Over);
    }
    let plan = match &live.plan {
        Ok(plan) => plan.clone(),
        Err(why) => {
            let failed = Ack::failed(
                live.id,
                Some(live.fence),
                FailureClass::BadInput,
                why.clone(),
            );
            // Nothing of it can be repeated: a retry that is left would bring it back.
            let left = wishes(&run)?.len();
            let fulfil = || {
                let (run, fence, change) = (live.id, live.fence, PlanChange::Fulfil);
                let command = PlanOrder::Change { run, fence, change };
                (Command::Plan(Box::new(command)), None)
            };
            let mut commands: Vec<_> = (0..left).map(|_| fulfil()).collect();
            commands.push((Command::Ack(Box::new(failed)), None));
            return Ok(Turn::Commands(commands));
        }
    };
    live.is_waiting = run.state == RunState::Waiting;
    live.is_paused = run.state == RunState::Paused || is_above_paused(around.store, &live.above)?;
    let snapshot = RunSnapshot::new(run, steps);
    live.forget_lists(&snapshot);
    let mut turn = RunTurn {
        plan,
        live,
        snapshot,
        commands: Vec::new(),
    };
    turn.decide(around)?;
    Ok(Turn::Commands(turn.commands))
}

/// Whether one of these runs is paused.
fn is_above_paused(store: &mut StoreReader, above: &[TaskId]) -> Result<bool, String> {
    for run in above {
        let state = store.run_state(*run).map_err(|why| why.to_string())?;
        if state == Some(RunState::Paused) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The decisions of one turn.
pub(super) struct RunTurn<'a> {
    pub plan: Arc<Plan>,
    pub live: &'a mut LiveRun,
    pub snapshot: RunSnapshot,
    pub commands: Vec<(Command, Option<String>)>,
}

impl RunTurn<'_> {
    pub fn change(&mut self, path: Option<&str>, change: PlanChange) {
        let command = PlanOrder::Change {
            run: self.live.id,
            fence: self.live.fence,
            change,
        };
        self.commands
            .push((Command::Plan(Box::new(command)), path.map(str::to_owned)));
    }

    fn decide(&mut self, around: &mut TurnInput<'_>) -> Result<(), String> {
        if self.snapshot.run.hash.is_none() {
            let (name, hash) = (self.live.name(), self.live.hash.clone());
            let budget = budget_of(&self.plan);
            self.change(None, PlanChange::Name { name, hash, budget });
        }
        self.live.wake_at = None;
        if let Some(deadline) = self.plan.limits.deadline_ms {
            let age = i64::try_from(deadline).unwrap_or(i64::MAX);
            let at = self.snapshot.run.started_ms.saturating_add(age);
            if around.now_ms >= at {
                let seconds = deadline / 1000;
                let reason =
                    format!("limit: the run is older than {seconds} s, its `limits.deadline`");
                self.end(around, RunState::Failed, Some(reason), None);
                return Ok(());
            }
            self.wake_at(at);
        }
        if self.time_out(around) {
            return Ok(());
        }
        if let Some(wish) = self.wish()? {
            match &wish.plan {
                Some(plan) => self.replan(plan),
                None => self.repeat(&wish.retry),
            }
            return Ok(());
        }
        if self.snapshot.run.agreed > 0 {
            self.agree();
            return Ok(());
        }
        if self.snapshot.run.raised > 0 {
            return self.let_run(around);
        }
        if self.fail_faulty() {
            return Ok(());
        }
        if self.live.is_paused {
            self.withdraw();
        }
        let acts = self.acts(around);
        let waits = acts.iter().any(|act| matches!(act, Act::Wait { .. }));
        if self.snapshot.run.state == RunState::Waiting && !waits && !acts.is_empty() {
            let (state, reason) = (RunState::Open, None);
            self.change(None, PlanChange::SetRun { state, reason });
        }
        if acts.is_empty() && !self.live.is_paused {
            self.note_held(around)?;
        }
        for act in acts {
            self.act(around, act);
        }
        Ok(())
    }

    /// The run is to be looked at again at a time in Unix milliseconds.
    pub fn wake_at(&mut self, at: i64) {
        let earliest = self.live.wake_at.map_or(at, |earliest| earliest.min(at));
        self.live.wake_at = Some(earliest);
    }

    fn acts(&mut self, around: &mut TurnInput<'_>) -> Vec<Act> {
        let run = RunFacts {
            plan: &self.plan,
            rows: &self.snapshot.rows,
            made: u64::try_from(self.snapshot.run.made).unwrap_or(0),
            is_paused: self.live.is_paused,
            // The share of a run among others is that of its open tasks.
            window: (around.window.saturating_mul(u64::from(self.plan.weight)))
                .min(CONCURRENCY_MAX),
        };
        let mut world = RunWorld {
            values: StepValues {
                live: self.live,
                snapshot: &self.snapshot,
                results: Results {
                    store: around.store,
                },
                files: BTreeSet::new(),
            },
            lists: BTreeMap::new(),
            known: &self.live.lists,
        };
        let acts = advance(&run, &mut world);
        let lists = world.lists;
        self.live.lists.extend(lists);
        acts
    }

    /// The run is paused: tasks that have not begun are made again when it goes on.
    fn withdraw(&mut self) {
        let open = self.snapshot.steps.iter().filter(|(_, step)| step.open > 0);
        let open: Vec<(String, StepId)> =
            open.map(|(path, step)| (path.clone(), step.id)).collect();
        for (path, step) in open {
            let limit = ITEMS;
            self.change(Some(&path), PlanChange::Withdraw { step, limit });
        }
    }

    pub fn cancel(&mut self, path: &str, reason: &str) {
        if let Some(step) = self.snapshot.steps.get(path) {
            let change = PlanChange::CancelTasks {
                step: step.id,
                reason: reason.to_owned(),
                limit: ITEMS,
            };
            self.change(Some(path), change);
        }
    }

    pub fn set(
        &mut self,
        path: &str,
        state: StepState,
        reason: Option<String>,
        total: Option<u64>,
        result: Option<ResultRef>,
    ) {
        let Some(step) = self.snapshot.steps.get(path) else {
            return;
        };
        let change = StepChange {
            total: total.and_then(|total| i64::try_from(total).ok()),
            result: result.and_then(|result| serde_json::to_string(&result).ok()),
            ..change_of(step, state, reason)
        };
        self.change(Some(path), PlanChange::Set(change));
    }

    /// A person has agreed: the steps that waited for one go on.
    fn agree(&mut self) {
        let waiting = self.snapshot.rows.iter().filter(|(_, row)| {
            let reason = row.reason.as_deref();
            row.state == StepState::Open && matches!(reason, Some(waits::BREAKER | waits::SAMPLE))
        });
        let waiting: Vec<String> = waiting.map(|(path, _)| path.clone()).collect();
        for path in waiting {
            if let Some(step) = self.snapshot.steps.get(&path) {
                let reason = Some(waits::AGREED.to_owned());
                let change = StepChange {
                    // Items that end meanwhile change nothing about the agreement.
                    ended: None,
                    ..change_of(step, StepState::Open, reason)
                };
                self.change(Some(&path), PlanChange::Set(change));
            }
        }
        let (agreed, raised) = (self.snapshot.run.agreed, 0);
        self.change(None, PlanChange::Decided { agreed, raised });
        let (state, reason) = (RunState::Open, None);
        self.change(None, PlanChange::SetRun { state, reason });
    }

    /// Ends the steps that cannot go on. Returns whether there are some.
    fn fail_faulty(&mut self) -> bool {
        let faults = std::mem::take(&mut self.live.faults);
        let mut any = false;
        for (path, why) in &faults {
            let row = self.snapshot.rows.get(path);
            let Some(row) = row.filter(|row| row.state == StepState::Open) else {
                continue;
            };
            self.live.faults.insert(path.clone(), why.clone());
            match row.open {
                0 => self.set(path, StepState::Failed, Some(why.clone()), None, None),
                _ if self.drains(path) => continue,
                _ => self.cancel(path, why),
            }
            any = true;
        }
        any
    }

    /// Whether the running tasks of a step that fails go on.
    fn drains(&self, path: &str) -> bool {
        let found = find(&self.plan, path);
        found.is_some_and(|found| match &found.step.work {
            Work::Map(map) => map.stop == StopMode::Drain,
            _ => false,
        })
    }

    fn act(&mut self, around: &mut TurnInput<'_>, act: Act) {
        match act {
            Act::Open {
                path,
                kind,
                state,
                reason,
                total,
                merges,
            } => {
                let total = total.and_then(|total| i64::try_from(total).ok());
                self.open(path, kind, (state, reason), total, merges);
            }
            Act::Expand { path, again, count } => self.expand(around, &path, again, count),
            Act::Set {
                path,
                state,
                reason,
                total,
                result,
            } => self.set(&path, state, reason, total, result),
            Act::CancelTasks { path, reason } => self.cancel(&path, &reason),
            Act::Wait { reason } => {
                let run = &self.snapshot.run;
                let is_known =
                    run.state == RunState::Waiting && run.reason.as_ref() == Some(&reason);
                if !is_known && run.state != RunState::Paused {
                    let (state, reason) = (RunState::Waiting, Some(reason));
                    self.change(None, PlanChange::SetRun { state, reason });
                }
            }
            Act::End {
                state,
                reason,
                result,
            } => self.end(around, state, reason, result),
        }
    }

    fn open(
        &mut self,
        path: String,
        kind: &'static str,
        (state, reason): (StepState, Option<String>),
        total: Option<i64>,
        merges: Option<String>,
    ) {
        if let Some(step) = self.snapshot.steps.get(&path) {
            let change = StepChange {
                total,
                merges,
                ..change_of(step, state, reason)
            };
            self.change(Some(&path), PlanChange::Set(change));
            return;
        }
        let found = find(&self.plan, &path);
        let has_batches = found.as_ref().is_some_and(|found| has_batches(found.step));
        let gives_one_each = found.is_some_and(|found| gives_one_each(found.step));
        let new = NewStep {
            path: path.clone(),
            each: has_batches && gives_one_each,
            shared: has_batches && !gives_one_each,
            kind: kind.to_owned(),
            state,
            reason,
            total,
            merges,
        };
        self.change(Some(&path), PlanChange::Open(new));
    }

    fn expand(&mut self, around: &mut TurnInput<'_>, path: &str, again: bool, count: u64) {
        if self.live.faults.contains_key(path) {
            return;
        }
        let plan = self.plan.clone();
        let (Some(found), Some(row)) = (find(&plan, path), self.snapshot.steps.get(path)) else {
            return;
        };
        let mut piece = self.live.piece.take();
        let mut world = RunWorld {
            values: StepValues {
                live: self.live,
                snapshot: &self.snapshot,
                results: Results {
                    store: around.store,
                },
                files: BTreeSet::new(),
            },
            lists: BTreeMap::new(),
            known: &self.live.lists,
        };
        let expansion = world.expansion(
            &found,
            row,
            (again, count),
            (around.pools, around.now_ms),
            &mut piece,
        );
        let lists = world.lists;
        self.live.lists.extend(lists);
        self.live.piece = piece;
        match expansion {
            Ok(expansion) if expansion.items.is_empty() => {}
            Ok(expansion) => self.change(Some(path), PlanChange::Expand(expansion)),
            Err(why) => {
                self.live.faults.insert(path.to_owned(), why);
                self.fail_faulty();
            }
        }
    }
}

/// The budget that a plan sets for its run.
pub(super) fn budget_of(plan: &Plan) -> Option<Budget> {
    let limits = &plan.limits;
    let budget = Budget {
        tokens: limits.tokens,
        micros: limits.usd.map(micros_of),
    };
    Some(budget).filter(|budget| !budget.is_empty())
}

/// A change of a step's state, decided on its present row.
fn change_of(step: &RunStep, state: StepState, reason: Option<String>) -> StepChange {
    StepChange {
        step: step.id,
        version: step.version,
        ended: Some(step.ended()),
        state,
        reason,
        total: None,
        result: None,
        merges: None,
    }
}
