//! Changes of runs by the hub, guarded by the fence of the run and the version of the step.

use super::{
    CONDUCTOR, NewStep, PlanChange, PlanOrder, PlanOutcome, PlanRun, ResetItems, RunStep,
    StepChange, StepId,
};
use crate::backend::Result;
use crate::core::{CommandResult, Core};
use crate::outcome::Outcome;
use crate::row::{Flags, TaskRow};
use crate::rules::transition::{self, LeaseHolder};
use crate::sql::plan::{
    DeleteSomeItems, DropCachedItem, DropCachedItems, ResetItem, SelectHeldTasks, SelectItemByKey,
    SelectItemState, SelectLostItems, SelectOpenTasks, SelectQueuedTasks, SelectStepAt,
    WithdrawItems,
};
use crate::sql::task::{SelectReady, SelectReadyInPlan};
use kirosu_protocol::{
    Budget, FailureClass, Fence, ItemState, RunState, Scope, Status, StepState, Task, TaskBudget,
    TaskId,
};
use std::sync::Arc;

/// The answer to a command whose guard did not hold.
const STALE: PlanOutcome = PlanOutcome { applied: false };
/// The answer to a command that was carried out.
pub(super) const APPLIED: PlanOutcome = PlanOutcome { applied: true };

impl Core {
    /// Carries out a command about runs of plans.
    pub(crate) fn plan(&mut self, command: &PlanOrder) -> CommandResult<Outcome> {
        match command {
            PlanOrder::Take { limit, below } => {
                Ok(Outcome::Leased(self.take_plans(*limit, *below)?))
            }
            PlanOrder::Change { run, fence, change } => {
                // The ends of tasks that precede the command in its batch count for its guard.
                self.settle_plans()?;
                Ok(Outcome::Plan(self.change_plan(*run, *fence, change)?))
            }
            PlanOrder::Control { run, control } => self.control_plan(*run, control),
            PlanOrder::AddItems {
                source,
                first,
                items,
                count,
            } => self.add_items(*source, *first, items, *count),
        }
    }

    /// Leases queued tasks of the type `plan` without a deadline: their holder is this process.
    fn take_plans(&mut self, limit: u32, below: bool) -> Result<Vec<Task>> {
        self.flush_rows()?;
        let mut ready = Vec::new();
        let limit = i64::from(limit);
        for lane in self.lanes.ready_plans() {
            ready.extend(
                self.db.tasks(match below {
                    true => SelectReadyInPlan {
                        lane,
                        flag: Flags::IN_PLAN,
                        limit,
                    }
                    .into(),
                    false => SelectReady { lane, limit }.into(),
                })?,
            );
        }
        ready.sort_by_key(|row| (-i64::from(row.priority), row.id));
        ready.truncate(limit as usize);
        let mut tasks = Vec::with_capacity(ready.len());
        let holder = LeaseHolder {
            worker: Arc::from(CONDUCTOR),
            session: None,
            key: None,
        };
        for row in ready {
            let (id, now) = (row.id, self.now());
            self.tasks.cache(row);
            let at = (self.fence_base, now);
            self.change(id, |row| {
                transition::lease(row, holder.clone(), 0, at);
                // It ends with a decision only: its holder is this process, whose end loses nothing.
                (row.lease_until, row.lease_ms) = (None, None);
            });
            self.report(id, "leased");
            if self.plan_run(id)?.is_none() {
                let run = PlanRun {
                    task_id: id,
                    state: RunState::Open,
                    reason: None,
                    name: None,
                    hash: None,
                    made: 0,
                    wishes: None,
                    started_ms: now,
                    ended_ms: None,
                    agreed: 0,
                    raised: 0,
                };
                self.plans.runs.insert(id, run);
                self.touch_run(id);
            }
            tasks.extend(self.leased_task(id, true)?);
        }
        Ok(tasks)
    }

    fn change_plan(
        &mut self,
        run: TaskId,
        fence: Fence,
        change: &PlanChange,
    ) -> CommandResult<PlanOutcome> {
        let row = self.row(run)?;
        if !row.is_some_and(|row| row.state == Status::Leased && row.fence == fence) {
            return Ok(STALE);
        }
        Ok(match change {
            PlanChange::Name { name, hash, budget } => {
                self.open_plan_budget(run, *budget)?;
                if let Some(row) = self.plan_run(run)? {
                    (row.name, row.hash) = (name.clone(), Some(hash.clone()));
                    self.touch_run(run);
                }
                APPLIED
            }
            PlanChange::Open(new) => self.open_step(run, new)?,
            PlanChange::Expand(expansion) => self.expand(run, expansion)?,
            PlanChange::Set(change) => self.set_step(run, change)?,
            PlanChange::CancelTasks {
                step,
                reason,
                limit,
            } => self.cancel_tasks(*step, reason, *limit)?,
            PlanChange::Reset {
                step,
                version,
                items,
                limit,
            } => self.reset_items(run, (*step, *version), items, *limit)?,
            PlanChange::Withdraw { step, limit } => self.withdraw_tasks(run, *step, *limit)?,
            PlanChange::LetRun { step, limit } => self.let_run(*step, *limit)?,
            PlanChange::SetRun { state, reason } => self.set_run(run, *state, reason.as_deref())?,
            PlanChange::Fulfil => self.fulfil(run)?,
            PlanChange::Replan { hash, budget } => self.replan(run, hash, *budget)?,
            PlanChange::Decided { agreed, raised } => self.decided(run, *agreed, *raised)?,
        })
    }

    /// Opens the budget that a plan sets, unless its task was enqueued with one for its tree.
    pub(super) fn open_plan_budget(&mut self, run: TaskId, budget: Option<Budget>) -> Result<()> {
        let (own, now) = (Scope::Tree(run), self.now());
        if self.ledger.account(&mut *self.db, &own, now)?.is_some() {
            return Ok(());
        }
        let Some(budget) = budget.filter(|budget| !budget.is_empty()) else {
            return Ok(());
        };
        let own = self.task_options(run)?.budget;
        if own.is_some_and(|own| own.tree.is_some_and(|tree| !tree.is_empty())) {
            return Ok(());
        }
        let budget = TaskBudget {
            tree: Some(budget),
            ..TaskBudget::default()
        };
        self.open_budgets(run, &budget)?;
        self.ledger.join_tree(&mut *self.db, run, run)
    }

    fn open_step(&mut self, run: TaskId, new: &NewStep) -> Result<PlanOutcome> {
        let path = &*new.path;
        let exists = self.plans.steps.values();
        let exists = exists
            .filter(|step| step.run_id == run)
            .any(|step| step.path == path);
        let at = SelectStepAt { run_id: run, path };
        if exists || self.db.number(at.into())?.is_some() {
            return Ok(STALE);
        }
        let (id, now) = (self.plans.next_step, self.now());
        self.plans.next_step += 1;
        let step = RunStep {
            id,
            run_id: run,
            path: new.path.clone(),
            kind: new.kind.clone(),
            each: new.each,
            shared: new.shared,
            state: new.state,
            reason: new.reason.clone(),
            generation: 0,
            version: 0,
            total: new.total,
            cursor: 0,
            waiting: 0,
            open: 0,
            done: 0,
            failed: 0,
            cancelled: 0,
            streak: 0,
            class: None,
            result: None,
            started_ms: now,
            ended_ms: new.state.is_final().then_some(now),
            merges: new.merges.clone(),
        };
        self.plans.steps.insert(id, step);
        self.touch_step(id);
        Ok(APPLIED)
    }

    /// The step of a run, if it has this version.
    pub(super) fn step_at(
        &mut self,
        run: TaskId,
        step: StepId,
        version: i64,
    ) -> Result<Option<&mut RunStep>> {
        let step = self.plan_step(step)?;
        Ok(step.filter(|step| step.run_id == run && step.version == version))
    }

    fn set_step(&mut self, run: TaskId, change: &StepChange) -> Result<PlanOutcome> {
        let now = self.now();
        let Some(step) = self.step_at(run, change.step, change.version)? else {
            return Ok(STALE);
        };
        if change.ended.is_some_and(|ended| ended != step.ended()) {
            return Ok(STALE);
        }
        step.version += 1;
        if step.state == StepState::Pending {
            step.started_ms = now;
            step.merges.clone_from(&change.merges);
        }
        if step.state.is_final() && !change.state.is_final() {
            step.generation += 1;
        }
        step.state = change.state;
        step.reason.clone_from(&change.reason);
        step.ended_ms = change.state.is_final().then_some(now);
        step.total = change.total.or(step.total);
        if change.result.is_some() {
            step.result.clone_from(&change.result);
        }
        self.touch_step(change.step);
        Ok(APPLIED)
    }

    fn cancel_tasks(&mut self, step: StepId, reason: &str, limit: u32) -> Result<PlanOutcome> {
        let limit = i64::from(limit.max(1));
        let open = SelectOpenTasks {
            step_id: step,
            limit,
        };
        let mut any = false;
        for id in self.db.ids(open.into())? {
            if self.row(id)?.is_none_or(|row| row.state.is_final()) {
                continue;
            }
            any = true;
            let lease = self.end_as_cancelled(id, None, Some(reason))?;
            self.works.leases.extend(lease);
            self.ended(id)?;
        }
        self.settle_plans()?;
        // Without an effect the caller must not come back at once.
        Ok(PlanOutcome { applied: any })
    }

    /// Lets tasks of a step run that wait for a budget, which a person has raised.
    fn let_run(&mut self, step: StepId, limit: u32) -> Result<PlanOutcome> {
        self.flush_rows()?;
        let held = SelectHeldTasks {
            step_id: step,
            outcome: FailureClass::BudgetExhausted.as_str(),
            limit: i64::from(limit.max(1)),
        };
        let (mut any, now) = (false, self.now());
        for id in self.db.ids(held.into())? {
            let is_held = |row: &TaskRow| row.state == Status::AwaitingApproval;
            if self.row(id)?.is_some_and(is_held) {
                any = true;
                self.change(id, |row| transition::approve(row, now));
                self.report(id, "approved");
            }
        }
        Ok(PlanOutcome { applied: any })
    }

    /// Takes tasks that have not begun out of the queue: their items are to be made again.
    fn withdraw_tasks(&mut self, run: TaskId, step: StepId, limit: u32) -> Result<PlanOutcome> {
        self.flush_rows()?;
        let queued = SelectQueuedTasks {
            step_id: step,
            waited: Flags::WAITED_CHILDREN,
            limit: i64::from(limit.max(1)),
        };
        let mut made = 0;
        for id in self.db.ids(queued.into())? {
            let is_queued = |row: &TaskRow| row.state == Status::Queued;
            if !self.row(id)?.is_some_and(is_queued) {
                continue;
            }
            let Some(items) = self.db.items_of_task(id)? else {
                continue;
            };
            made += 1;
            // Its end changes no item: it belongs to none any more.
            self.write(WithdrawItems { task_id: id })?;
            if let Some(step) = self.plan_step(step)? {
                step.shift(Some(ItemState::Open), ItemState::Waiting, items.count);
            }
            self.end_as_cancelled(id, None, Some("the run is paused"))?;
            self.ended(id)?;
        }
        if made > 0 {
            self.touch_step(step);
            if let Some(row) = self.plan_run(run)? {
                row.made -= made;
                self.touch_run(run);
            }
        }
        Ok(PlanOutcome { applied: made > 0 })
    }

    /// Prepares items for being made again.
    fn reset_items(
        &mut self,
        run: TaskId,
        (step_id, version): (StepId, i64),
        items: &ResetItems,
        limit: u32,
    ) -> Result<PlanOutcome> {
        let Some(step) = self.step_at(run, step_id, version)? else {
            return Ok(STALE);
        };
        let has_open_items = step.open > 0;
        let limit = i64::from(limit.max(1));
        let found = match items {
            ResetItems::All if has_open_items => return Ok(STALE),
            ResetItems::All => return self.clear_step(step_id, limit),
            ResetItems::Lost => self.db.ids(SelectLostItems { step_id, limit }.into())?,
            ResetItems::Key(key) => {
                let at = self.db.number(SelectItemByKey { step_id, key }.into())?;
                at.into_iter().collect()
            }
        };
        for idx in found {
            let state = SelectItemState { step_id, idx };
            let Some(before) = self.db.number(state.into())?.map(super::item_state) else {
                continue;
            };
            if matches!(before, ItemState::Open | ItemState::Waiting) {
                // It runs, or is to run, anyway.
                continue;
            }
            if matches!(items, ResetItems::Key(_)) {
                // Else its equal would take the same result again.
                self.write(DropCachedItem { step_id, idx })?;
            }
            self.write(ResetItem { step_id, idx })?;
            if let Some(step) = self.plan_step(step_id)? {
                step.shift(Some(before), ItemState::Waiting, 1);
            }
        }
        let now = self.now();
        if let Some(step) = self.plan_step(step_id)? {
            step.begin_anew(StepState::Open, now);
            self.touch_step(step_id);
        }
        Ok(APPLIED)
    }

    /// Removes items of a step, at most `limit`. The step is pending again with the first one; its cursor is 0 after the last.
    fn clear_step(&mut self, step_id: StepId, limit: i64) -> Result<PlanOutcome> {
        let some = DeleteSomeItems {
            step_id,
            same: step_id,
            limit,
        };
        self.write(DropCachedItems { step_id, limit })?;
        let is_empty = (self.write(some)? as i64) < limit;
        let now = self.now();
        if let Some(step) = self.plan_step(step_id)? {
            match step.state {
                StepState::Pending => step.version += 1,
                _ => step.begin_anew(StepState::Pending, now),
            }
            (step.waiting, step.open) = (0, 0);
            (step.done, step.failed, step.cancelled) = (0, 0, 0);
            if is_empty {
                (step.total, step.cursor) = (None, 0);
            }
        }
        self.touch_step(step_id);
        Ok(APPLIED)
    }

    /// Decisions of people are carried out.
    fn decided(&mut self, run: TaskId, agreed: i64, raised: i64) -> Result<PlanOutcome> {
        let Some(row) = self.plan_run(run)? else {
            return Ok(STALE);
        };
        row.agreed = (row.agreed - agreed).max(0);
        row.raised = (row.raised - raised).max(0);
        self.touch_run(run);
        Ok(APPLIED)
    }

    fn set_run(
        &mut self,
        run: TaskId,
        state: RunState,
        reason: Option<&str>,
    ) -> Result<PlanOutcome> {
        let Some(row) = self.plan_run(run)? else {
            return Ok(STALE);
        };
        // A paused run may end, too.
        if row.state == RunState::Paused && state != RunState::Partial {
            return Ok(STALE);
        }
        row.state = state;
        row.reason = reason.map(str::to_owned);
        self.touch_run(run);
        Ok(APPLIED)
    }
}
