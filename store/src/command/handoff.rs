//! Handoffs: the run of a task adds the one that goes on with its work. That one depends on it, so both are decided in the commit
//! that ends the run; in a run of a plan it takes the place of the first one in its step.

use crate::backend::Result;
use crate::core::{CommandResult, Core};
use crate::row::Flags;
use crate::rules::children;
use crate::sql::handoff::{PutHandoff, SelectHandedBefore, SelectHandedFrom, SelectHandedTo};
use kirosu_protocol::{Error, Fence, NewTask, TaskId, TaskRun};

impl Core {
    /// Refuses a handoff by a run whose task has conditions for its result, which its own answer would have to meet, or at the end
    /// of a long chain.
    pub(super) fn check_handoff(
        &mut self,
        new: &NewTask,
        position: Option<usize>,
    ) -> CommandResult<()> {
        if !new.handoff {
            return Ok(());
        }
        if position.is_some() || new.ends_with_parent {
            let message = match position.is_some() {
                true => "`handoff` is for `enqueue` alone, not for a task of a batch",
                false => {
                    "a task with `handoff` ends with its parent if the own one does: leave `ends_with_parent` out"
                }
            };
            return Err(Error::invalid_params(message).into());
        }
        let Some(run) = new.run else {
            let message = "`handoff` is for the run of a task, with its token";
            return Err(Error::invalid_params(message).into());
        };
        if !new.depends_on.is_empty() {
            let message = "a handoff depends on the own task alone: leave `depends_on` out";
            return Err(Error::invalid_params(message).into());
        }
        if self.known(run.task_id)?.flags.has(Flags::WAITS_CHILDREN) {
            let message =
                "this run waits for its children once it has ended: it cannot hand over, too";
            return Err(self.wrong_state_of(run.task_id, message));
        }
        if self.known(run.task_id)?.flags.has(Flags::HAS_ACCEPT) {
            let message = format!(
                "task {} has conditions for its result, which its own run must meet: it cannot hand over",
                run.task_id
            );
            return Err(self.wrong_state_of(run.task_id, message));
        }
        let (task_id, fence) = (run.task_id, run.fence);
        if let Some(next) = self.db.number(SelectHandedTo { task_id, fence }.into())?
            && self.row(next)?.is_some_and(|row| !row.state.is_final())
        {
            let message = format!("this run has handed over to task {next} already");
            return Err(self.wrong_state_of(run.task_id, message));
        }
        let most = self.options.children.depth;
        let (mut at, mut length) = (run.task_id, 0);
        while length < most
            && let Some(before) = self.db.number(SelectHandedFrom { next: at }.into())?
        {
            (at, length) = (before, length + 1);
        }
        match length < most {
            true => Ok(()),
            false => Err(children::chain_too_long(most).into()),
        }
    }

    /// The parent of a task to which a run hands over: that of the run's own task, so that it is a task of the same kind.
    pub(super) fn parent_of(&mut self, new: &NewTask) -> Result<Option<TaskId>> {
        match (new.handoff, new.run) {
            (true, Some(run)) => {
                let above = self.task_options(run.task_id)?.parent_id;
                Ok(above.or(Some(run.task_id)))
            }
            _ => Ok(new.parent_id),
        }
    }

    /// The run of a task has handed over to a new one. That of an earlier attempt is cancelled.
    pub(super) fn hand_over(&mut self, run: TaskRun, next: TaskId) -> Result<()> {
        let TaskRun { task_id, fence } = run;
        self.drop_handoff(task_id, fence)?;
        self.write(PutHandoff {
            task_id,
            next,
            fence,
        })?;
        let Some(row) = self.row(task_id)? else {
            return Ok(());
        };
        let flags = row.flags;
        self.change(task_id, |row| row.flags.set(Flags::HANDED_OVER));
        // It ends with the parent, and is repeated after a loss, as the first one.
        let alike = [
            Flags::IN_PLAN,
            Flags::ENDS_WITH_PARENT,
            Flags::OF_RUN,
            Flags::LOST_FAILS,
            Flags::LOST_ASKS,
        ];
        self.change(next, |row| {
            let same = alike.into_iter().filter(|flag| flags.has(*flag));
            same.for_each(|flag| row.flags.set(flag));
        });
        let Some(parent) = self.task_options(next)?.parent_id else {
            return Ok(());
        };
        if flags.has(Flags::IN_PLAN)
            && let Some(plan) = self.plan_run(parent)?
        {
            plan.made += 1;
            self.touch_run(parent);
        }
        match flags.has(Flags::ENDS_WITH_PARENT) {
            true => self.end_with(next, parent),
            false => Ok(()),
        }
    }

    /// An attempt of a task is done, or hands over itself: the task to which another attempt has handed over is cancelled.
    pub(crate) fn drop_handoff(&mut self, task_id: TaskId, fence: Fence) -> Result<()> {
        let before = SelectHandedBefore { task_id, fence };
        let Some(earlier) = self.db.number(before.into())? else {
            return Ok(());
        };
        if self.row(earlier)?.is_some_and(|row| !row.state.is_final()) {
            let reason = "the attempt that handed over to it did not succeed";
            let lease = self.end_as_cancelled(earlier, None, Some(reason))?;
            self.works.leases.extend(lease);
            self.ended(earlier)?;
        }
        Ok(())
    }

    /// The task to which the newest attempt of this one has handed over, unless it is gone.
    pub(crate) fn handed_to(&mut self, task_id: TaskId) -> Result<Option<TaskId>> {
        let Some(row) = self.row(task_id)? else {
            return Ok(None);
        };
        if !row.flags.has(Flags::HANDED_OVER) {
            return Ok(None);
        }
        let fence = row.fence;
        let next = self.db.number(SelectHandedTo { task_id, fence }.into())?;
        match next {
            Some(next) if self.row(next)?.is_some() => Ok(Some(next)),
            _ => Ok(None),
        }
    }
}
