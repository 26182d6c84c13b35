//! Work on many tasks, in steps.
//!
//! A task may have a hundred thousand dependents, and `retry_failed` as many failed tasks. A commit changes a limited
//! number of them, so that it stays short. The rest is recorded in the table `work`, in the same commit as what was
//! done of it, and continues with the next commits, also after a restart. Other commands are carried out between two
//! steps. A small work is done within the commit that began it and records nothing.
//!
//! The newest work runs first, so that a small one does not wait for a large one. Between two steps the tasks may
//! change in any way: each step reads their present state. A work on dependents is dropped if its task is no longer in the state
//! that began it, as the change of that state has begun a work of its own.

mod dead;
mod pace;

use crate::backend::Result;
use crate::core::Core;
use crate::outcome::{EndedLease, Outcome};
use crate::row::{Flags, state_number};
use crate::sql::work::{
    DeleteWork, PutWork, SelectNextChildren, SelectNextDependents, SelectNextFailed, WorkRow,
};
use dead::DeadDependencies;
use kirosu_protocol::{Status, TaskId};
use pace::{MOST_STEPS, STEPS, next_steps};
use std::time::Duration;

/// The id of a work.
pub type WorkId = i64;

/// Dependencies of one task that are read for the cost of one step.
const READS_PER_STEP: i64 = 64;

/// Tasks of `retry_failed` that are reported one by one; further ones are not.
const REPORTED: u64 = 1000;

/// The kind of a work; stored as its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WorkKind {
    /// A task has ended: its dependents are unblocked, or fail with it.
    Ended = 0,
    /// A task was retried: dependents that failed because of it wait for it again.
    CameBack = 1,
    /// Failed tasks are retried.
    RetryFailed = 2,
    /// A task has ended: the children that end with it are cancelled.
    ParentEnded = 3,
}

/// A work and its progress.
#[derive(Clone, Debug)]
pub(crate) struct BulkWork {
    pub id: WorkId,
    kind: WorkKind,
    /// The task whose dependents or children it changes.
    pub task: TaskId,
    state: Status,
    after: TaskId,
    upto: TaskId,
    queue: Option<String>,
    count: u64,
    /// Whether it is stored.
    saved: bool,
    /// Whether the stored progress is current.
    clean: bool,
}

/// All unfinished works.
#[derive(Debug, Default)]
pub(crate) struct Works {
    /// The last one runs first.
    stack: Vec<BulkWork>,
    next_id: WorkId,
    /// The number of tasks that a batch may change, and the rest of it for the present batch.
    pace: u32,
    steps: u32,
    /// Tasks that are known to have further failed dependencies.
    pub dead: DeadDependencies,
    /// Leases that the present batch has ended with the tasks' parents.
    pub leases: Vec<EndedLease>,
    /// Works that finished after the commit that began them, with the answers.
    finished: Vec<(WorkId, Outcome)>,
}

impl Works {
    /// The stored works.
    pub fn load(rows: Vec<WorkRow>) -> Works {
        let next_id = rows.first().map_or(0, |row| row.id) + 1;
        let work = |row: WorkRow| BulkWork {
            id: row.id,
            kind: match row.kind {
                0 => WorkKind::Ended,
                1 => WorkKind::CameBack,
                2 => WorkKind::RetryFailed,
                _ => WorkKind::ParentEnded,
            },
            task: row.task_id,
            state: row.state,
            after: row.after,
            upto: row.upto,
            queue: row.queue,
            count: u64::try_from(row.count).unwrap_or(0),
            saved: true,
            clean: true,
        };
        Works {
            stack: rows.into_iter().rev().map(work).collect(),
            next_id,
            pace: STEPS,
            ..Works::default()
        }
    }

    /// A batch begins.
    pub fn begin(&mut self) {
        self.steps = self.pace;
    }

    /// The batch is committed; the commit took `took`.
    pub fn committed(&mut self, took: Duration) {
        if self.steps == 0 {
            self.pace = next_steps(self.pace, took);
        }
    }

    /// The number of tasks that this commit may still change.
    pub fn left(&self) -> u32 {
        self.steps
    }

    /// A command changes one task.
    pub fn spend(&mut self) {
        self.steps = self.steps.saturating_sub(1);
    }

    /// All dependencies of a task were read.
    pub fn read_dependencies(&mut self, task: TaskId, dependencies: i64) {
        self.dead.forget(task);
        let cost = u32::try_from(dependencies / READS_PER_STEP).unwrap_or(u32::MAX);
        self.steps = self.steps.saturating_sub(cost);
    }

    /// Whether nothing is left for further commits.
    pub fn is_empty(&self) -> bool {
        self.stack.is_empty()
    }

    /// Takes the answers of the works that the present batch has finished and an earlier one had begun.
    pub fn take_finished(&mut self) -> Vec<(WorkId, Outcome)> {
        std::mem::take(&mut self.finished)
    }

    /// Whether the end of `done` is still to unblock `task`.
    pub fn will_unblock(&self, done: TaskId, task: TaskId) -> bool {
        self.stack.iter().any(|work| {
            (work.kind, work.state, work.task) == (WorkKind::Ended, Status::Done, done)
                && work.after < task
                && task <= work.upto
        })
    }

    /// Whether a task must not be pruned yet.
    pub fn needs(&self, task: TaskId) -> bool {
        self.stack.iter().any(|work| work.task == task)
    }
}

impl Core {
    fn new_work(&mut self, kind: WorkKind, task: TaskId, state: Status) -> BulkWork {
        let id = self.works.next_id;
        self.works.next_id += 1;
        BulkWork {
            id,
            kind,
            task,
            state,
            after: 0,
            // Later tasks are added with the present states of their dependencies.
            upto: self.tasks.last_id(),
            queue: None,
            count: 0,
            saved: false,
            clean: false,
        }
    }

    /// A task has ended: unblocks its dependents, or fails them and theirs; cancels the children that end with it.
    pub(crate) fn ended(&mut self, id: TaskId) -> Result<()> {
        if let Some(row) = self.tasks.get(id)
            && row.state == Status::Done
            && row.flags.has(Flags::HANDED_OVER)
        {
            let fence = row.fence;
            self.drop_handoff(id, fence)?;
        }
        let below = self.works.stack.len();
        self.push_ended(id)?;
        self.work_down_to(below)
    }

    /// A failed or cancelled task was retried: dependents that failed because of it wait for it again.
    pub(crate) fn came_back(&mut self, id: TaskId) -> Result<()> {
        let below = self.works.stack.len();
        self.push(WorkKind::CameBack, id, Flags::HAS_DEPENDENTS);
        self.work_down_to(below)
    }

    fn push_ended(&mut self, id: TaskId) -> Result<()> {
        self.end_wait(id)?;
        self.push(WorkKind::ParentEnded, id, Flags::HAS_CHILDREN_TO_END);
        self.push(WorkKind::Ended, id, Flags::HAS_DEPENDENTS);
        Ok(())
    }

    /// Begins a work for a task that has this flag.
    fn push(&mut self, kind: WorkKind, id: TaskId, flag: i64) {
        if let Some(row) = self.tasks.get(id)
            && row.flags.has(flag)
        {
            let work = self.new_work(kind, id, row.state);
            self.works.stack.push(work);
        }
    }

    /// Retries failed tasks, all or those of a queue.
    pub(crate) fn retry_failed(&mut self, queue: Option<&str>) -> Result<Outcome> {
        let below = self.works.stack.len();
        let mut work = self.new_work(WorkKind::RetryFailed, 0, Status::Failed);
        let id = work.id;
        work.queue = queue.map(str::to_owned);
        self.works.stack.push(work);
        self.work_down_to(below)?;
        let finished = &mut self.works.finished;
        Ok(match finished.iter().position(|(work, _)| *work == id) {
            Some(at) => finished.swap_remove(at).1,
            None => Outcome::Begun(id),
        })
    }

    /// Continues unfinished works, as far as this commit may.
    pub(crate) fn work_on(&mut self) -> Result<()> {
        self.work_down_to(0)
    }

    fn work_down_to(&mut self, below: usize) -> Result<()> {
        while self.works.steps > 0
            && self.works.stack.len() > below
            && let Some(mut work) = self.works.stack.pop()
        {
            let at = self.works.stack.len();
            let finished = self.step(&mut work)?;
            work.clean = false;
            if !finished {
                // Below the works that it has begun, which run first.
                self.works.stack.insert(at, work);
                continue;
            }
            if work.saved {
                self.write(DeleteWork { id: work.id })?;
            }
            if work.kind == WorkKind::RetryFailed {
                let counted = Outcome::Counted {
                    count: work.count,
                    more: false,
                };
                self.works.finished.push((work.id, counted));
            }
        }
        Ok(())
    }

    /// Does a part of a work. Returns whether it is finished.
    fn step(&mut self, work: &mut BulkWork) -> Result<bool> {
        if work.kind == WorkKind::RetryFailed {
            return self.step_failed(work);
        }
        let state = self.row(work.task)?.map(|row| row.state);
        let holds = match work.kind {
            WorkKind::Ended => state == Some(work.state),
            // A retry of the parent takes over none of its children.
            WorkKind::ParentEnded => true,
            _ => state.is_some_and(|state| !matches!(state, Status::Failed | Status::Cancelled)),
        };
        if !holds {
            return Ok(true);
        }
        let limit = i64::from(self.works.steps);
        let (after, upto) = (work.after, work.upto);
        let next = match work.kind {
            WorkKind::ParentEnded => SelectNextChildren {
                parent_id: work.task,
                after,
                upto,
                limit,
            }
            .into(),
            _ => SelectNextDependents {
                depends_on: work.task,
                after,
                upto,
                limit,
            }
            .into(),
        };
        let ids = self.db.ids(next)?;
        let finished = (ids.len() as i64) < limit;
        for id in ids {
            if self.works.steps == 0 {
                return Ok(false);
            }
            work.after = id;
            self.works.steps -= 1;
            match (work.kind, work.state) {
                (WorkKind::Ended, _) if self.waits_for_child(id, work.task)? => {
                    self.child_ended(id, work.task)?;
                }
                (WorkKind::Ended, Status::Done) => self.unblock(id)?,
                (WorkKind::ParentEnded, state) => {
                    if self.end_with_parent(id, work.task, Some(state))? {
                        self.push_ended(id)?;
                    }
                }
                (WorkKind::Ended, state) => {
                    if self.give_up(id, &super::command::dependency_ended(work.task, state))? {
                        self.push_ended(id)?;
                    }
                }
                _ => {
                    if self.wait_again(id)? {
                        self.count_retried(id);
                        self.push(WorkKind::CameBack, id, Flags::HAS_DEPENDENTS);
                    }
                }
            }
        }
        Ok(finished)
    }

    /// A task was retried with its dependency: an unfinished `retry_failed` of its queue counts it, as it will not meet
    /// it.
    fn count_retried(&mut self, id: TaskId) {
        let lane = self.tasks.get(id).and_then(|row| self.lanes.get(row.lane));
        let queue = lane.map(|lane| lane.queue.clone());
        let retry = self.works.stack.iter_mut().rev();
        let mut retry = retry.filter(|work| work.kind == WorkKind::RetryFailed && work.after < id);
        if let Some(work) = retry.find(|work| work.queue.as_deref() == queue.as_deref()) {
            work.count += 1;
            work.clean = false;
        }
    }

    /// Failed tasks by id: the dependencies of a task have lower ids and come first.
    fn step_failed(&mut self, work: &mut BulkWork) -> Result<bool> {
        self.flush_rows()?;
        // Tasks are retried here without a visit to their dependents, which the cache counts on.
        self.works.dead.clear();
        // Each task may begin a work of its own here, so only a few are read at once.
        let most = if work.queue.is_some() { 16 } else { MOST_STEPS };
        let limit = i64::from(self.works.steps.min(most));
        let next = SelectNextFailed {
            after: work.after,
            upto: work.upto,
            limit,
        };
        let failed = self.db.tasks(next.into())?;
        let finished = (failed.len() as i64) < limit;
        for row in failed {
            let (id, lane) = (row.id, row.lane);
            if self.works.steps == 0 {
                return Ok(false);
            }
            work.after = id;
            self.works.steps -= 1;
            self.read_lane(lane)?;
            let queue = self.lanes.get(lane).map(|lane| lane.queue.clone());
            if work.queue.is_some() && work.queue.as_deref() != queue.as_deref() {
                continue;
            }
            let is_plan = self.lanes.get(lane).is_some_and(|lane| lane.is_plan());
            if is_plan || row.flags.has(Flags::IN_PLAN) {
                // `run_retry` repeats what failed in a run.
                continue;
            }
            self.tasks.cache(row);
            if self.hopeless(id)?.is_some() || self.open_continuation(id)?.is_some() {
                continue;
            }
            self.bring_back(id);
            work.count += 1;
            if work.count <= REPORTED {
                self.report(id, "retried");
            }
            // Without a queue this work meets all failed dependents itself.
            let before = self.works.stack.len();
            if work.queue.is_some() {
                self.push(WorkKind::CameBack, id, Flags::HAS_DEPENDENTS);
            }
            if self.works.stack.len() > before {
                return Ok(false);
            }
        }
        Ok(finished)
    }

    /// Records the unfinished works.
    pub(crate) fn flush_works(&mut self) -> Result<()> {
        let mut stack = std::mem::take(&mut self.works.stack);
        for work in stack.iter_mut().filter(|work| !work.clean) {
            self.write(PutWork {
                id: work.id,
                kind: work.kind as i64,
                task_id: work.task,
                state: state_number(work.state),
                after: work.after,
                upto: work.upto,
                queue: work.queue.as_deref(),
                count: i64::try_from(work.count).unwrap_or(i64::MAX),
            })?;
            (work.saved, work.clean) = (true, true);
        }
        self.works.stack = stack;
        Ok(())
    }
}
