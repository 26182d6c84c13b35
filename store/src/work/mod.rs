//! Work on many tasks, in steps.
//!
//! A task may have a hundred thousand dependents, and `retry_failed` as many failed tasks. A commit takes so many of them
//! that it stays short; what is left stands in the file (table `work`), in the same commit as what was done of it, and goes
//! on with the next commits, over restarts too. Others are served between two steps. A small work is done within the
//! commit that began it, and leaves nothing in the file.
//!
//! The newest work goes first, so that a small one does not wait for a large one. Between two steps anything may happen
//! to the tasks: each step looks at them as they are then. A work whose task is no longer in the state that began it is
//! dropped, as whatever changed that state has begun a work of its own.

mod dead;
mod pace;

use crate::backend::Result;
use crate::core::Core;
use crate::outcome::Outcome;
use crate::row::{Flags, state_number};
use crate::sql::work::{DeleteWork, PutWork, SelectNextDependents, SelectNextFailed, WorkRow};
use dead::DeadDependencies;
use kirosu_protocol::{Status, TaskId};
use pace::{MOST_STEPS, STEPS, next_steps};
use std::time::Duration;

/// The number of a work.
pub type WorkId = i64;

/// Dependencies of one task that are looked at for the cost of one step.
const LOOKS_A_STEP: i64 = 64;

/// Of `retry_failed`, only so many tasks are told of one by one.
const TOLD: u64 = 1000;

/// The kind of a work; a number in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A task has ended: those that wait for it are unblocked, or fail with it.
    Ended = 0,
    /// A task came back: those that failed for its sake wait for it again.
    CameBack = 1,
    /// Failed tasks come back.
    RetryFailed = 2,
}

/// One work, and how far it is.
#[derive(Clone, Debug)]
pub(crate) struct Work {
    pub id: WorkId,
    kind: Kind,
    /// Whose dependents it is about.
    pub task: TaskId,
    state: Status,
    after: TaskId,
    upto: TaskId,
    queue: Option<String>,
    count: u64,
    /// Whether the file has it.
    saved: bool,
    /// Whether the file has it as it is.
    clean: bool,
}

/// All that is under way.
#[derive(Debug, Default)]
pub(crate) struct Works {
    /// The last goes first.
    stack: Vec<Work>,
    next_id: WorkId,
    /// What a batch may change, and what of it is left to the present one.
    pace: u32,
    steps: u32,
    /// Tasks of which it is known that they cannot come back yet.
    pub dead: DeadDependencies,
    /// Finished after the commit that began them, with the answer to whoever waits.
    finished: Vec<(WorkId, Outcome)>,
}

impl Works {
    /// What the file has.
    pub fn load(rows: Vec<WorkRow>) -> Works {
        let next_id = rows.first().map_or(0, |row| row.id) + 1;
        let work = |row: WorkRow| Work {
            id: row.id,
            kind: match row.kind {
                0 => Kind::Ended,
                1 => Kind::CameBack,
                _ => Kind::RetryFailed,
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

    /// The batch is committed, and took so long.
    pub fn committed(&mut self, took: Duration) {
        if self.steps == 0 {
            self.pace = next_steps(self.pace, took);
        }
    }

    /// How many tasks this commit may still change.
    pub fn left(&self) -> u32 {
        self.steps
    }

    /// A command changes one of them.
    pub fn spend(&mut self) {
        self.steps = self.steps.saturating_sub(1);
    }

    /// So many dependencies of a task were looked at.
    pub fn looked_at(&mut self, task: TaskId, dependencies: i64) {
        self.dead.forget(task);
        let cost = u32::try_from(dependencies / LOOKS_A_STEP).unwrap_or(u32::MAX);
        self.steps = self.steps.saturating_sub(cost);
    }

    /// Whether something is left for a further commit.
    pub fn is_empty(&self) -> bool {
        self.stack.is_empty()
    }

    /// Takes the answers of the works that the present batch has finished and an earlier one had begun.
    pub fn take_finished(&mut self) -> Vec<(WorkId, Outcome)> {
        std::mem::take(&mut self.finished)
    }

    /// Whether a task must not be forgotten yet.
    pub fn needs(&self, task: TaskId) -> bool {
        self.stack.iter().any(|work| work.task == task)
    }
}

impl Core {
    fn new_work(&mut self, kind: Kind, task: TaskId, state: Status) -> Work {
        let id = self.works.next_id;
        self.works.next_id += 1;
        Work {
            id,
            kind,
            task,
            state,
            after: 0,
            // Tasks to come know how things stand.
            upto: self.tasks.last_id(),
            queue: None,
            count: 0,
            saved: false,
            clean: false,
        }
    }

    /// A task has just ended: those that wait for it are unblocked, or fail with it (and theirs, and so on).
    pub(crate) fn ended(&mut self, id: TaskId) -> Result<()> {
        self.begin_for_dependents(Kind::Ended, id)
    }

    /// A failed or cancelled task has just come back: those that failed for its sake wait for it again.
    pub(crate) fn came_back(&mut self, id: TaskId) -> Result<()> {
        self.begin_for_dependents(Kind::CameBack, id)
    }

    fn begin_for_dependents(&mut self, kind: Kind, id: TaskId) -> Result<()> {
        let below = self.works.stack.len();
        self.push_for_dependents(kind, id);
        self.work_down_to(below)
    }

    fn push_for_dependents(&mut self, kind: Kind, id: TaskId) {
        if let Some(row) = self.tasks.get(id)
            && row.flags.has(Flags::HAS_DEPENDENTS)
        {
            let work = self.new_work(kind, id, row.state);
            self.works.stack.push(work);
        }
    }

    /// Brings failed tasks back, all or those of a queue.
    pub(crate) fn retry_failed(&mut self, queue: Option<&str>) -> Result<Outcome> {
        let below = self.works.stack.len();
        let mut work = self.new_work(Kind::RetryFailed, 0, Status::Failed);
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

    /// Goes on with what is under way, as far as this commit may.
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
                // Below what it has begun, which goes first.
                self.works.stack.insert(at, work);
                continue;
            }
            if work.saved {
                self.write(DeleteWork { id: work.id })?;
            }
            if work.kind == Kind::RetryFailed {
                let counted = Outcome::Counted {
                    count: work.count,
                    more: false,
                };
                self.works.finished.push((work.id, counted));
            }
        }
        Ok(())
    }

    /// Does a part of a work; answers whether it is finished.
    fn step(&mut self, work: &mut Work) -> Result<bool> {
        if work.kind == Kind::RetryFailed {
            return self.step_failed(work);
        }
        let state = self.row(work.task)?.map(|row| row.state);
        let holds = match work.kind {
            Kind::Ended => state == Some(work.state),
            _ => state.is_some_and(|state| !matches!(state, Status::Failed | Status::Cancelled)),
        };
        if !holds {
            return Ok(true);
        }
        let limit = i64::from(self.works.steps);
        let dependents = SelectNextDependents {
            depends_on: work.task,
            after: work.after,
            upto: work.upto,
            limit,
        };
        let ids = self.db.ids(dependents.into())?;
        let finished = (ids.len() as i64) < limit;
        for id in ids {
            if self.works.steps == 0 {
                return Ok(false);
            }
            work.after = id;
            self.works.steps -= 1;
            match (work.kind, work.state) {
                (Kind::Ended, Status::Done) => self.unblock(id)?,
                (Kind::Ended, state) => {
                    if self.give_up(id, &super::command::dependency_ended(work.task, state))? {
                        self.push_for_dependents(Kind::Ended, id);
                    }
                }
                _ => {
                    if self.wait_again(id)? {
                        self.count_retried(id);
                        self.push_for_dependents(Kind::CameBack, id);
                    }
                }
            }
        }
        Ok(finished)
    }

    /// A task came back with its dependency: `retry_failed` of its queue, which is under way, does not meet it any more.
    fn count_retried(&mut self, id: TaskId) {
        let lane = self.tasks.get(id).and_then(|row| self.lanes.get(row.lane));
        let queue = lane.map(|lane| lane.queue.clone());
        let retry = self.works.stack.iter_mut().rev();
        let mut retry = retry.filter(|work| work.kind == Kind::RetryFailed && work.after < id);
        if let Some(work) = retry.find(|work| work.queue.as_deref() == queue.as_deref()) {
            work.count += 1;
            work.clean = false;
        }
    }

    /// Failed tasks, by id: a task's dependencies, which are older, come before it.
    fn step_failed(&mut self, work: &mut Work) -> Result<bool> {
        self.flush_rows()?;
        // Tasks come back here without a visit to those that depend on them.
        self.works.dead.clear();
        // Where each may begin a work of its own, few are read at once.
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
            self.tasks.cache(row);
            if self.hopeless(id)?.is_some() {
                continue;
            }
            self.bring_back(id);
            work.count += 1;
            if work.count <= TOLD {
                self.report(id, "retried");
            }
            // All failed tasks come by here themselves, unless they are in another queue.
            let before = self.works.stack.len();
            if work.queue.is_some() {
                self.push_for_dependents(Kind::CameBack, id);
            }
            if self.works.stack.len() > before {
                return Ok(false);
            }
        }
        Ok(finished)
    }

    /// Keeps what is left in the file.
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
