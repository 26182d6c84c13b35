//! The effects of a task's end, or of its return, on its dependents.

use crate::backend::Result;
use crate::core::Core;
use crate::counters::Counters;
use crate::row::Flags;
use crate::rules::transition::{self, waiting_state};
use crate::sql::cold::PutNote;
use crate::sql::counter::{AddMinute, DeleteMinutes};
use crate::sql::work::DependencyStates;
use kirosu_protocol::{Status, TaskId};

/// The error of a task whose dependency failed or was cancelled.
pub(crate) fn dependency_ended(dependency: TaskId, status: Status) -> String {
    match status {
        Status::Cancelled => format!("dependency {dependency} was cancelled"),
        _ => format!("dependency {dependency} failed"),
    }
}

impl Core {
    /// Counts a task that is about to become done.
    pub fn count_done(&mut self, id: TaskId) -> Result<()> {
        let Some((lane, created_at)) = self.tasks.get(id).map(|row| (row.lane, row.created_at))
        else {
            return Ok(());
        };
        let now = self.now();
        let minute = Counters::minute(now);
        self.counters.done_in(minute, 1);
        let over = self.lanes.task_done(lane, id, now - created_at, minute);
        let Some((minute, done)) = over else {
            return Ok(());
        };
        self.write(AddMinute { minute, done })?;
        if let Some(before) = self.counters.forget_old_minutes(now) {
            self.write(DeleteMinutes { before })?;
        }
        Ok(())
    }

    /// A dependency of the task is done: the task leaves `blocked` with the last one.
    pub(crate) fn unblock(&mut self, id: TaskId) -> Result<()> {
        let now = self.now();
        let Some(before) = self.row(id)?.map(|row| row.state) else {
            return Ok(());
        };
        self.change(id, |row| {
            row.blocked_by = row.blocked_by.saturating_sub(1);
            if row.state == Status::Blocked && row.blocked_by == 0 {
                row.state = waiting_state(row, now);
                row.updated_at = now;
            }
        });
        if self.tasks.get(id).is_some_and(|row| row.state != before) {
            self.report(id, "unblocked");
        }
        Ok(())
    }

    /// Fails an unfinished task whose dependency failed. Returns whether it did.
    pub(crate) fn give_up(&mut self, id: TaskId, error: &str) -> Result<bool> {
        match self.row(id)? {
            Some(row) if !row.state.is_final() => {}
            _ => return Ok(false),
        }
        self.fail_for_dependency(id, error)?;
        Ok(true)
    }

    /// Fails a task that is in memory because of a dependency.
    pub(crate) fn fail_for_dependency(&mut self, id: TaskId, error: &str) -> Result<()> {
        let now = self.now();
        self.write(PutNote {
            task_id: id,
            result: None,
            error: Some(error),
            text_id: None,
        })?;
        self.change(id, |row| transition::give_up(row, now));
        self.report(id, "failed");
        Ok(())
    }

    /// A dependency of the task was retried: a task that failed because of its dependencies, none of which is failed
    /// now, waits for them again. Returns whether it does.
    pub(crate) fn wait_again(&mut self, id: TaskId) -> Result<bool> {
        let gave_up = |row: &crate::row::TaskRow| {
            row.state == Status::Failed && row.flags.has(Flags::GAVE_UP)
        };
        if !self.row(id)?.is_some_and(gave_up) || self.works.dead.has_more(id) {
            return Ok(false);
        }
        let dependency_states = self.dependency_states(id)?;
        if dependency_states.dead > 0 {
            self.works.dead.note(id, dependency_states.dead);
        }
        if self.why_hopeless(id, dependency_states)?.is_some() {
            return Ok(false);
        }
        self.bring_back(id);
        self.report(id, "retried");
        Ok(true)
    }

    /// Returns a finished task that is in memory to the state after its enqueue.
    pub(crate) fn bring_back(&mut self, id: TaskId) {
        let lane = self.tasks.get(id).and_then(|row| self.lanes.get(row.lane));
        let is_human = lane.is_some_and(|lane| lane.is_human());
        let at = (self.fence_base, self.now());
        self.change(id, |row| transition::retry(row, is_human, at));
    }

    /// The reason why a task that is in memory can never run in the present state of its dependencies. `None` means
    /// that it can run, or waits for some.
    pub(crate) fn hopeless(&mut self, id: TaskId) -> Result<Option<String>> {
        let dependency_states = self.dependency_states(id)?;
        self.why_hopeless(id, dependency_states)
    }

    /// The states of the dependencies of a task that is in memory and was blocked. Reading very many of them counts
    /// among the steps of this commit.
    fn dependency_states(&mut self, id: TaskId) -> Result<DependencyStates> {
        if self.tasks.get(id).is_none_or(|row| row.blocked_by == 0) {
            return Ok(DependencyStates::default());
        }
        self.flush_rows()?;
        let dependency_states = self.db.dependencies(id)?;
        self.works.read_dependencies(id, dependency_states.all);
        Ok(dependency_states)
    }

    fn why_hopeless(
        &mut self,
        id: TaskId,
        dependency_states: DependencyStates,
    ) -> Result<Option<String>> {
        let blocked_by = self
            .tasks
            .get(id)
            .map_or(0, |row| i64::from(row.blocked_by));
        let Some(dependency) = dependency_states.never else {
            let forgotten = "a dependency failed or was cancelled, and was pruned";
            return Ok((blocked_by > dependency_states.open).then(|| forgotten.to_owned()));
        };
        Ok(Some(match self.row(dependency)?.map(|row| row.state) {
            Some(state) => dependency_ended(dependency, state),
            None => format!("dependency {dependency} failed or was cancelled, and was pruned"),
        }))
    }
}
