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
mod source;

use crate::backend::Result;
use crate::core::Core;
use crate::row::Flags;
use crate::sql::plan::{ItemsOfTask, PutPlanRun, PutPlanStep, SetItemsOfTask};
use kirosu_protocol::{
    Budget, FailureClass, Fence, ItemState, NewTask, RunRetryParams, RunState, SourceId, Status,
    StepState, TaskId,
};
use std::collections::{BTreeSet, HashMap};

/// The id of a step's row.
pub type StepId = i64;

/// The worker that holds the leases of runs.
pub const CONDUCTOR: &str = "conductor";

/// A run of a plan. Times are Unix milliseconds.
#[derive(Clone, Debug, PartialEq)]
pub struct PlanRun {
    /// Its task.
    pub task_id: TaskId,
    /// The state; of an ended one as its task's status.
    pub state: RunState,
    /// The reason for the state.
    pub reason: Option<String>,
    /// The name.
    pub name: Option<String>,
    /// The hash of the compiled plan; `None` before it is compiled.
    pub hash: Option<String>,
    /// The number of tasks that its steps have made.
    pub made: i64,
    /// A JSON list of [`RunRetryParams`] that are not carried out yet.
    pub wishes: Option<String>,
    /// The time when the hub began it.
    pub started_ms: i64,
    /// The time of its end.
    pub ended_ms: Option<i64>,
}

/// A step of a run. Times are Unix milliseconds.
#[derive(Clone, Debug, PartialEq)]
pub struct RunStep {
    /// The row's id.
    pub id: StepId,
    /// The task of the run.
    pub run_id: TaskId,
    /// The id of the step behind those around it.
    pub path: String,
    /// The kind of step.
    pub kind: String,
    /// Whether the result of a task is a list with one element per item.
    pub each: bool,
    /// Whether the items of a task share its result.
    pub shared: bool,
    /// The state.
    pub state: StepState,
    /// The reason for the state, or what it waits for.
    pub reason: Option<String>,
    /// The number of times that it was begun anew.
    pub generation: i64,
    /// The number of decisions about it.
    pub version: i64,
    /// The number of items; `None`: not known yet.
    pub total: Option<i64>,
    /// The number of items that have a row.
    pub cursor: i64,
    /// Items whose tasks are to be made again.
    pub waiting: i64,
    /// Items whose tasks have not ended.
    pub open: i64,
    /// Items that are done.
    pub done: i64,
    /// Items that failed.
    pub failed: i64,
    /// Items whose tasks were cancelled.
    pub cancelled: i64,
    /// The newest ends of items in a row that failed with the class `class`.
    pub streak: i64,
    /// See `streak`.
    pub class: Option<String>,
    /// Where the result is, as JSON.
    pub result: Option<String>,
    /// The time when it began.
    pub started_ms: i64,
    /// The time of its end.
    pub ended_ms: Option<i64>,
}

/// A change of runs of plans. Each answers [`Outcome::Plan`](crate::Outcome), unless said otherwise.
#[derive(Clone, Debug, PartialEq)]
pub enum PlanOrder {
    /// Takes queued tasks of the type `plan`, those with the highest priority first. Answer:
    /// [`Outcome::Leased`](crate::Outcome).
    Take {
        /// At most this many.
        limit: u32,
    },
    /// Changes a run that the caller has taken. Without effect if the fence or a version is not the present one.
    Change {
        /// The run.
        run: TaskId,
        /// The fence of its lease.
        fence: Fence,
        /// The change.
        change: PlanChange,
    },
    /// A client's wish about a run, which is refused if its state does not allow it.
    Control {
        /// The run.
        run: TaskId,
        /// The wish.
        control: RunControl,
    },
    /// Adds a piece to a source. Answer: [`Outcome::Source`](crate::Outcome).
    AddItems {
        /// The source; `None` makes a new one.
        source: Option<SourceId>,
        /// The position of the first item.
        first: i64,
        /// A JSON list.
        items: String,
        /// The number of items in it.
        count: i64,
    },
}

/// A client's wish about a run.
#[derive(Clone, Debug, PartialEq)]
pub enum RunControl {
    /// Nothing new starts.
    Pause,
    /// It goes on.
    Resume,
    /// Something is repeated.
    Retry(RunRetryParams),
}

/// A change of a run that is under way.
#[derive(Clone, Debug, PartialEq, strum::IntoStaticStr, strum::VariantNames)]
#[strum(serialize_all = "snake_case")]
pub enum PlanChange {
    /// Names the plan.
    Name {
        /// The name.
        name: Option<String>,
        /// The hash of the compiled plan.
        hash: String,
        /// The budget that the plan sets for all its tasks, unless its own task has one.
        budget: Option<Budget>,
    },
    /// Begins a step. Without effect if it has begun.
    Open(NewStep),
    /// Makes tasks for items of a step, all or none.
    Expand(Expansion),
    /// Changes a step; ends it, if the state is final.
    Set(StepChange),
    /// Cancels tasks of a step's open items, at most this many.
    CancelTasks {
        /// The step.
        step: StepId,
        /// The reason, shown to people.
        reason: String,
        /// At most this many items.
        limit: u32,
    },
    /// Prepares items of a step for being made again.
    Reset {
        /// The step.
        step: StepId,
        /// The version on which this was decided.
        version: i64,
        /// The items.
        items: ResetItems,
        /// At most this many items.
        limit: u32,
    },
    /// Changes the state of the run; `Open` and `Waiting` only, and not while it is paused.
    SetRun {
        /// The state.
        state: RunState,
        /// The reason.
        reason: Option<String>,
    },
    /// Removes the oldest wish, which is carried out.
    Fulfil,
}

impl PlanChange {
    /// The names of all changes.
    pub const NAMES: &'static [&'static str] = <PlanChange as strum::VariantNames>::VARIANTS;
}

/// A step to begin.
#[derive(Clone, Debug, PartialEq)]
pub struct NewStep {
    /// Its path.
    pub path: String,
    /// Its kind.
    pub kind: String,
    /// Whether the result of a task is a list with one element per item.
    pub each: bool,
    /// Whether the items of a task share its result.
    pub shared: bool,
    /// Its state: open, or one that it ends in at once.
    pub state: StepState,
    /// The reason for the state.
    pub reason: Option<String>,
    /// The number of items; `None`: not known yet.
    pub total: Option<i64>,
}

/// Items of a step to make, with their tasks.
#[derive(Clone, Debug, PartialEq)]
pub struct Expansion {
    /// The step.
    pub step: StepId,
    /// The version and the cursor on which this was decided.
    pub version: i64,
    /// See `version`.
    pub cursor: i64,
    /// The items: those from the cursor on, or some that wait.
    pub items: Vec<NewItem>,
    /// The tasks; a task belongs to all items that name its position here.
    pub tasks: Vec<NewTask>,
}

/// An item to make.
#[derive(Clone, Debug, PartialEq)]
pub struct NewItem {
    /// Its position in the step.
    pub index: i64,
    /// Its key.
    pub key: String,
    /// The position of its task in [`Expansion::tasks`]; `None`: it is done without one.
    pub task: Option<usize>,
}

/// A change of a step.
#[derive(Clone, Debug, PartialEq)]
pub struct StepChange {
    /// The step.
    pub step: StepId,
    /// The version on which this was decided.
    pub version: i64,
    /// The ended items on which this was decided; `None`: they do not matter.
    pub ended: Option<i64>,
    /// The state.
    pub state: StepState,
    /// The reason.
    pub reason: Option<String>,
    /// The number of items; `None` leaves it.
    pub total: Option<i64>,
    /// Where the result is, as JSON; `None` leaves it.
    pub result: Option<String>,
}

/// Items to make again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ResetItems {
    /// Those that failed or were cancelled.
    Lost,
    /// All are removed: the step is pending again. Only of a step without open items.
    All,
    /// The one with this key.
    Key(String),
}

/// Whether a [`PlanOrder`] was carried out. If not, its guard did not hold, and nothing was changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PlanOutcome {
    /// See above.
    pub applied: bool,
}

impl RunStep {
    /// Items that have ended.
    pub fn ended(&self) -> i64 {
        self.done + self.failed + self.cancelled
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
    /// Tasks of the type `plan` whose state changed.
    turned: Vec<TaskId>,
    /// The class of failure of tasks that ended in this batch.
    classes: HashMap<TaskId, FailureClass>,
    /// Runs about which something is to be decided.
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
        for id in std::mem::take(&mut self.plans.turned) {
            self.settle_run(id)?;
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
            })?;
            self.plans.runs.insert(id, run);
        }
        for id in std::mem::take(&mut self.plans.dirty_steps) {
            let Some(step) = self.plans.steps.remove(&id) else {
                continue;
            };
            self.write(put(&step))?;
            self.plans.steps.insert(id, step);
        }
        Ok(())
    }
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
    }
}
