//! Wishes of clients about runs.

use super::change::APPLIED;
use super::retry::retry;
use super::{PlanOutcome, PlanRun, RunControl, RunWish};
use crate::backend::{Result, StoreFault};
use crate::core::{CommandResult, Core, wrong_state};
use crate::outcome::Outcome;
use crate::row::Flags;
use crate::sql::plan::{PutPlanText, SelectAskingSteps, SelectBusySteps};
use kirosu_protocol::{
    APPROVAL_REASON, BUDGET_REASON, Budget, Error, ErrorCode, PERSON_REASON, PlanText,
    RunRetryParams, RunState, Scope, Status, TaskId,
};
use std::collections::BTreeSet;

/// Wishes of one run that are not carried out yet.
const WISHES: usize = 100;

impl Core {
    pub(super) fn control_plan(
        &mut self,
        id: TaskId,
        control: &RunControl,
    ) -> CommandResult<Outcome> {
        let lane = self.known(id)?.lane;
        if !self.lanes.get(lane).is_some_and(|lane| lane.is_plan()) {
            let message = format!("task {id} is not a run of a plan; `kirosu runs` lists runs");
            return Err(self.wrong_state_of(id, message));
        }
        match control {
            RunControl::Pause => self.pause_run(id),
            RunControl::Resume => self.resume_run(id),
            RunControl::Raised => {
                self.note_raised(id)?;
                Ok(Outcome::Ok)
            }
            RunControl::Retry(what) => self.retry_run(id, what),
            RunControl::Replan {
                plan,
                unless_running,
            } => self.replan_run(id, plan, unless_running),
        }
    }

    /// A run that has begun, or the refusal.
    pub(super) fn begun_run(&mut self, verb: &str, id: TaskId) -> CommandResult<&mut PlanRun> {
        let row = self.known(id)?;
        if row.state.is_final() && row.flags.has(Flags::IN_PLAN) {
            self.check_step_goes_on(id)?;
        }
        if self.plan_run(id)?.is_none() {
            let row = self.known(id)?;
            let needed = "the run has not begun: `kirosu get` says what its task waits for";
            return Err(wrong_state(verb, row, needed).into());
        }
        match self.plan_run(id)? {
            Some(run) => Ok(run),
            None => Err(StoreFault::value("a run has left memory").into()),
        }
    }

    fn pause_run(&mut self, id: TaskId) -> CommandResult<Outcome> {
        let run = self.begun_run("pause", id)?;
        match run.state {
            RunState::Paused => {}
            state if state.is_final() => return Err(self.has_ended("pause", id)?.into()),
            _ => {
                (run.state, run.reason) = (RunState::Paused, None);
                self.touch_run(id);
            }
        }
        Ok(Outcome::Ok)
    }

    fn resume_run(&mut self, id: TaskId) -> CommandResult<Outcome> {
        // Other steps may go on while one waits.
        let asks = self.db.number(SelectAskingSteps { run_id: id }.into())? > Some(0);
        let run = self.begun_run("resume", id)?;
        match run.state {
            RunState::Open if run.agreed > 0 => {}
            RunState::Open if !asks => {
                let row = self.known(id)?;
                let needed = "the run is neither paused nor waits for a person";
                return Err(wrong_state("resume", row, needed).into());
            }
            state if state.is_final() => return Err(self.has_ended("resume", id)?.into()),
            RunState::Waiting
                if !asks && run.reason.as_deref().is_some_and(is_decided_elsewhere) =>
            {
                let reason = run.reason.clone().unwrap_or_default();
                let row = self.known(id)?;
                let needed = format!("it waits for something else: {reason}");
                return Err(wrong_state("resume", row, &needed).into());
            }
            state => {
                // A person has agreed: the steps that wait for one go on.
                run.agreed += i64::from(asks || state == RunState::Waiting);
                (run.state, run.reason) = (RunState::Open, None);
                self.touch_run(id);
            }
        }
        Ok(Outcome::Ok)
    }

    /// Whether a task is a run that is under way.
    pub(crate) fn is_live_run(&mut self, id: TaskId) -> CommandResult<bool> {
        let row = self.known(id)?;
        let (state, lane) = (row.state, row.lane);
        Ok(state == Status::Leased && self.lanes.get(lane).is_some_and(|lane| lane.is_plan()))
    }

    /// A person raises the budget of a run: by an amount, or by its first limit if it is used up. Tasks that wait for it run.
    pub(crate) fn approve_run(
        &mut self,
        id: TaskId,
        (by, comment): (Option<&str>, Option<&str>),
        raise: Option<Budget>,
    ) -> CommandResult<Outcome> {
        let trees = self.ledger.trees_of(&mut *self.db, id)?;
        let (own, now) = (Scope::Tree(id), self.now());
        let has_own = self.ledger.account(&mut *self.db, &own, now)?.is_some();
        // Without a budget of its own, that of the nearest run above it counts.
        let nearest = match has_own {
            true => Some(id),
            false => trees.last().copied(),
        };
        let Some(nearest) = nearest else {
            let row = self.known(id)?;
            let needed = "the run has no budget that could be raised";
            return Err(wrong_state("approve", row, needed).into());
        };
        match raise {
            Some(raise) => {
                let scope = Scope::Tree(nearest);
                let account = self.ledger.account(&mut *self.db, &scope, now)?;
                let limit = account.map(|account| account.limit).unwrap_or_default();
                let is_without =
                    |amount: Option<u64>, limit: Option<u64>| amount.is_some() && limit.is_none();
                if is_without(raise.tokens, limit.tokens) || is_without(raise.micros, limit.micros)
                {
                    let row = self.known(id)?;
                    let needed = match raise.tokens.is_some() && limit.tokens.is_none() {
                        true => "the budget has no limit in tokens",
                        false => "the budget has no limit in US dollars",
                    };
                    return Err(wrong_state("approve", row, needed).into());
                }
                self.raise_budget(&scope, raise)?;
            }
            None => {
                let mut trees = trees.clone();
                trees.push(nearest);
                trees.dedup();
                let scopes: Vec<Scope> = trees.into_iter().map(Scope::Tree).collect();
                self.raise_exhausted(&scopes)?;
            }
        }
        self.decide(id, "approved", by, comment)?;
        self.report_by(id, "approved", by);
        // A run with a budget passes it on to all runs below it.
        let runs: BTreeSet<TaskId> = trees.into_iter().chain([nearest, id]).collect();
        for run in runs {
            self.note_raised(run)?;
        }
        Ok(Outcome::Ok)
    }

    fn note_raised(&mut self, id: TaskId) -> Result<()> {
        if let Some(run) = self.plan_run(id)?
            && !run.state.is_final()
        {
            run.raised += 1;
            self.touch_run(id);
        }
        Ok(())
    }

    /// The conductor carries out the wishes of a run, which may be paused or have ended.
    pub(super) fn go_on(&mut self, id: TaskId) -> CommandResult<Outcome> {
        let status = self.known(id)?.state;
        if let Some(run) = self.plan_run(id)?
            && run.state == RunState::Paused
            && !status.is_final()
        {
            run.state = RunState::Open;
        }
        match status {
            Status::Failed | Status::Cancelled => drop(self.retry(id)?),
            Status::Done => {
                self.bring_back(id);
                self.report(id, "retried");
            }
            _ => {}
        }
        Ok(Outcome::Ok)
    }

    fn has_ended(&mut self, verb: &str, id: TaskId) -> CommandResult<Error> {
        let row = self.known(id)?;
        let needed = "the run has ended; `kirosu run retry` repeats what failed";
        Ok(wrong_state(verb, row, needed))
    }

    fn replan_run(
        &mut self,
        id: TaskId,
        plan: &PlanText,
        unless_running: &[String],
    ) -> CommandResult<Outcome> {
        self.begun_run("resume", id)?;
        self.flush_plans()?;
        for step in self.db.ids(SelectBusySteps { run_id: id }.into())? {
            let path = self.plan_step(step)?.map(|step| step.path.clone());
            let path = path.unwrap_or_default();
            let step = path.split(['[', '.']).next().unwrap_or_default();
            if unless_running.iter().any(|other| other == step) {
                let message = format!(
                    "tasks of the step {path} run; pause the run and wait for them, or let them be cancelled (`--cancel-changed`)"
                );
                return Err(self.wrong_state_of(id, message));
            }
        }
        let has_ended = self.known(id)?.state.is_final();
        let wish = RunWish {
            plan: Some(plan.clone()),
            repeats_failed: has_ended,
            ..retry(&RunRetryParams::default())
        };
        self.wish(id, wish)?;
        self.go_on(id)
    }

    pub(super) fn wish(&mut self, id: TaskId, what: RunWish) -> CommandResult<()> {
        let run = self.begun_run("retry", id)?;
        let mut wishes = wishes(run)?;
        if wishes.last() == Some(&what) {
            return Ok(());
        }
        if what.plan.is_some() && wishes.iter().any(|wish| wish.plan.is_some()) {
            let message = format!("the run {id} is just going over to another plan; try again");
            return Err(Error::new(ErrorCode::Busy, message).into());
        }
        if wishes.len() >= WISHES {
            let message = format!(
                "the run {id} has {WISHES} such requests that it has not carried out yet; wait for them"
            );
            return Err(Error::new(ErrorCode::Busy, message).into());
        }
        wishes.push(what);
        run.wishes = stored(&wishes)?;
        self.touch_run(id);
        Ok(())
    }

    /// The run goes on with the plan of its oldest wish.
    pub(super) fn replan(
        &mut self,
        id: TaskId,
        hash: &str,
        budget: Option<Budget>,
    ) -> Result<PlanOutcome> {
        let Some(run) = self.plan_run(id)? else {
            return Ok(PlanOutcome::default());
        };
        let mut wishes = wishes(run)?;
        let plan = wishes.first_mut().and_then(|wish| wish.plan.take());
        let Some(plan) = plan else {
            return Ok(PlanOutcome::default());
        };
        // A plain retry repeats the failed items of steps that it keeps.
        if !wishes[0].repeats_failed {
            wishes.remove(0);
        }
        run.wishes = stored(&wishes)?;
        (run.hash, run.reason) = (Some(hash.to_owned()), None);
        self.touch_run(id);
        self.open_plan_budget(id, budget)?;
        let plan = serde_json::to_string(&plan).map_err(StoreFault::value)?;
        self.write(PutPlanText {
            run_id: id,
            plan: &plan,
        })?;
        Ok(APPLIED)
    }

    /// Removes the oldest wish.
    pub(super) fn fulfil(&mut self, id: TaskId) -> Result<PlanOutcome> {
        let Some(run) = self.plan_run(id)? else {
            return Ok(PlanOutcome::default());
        };
        let mut wishes = wishes(run)?;
        if wishes.is_empty() {
            return Ok(PlanOutcome::default());
        }
        wishes.remove(0);
        run.wishes = stored(&wishes)?;
        self.touch_run(id);
        Ok(APPLIED)
    }
}

/// Whether a run with this reason goes on with a decision about something else than its steps.
fn is_decided_elsewhere(reason: &str) -> bool {
    let others = [PERSON_REASON, BUDGET_REASON, APPROVAL_REASON];
    others.iter().any(|other| reason.starts_with(other))
}

fn stored(wishes: &[RunWish]) -> Result<Option<String>> {
    match wishes.is_empty() {
        true => Ok(None),
        false => Ok(Some(
            serde_json::to_string(wishes).map_err(StoreFault::value)?,
        )),
    }
}

fn wishes(run: &PlanRun) -> Result<Vec<RunWish>> {
    let Some(text) = &run.wishes else {
        return Ok(Vec::new());
    };
    serde_json::from_str(text).map_err(StoreFault::value)
}
