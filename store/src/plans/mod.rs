//! Runs of plans: their rows, and the effect of a task's end on the step that made it.
//!
//! A run is a task of the type `plan`. The hub takes such tasks with [`PlanOrder::Take`] instead of a lease request; from then
//! on the task is leased without a deadline, and its fence guards every change of the run. Steps make the tasks of the run: its
//! children, which end with it.
//!
//! **In the commit that ends a task** of a step, its items and the counters of the step change with it ([`Core::settle_plans`]):
//! two statements, however large the step is. Nothing is computed or made there. Everything else is decided outside of the
//! store, which the caller learns to do from [`Applied::plans`](crate::Applied), and arrives as commands that are guarded by
//! the fence of the run and the version of the step: a command that was decided on an older state changes nothing.

mod change;
pub(crate) mod control;
mod expand;
mod forget;
mod records;
mod retry;
mod source;

use crate::backend::Result;
use crate::core::Core;
use crate::row::Flags;
use crate::sql::plan::{
    DeleteCached, ItemsOfTask, MoveItems, PutPlanRun, PutPlanStep, SetItemsOfTask,
};
use kirosu_protocol::{
    EventKind, FailureClass, ItemState, RunState, SourceId, Status, StepInfo, StepState, TaskId,
};
use std::collections::{BTreeSet, HashMap};

pub use records::*;

impl RunStep {
    /// Items that have ended.
    pub fn ended(&self) -> i64 {
        self.done + self.failed + self.cancelled
    }

    /// The step as clients see it, without its task.
    pub fn info(&self) -> StepInfo {
        StepInfo {
            path: self.path.clone(),
            kind: self.kind.clone(),
            state: self.state,
            reason: self.reason.clone(),
            generation: count(self.generation),
            total: self.total.map(count),
            made: count(self.cursor - self.waiting),
            open: count(self.open),
            done: count(self.done),
            failed: count(self.failed),
            cancelled: count(self.cancelled),
            task_id: None,
            started_at: Some(seconds(self.started_ms)),
            ended_at: self.ended_ms.map(seconds),
        }
    }

    /// Whether all items have ended.
    pub fn is_complete(&self) -> bool {
        self.waiting == 0 && self.open == 0 && self.total == Some(self.cursor)
    }

    fn counter(&mut self, state: ItemState) -> &mut i64 {
        match state {
            ItemState::Waiting => &mut self.waiting,
            ItemState::Open => &mut self.open,
            ItemState::Done => &mut self.done,
            ItemState::Failed => &mut self.failed,
            ItemState::Cancelled => &mut self.cancelled,
        }
    }

    /// Items go from one state to another.
    fn shift(&mut self, from: Option<ItemState>, to: ItemState, count: i64) {
        if let Some(from) = from {
            *self.counter(from) -= count;
        }
        *self.counter(to) += count;
    }

    /// The step, which may have ended, goes on in this state.
    fn begin_anew(&mut self, state: StepState, now: i64) {
        self.generation += 1;
        self.version += 1;
        self.state = state;
        self.started_ms = now;
        (self.reason, self.ended_ms, self.result) = (None, None, None);
        (self.streak, self.class) = (0, None);
    }

    /// Items have ended: counts those in a row that failed with one class.
    fn note_ends(&mut self, state: ItemState, class: Option<&str>, count: i64) {
        match (state, class) {
            (ItemState::Failed, Some(class)) => {
                if self.class.as_deref() != Some(class) {
                    (self.streak, self.class) = (0, Some(class.to_owned()));
                }
                self.streak += count;
            }
            (ItemState::Done, _) => (self.streak, self.class) = (0, None),
            _ => {}
        }
    }
}

/// The stored number of an item's state.
pub(crate) fn item_number(state: ItemState) -> i64 {
    match state {
        ItemState::Waiting => 0,
        ItemState::Open => 1,
        ItemState::Done => 2,
        ItemState::Failed => 3,
        ItemState::Cancelled => 4,
    }
}

/// The state of an item with this number.
pub(crate) fn item_state(number: i64) -> ItemState {
    match number {
        0 => ItemState::Waiting,
        1 => ItemState::Open,
        2 => ItemState::Done,
        3 => ItemState::Failed,
        _ => ItemState::Cancelled,
    }
}

/// The runs and steps that the present batch has read, and what they learn at its end.
#[derive(Debug, Default)]
pub(crate) struct Plans {
    runs: HashMap<TaskId, PlanRun>,
    steps: HashMap<StepId, RunStep>,
    dirty_runs: BTreeSet<TaskId>,
    dirty_steps: BTreeSet<StepId>,
    /// Tasks of steps that ended or came back.
    ended: Vec<TaskId>,
    /// Tasks of steps that await approval, or do so no more.
    held: Vec<TaskId>,
    /// Tasks of the type `plan` whose state changed.
    turned: Vec<TaskId>,
    /// The class of failure of tasks that ended in this batch.
    classes: HashMap<TaskId, FailureClass>,
    /// Runs about which something is to be decided; 0: any that are queued.
    news: BTreeSet<TaskId>,
    next_step: StepId,
    next_source: SourceId,
}

impl Plans {
    /// No run in memory. The highest ids that were given out.
    pub fn new(last_step: StepId, last_source: SourceId) -> Plans {
        Plans {
            next_step: last_step + 1,
            next_source: last_source + 1,
            ..Plans::default()
        }
    }

    /// A task of a step has ended, or came back.
    pub fn note_end(&mut self, id: TaskId) {
        self.ended.push(id);
    }

    /// A task of the type `plan` has another state.
    pub fn note_turn(&mut self, id: TaskId) {
        self.turned.push(id);
    }

    /// A task of a step awaits approval, or does so no more.
    pub fn note_held(&mut self, id: TaskId) {
        self.held.push(id);
    }

    /// Queued runs may be taken.
    pub fn note_ready(&mut self) {
        self.news.insert(0);
    }

    /// The class of a failed attempt.
    pub fn note_class(&mut self, id: TaskId, class: FailureClass) {
        self.classes.insert(id, class);
    }

    /// Takes the runs about which something is to be decided.
    pub fn take_news(&mut self) -> Vec<TaskId> {
        std::mem::take(&mut self.news).into_iter().collect()
    }

    /// The batch is committed: what it has read may change in the file only through this value, but is not kept.
    pub fn committed(&mut self) {
        self.runs.clear();
        self.steps.clear();
        self.classes.clear();
    }
}

impl Core {
    /// A run, from memory or the database.
    pub(crate) fn plan_run(&mut self, id: TaskId) -> Result<Option<&mut PlanRun>> {
        if !self.plans.runs.contains_key(&id)
            && let Some(run) = self.db.plan_run(id)?
        {
            self.plans.runs.insert(id, run);
        }
        Ok(self.plans.runs.get_mut(&id))
    }

    /// A step, from memory or the database.
    pub(crate) fn plan_step(&mut self, id: StepId) -> Result<Option<&mut RunStep>> {
        if !self.plans.steps.contains_key(&id)
            && let Some(step) = self.db.plan_step(id)?
        {
            self.plans.steps.insert(id, step);
        }
        Ok(self.plans.steps.get_mut(&id))
    }

    /// A run was changed: it is written with the batch.
    pub(crate) fn touch_run(&mut self, id: TaskId) {
        self.plans.dirty_runs.insert(id);
        self.plans.news.insert(id);
    }

    /// A step was changed: it is written with the batch.
    pub(crate) fn touch_step(&mut self, id: StepId) {
        self.plans.dirty_steps.insert(id);
        if let Some(step) = self.plans.steps.get(&id) {
            self.plans.news.insert(step.run_id);
        }
    }

    /// At the end of a batch: items take over the ends of their tasks, and runs the ends of theirs.
    pub(crate) fn settle_plans(&mut self) -> Result<()> {
        for id in std::mem::take(&mut self.plans.ended) {
            self.settle_items(id)?;
        }
        for id in std::mem::take(&mut self.plans.held) {
            if let Some(run) = self.task_options(id)?.parent_id {
                self.plans.news.insert(run);
            }
        }
        while !self.plans.turned.is_empty() {
            for id in std::mem::take(&mut self.plans.turned) {
                self.settle_run(id)?;
            }
        }
        Ok(())
    }

    /// The items of a task take over its state.
    fn settle_items(&mut self, id: TaskId) -> Result<()> {
        let Some(status) = self.row(id)?.map(|row| row.state) else {
            return Ok(());
        };
        let Some(items) = self.db.items_of_task(id)? else {
            // It was made anew.
            return Ok(());
        };
        if status == Status::Done
            && let Some(next) = self.handed_to(id)?
        {
            // Its answer is no result that equal tasks could have.
            self.write(DeleteCached { task_id: id })?;
            // The items go on with the other task, which may have ended in this batch, too.
            self.write(MoveItems { next, task_id: id })?;
            return self.settle_items(next);
        }
        let ItemsOfTask {
            step_id,
            state: before,
            count,
        } = items;
        let (before, after) = (item_state(before), state_of(status));
        if before == after {
            return Ok(());
        }
        let class = match after {
            ItemState::Failed => Some(self.class_of_failure(id)),
            _ => None,
        };
        self.write(SetItemsOfTask {
            state: item_number(after),
            class: class.as_deref(),
            task_id: id,
        })?;
        if let Some(step) = self.plan_step(step_id)? {
            step.shift(Some(before), after, count);
            step.note_ends(after, class.as_deref(), count);
            self.touch_step(step_id);
        }
        Ok(())
    }

    /// The class of failure of a failed task.
    fn class_of_failure(&self, id: TaskId) -> String {
        let class = self.plans.classes.get(&id).copied();
        let row = self.tasks.get(id).map(|row| row.flags);
        match (class, row) {
            (Some(class), _) => class.as_str().to_owned(),
            (None, Some(flags)) if flags.has(Flags::REJECTED) => "rejected".to_owned(),
            (None, Some(flags)) if flags.has(Flags::GAVE_UP) => "dependency".to_owned(),
            (None, _) => FailureClass::Lost.as_str().to_owned(),
        }
    }

    /// A run takes over the state of its task.
    fn settle_run(&mut self, id: TaskId) -> Result<()> {
        self.plans.news.insert(id);
        let now = self.now();
        let Some(status) = self.row(id)?.map(|row| row.state) else {
            return Ok(());
        };
        let Some(run) = self.plan_run(id)? else {
            return Ok(());
        };
        if matches!(status, Status::Done | Status::Failed) && run.wishes.is_some() {
            // The retry came after the decision that the run is over.
            (run.state, run.reason) = (RunState::Open, None);
            // Its deadline counts from here: it may have been the reason for the end.
            run.started_ms = now;
            self.touch_run(id);
            self.bring_back(id);
            self.report(id, "retried");
            self.came_back(id)?;
            return Ok(());
        }
        if status == Status::Cancelled {
            run.wishes = None;
        }
        let state = match status {
            Status::Done if run.state == RunState::Partial => RunState::Partial,
            Status::Done => RunState::Done,
            Status::Failed => RunState::Failed,
            Status::Cancelled => RunState::Cancelled,
            _ if run.ended_ms.is_some() => RunState::Open,
            _ => return Ok(()),
        };
        if run.ended_ms.is_some() && !status.is_final() {
            // Its deadline counts from here.
            run.started_ms = now;
        }
        run.ended_ms = status.is_final().then_some(now);
        if run.state != state && !status.is_final() {
            run.reason = None;
        }
        run.state = state;
        self.touch_run(id);
        Ok(())
    }

    /// Writes the changed runs and steps.
    pub(crate) fn flush_plans(&mut self) -> Result<()> {
        for id in std::mem::take(&mut self.plans.dirty_runs) {
            let Some(run) = self.plans.runs.remove(&id) else {
                continue;
            };
            self.note_run_state(id, &run)?;
            self.write(PutPlanRun {
                task_id: id,
                state: run.state.as_str(),
                reason: run.reason.as_deref(),
                name: run.name.as_deref(),
                hash: run.hash.as_deref(),
                made: run.made,
                wishes: run.wishes.as_deref(),
                started_at: run.started_ms,
                ended_at: run.ended_ms,
                agreed: run.agreed,
                raised: run.raised,
            })?;
            self.batch.report(EventKind::Run {
                task_id: id,
                state: run.state,
                reason: run.reason.clone(),
                name: run.name.clone(),
            });
            self.plans.runs.insert(id, run);
        }
        for id in std::mem::take(&mut self.plans.dirty_steps) {
            let Some(step) = self.plans.steps.remove(&id) else {
                continue;
            };
            self.write(put(&step))?;
            self.batch.report(EventKind::Step {
                task_id: step.run_id,
                step: Box::new(step.info()),
            });
            self.plans.steps.insert(id, step);
        }
        Ok(())
    }
}

fn count(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

fn seconds(ms: i64) -> f64 {
    ms as f64 / 1000.0
}

/// The state of the items of a task with this status.
fn state_of(status: Status) -> ItemState {
    match status {
        Status::Done => ItemState::Done,
        Status::Failed => ItemState::Failed,
        Status::Cancelled => ItemState::Cancelled,
        _ => ItemState::Open,
    }
}

fn put(step: &RunStep) -> PutPlanStep<'_> {
    PutPlanStep {
        id: step.id,
        run_id: step.run_id,
        path: &step.path,
        kind: &step.kind,
        each: i64::from(step.each),
        shared: i64::from(step.shared),
        state: step.state.as_str(),
        reason: step.reason.as_deref(),
        generation: step.generation,
        version: step.version,
        total: step.total,
        cursor: step.cursor,
        waiting: step.waiting,
        open: step.open,
        done: step.done,
        failed: step.failed,
        cancelled: step.cancelled,
        streak: step.streak,
        class: step.class.as_deref(),
        result: step.result.as_deref(),
        started_at: step.started_ms,
        ended_at: step.ended_ms,
        merges: step.merges.as_deref(),
    }
}
