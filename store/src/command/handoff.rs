//! Handoffs: the run of a task adds the one that goes on with its work. That one depends on it, so both are decided in the commit
//! that ends the run; in a run of a plan it takes the place of the first one in its step.

use crate::backend::Result;
use crate::core::{CommandResult, Core};
use crate::row::Flags;
use crate::rules::children;
use crate::sql::handoff::{PutHandoff, SelectHandedFrom, SelectHandedTo};
use kirosu_protocol::{Error, ErrorCode, NewTask, TaskId, TaskRun};

impl Core {
    /// Refuses a handoff by a run whose task has conditions for its result, which its own answer would have to meet, or at the end
    /// of a long chain.
    pub(super) fn check_handoff(&mut self, new: &NewTask) -> CommandResult<()> {
        if !new.handoff {
            return Ok(());
        }
        let Some(run) = new.run else {
            let message = "`handoff` is for the run of a task, with its token";
            return Err(Error::invalid_params(message).into());
        };
        if !new.depends_on.is_empty() {
            let message = "a handoff depends on the own task alone: leave `depends_on` out";
            return Err(Error::invalid_params(message).into());
        }
        if self.known(run.task_id)?.flags.has(Flags::HAS_ACCEPT) {
            let message = format!(
                "task {} has conditions for its result, which its own run must meet: it cannot hand over",
                run.task_id
            );
            return Err(Error::new(ErrorCode::WrongState, message).into());
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

    /// The run of a task has handed over to a new one. An earlier one, of this or another attempt, is cancelled.
    pub(super) fn hand_over(&mut self, run: TaskRun, next: TaskId) -> Result<()> {
        let task_id = run.task_id;
        if let Some(earlier) = self.handed_to(task_id)?
            && self.row(earlier)?.is_some_and(|row| !row.state.is_final())
        {
            let reason = "the run has handed over to another task";
            let lease = self.end_as_cancelled(earlier, None, Some(reason))?;
            self.works.leases.extend(lease);
            self.ended(earlier)?;
        }
        self.write(PutHandoff { task_id, next })?;
        let in_plan = self
            .row(task_id)?
            .is_some_and(|row| row.flags.has(Flags::IN_PLAN));
        self.change(task_id, |row| row.flags.set(Flags::HANDED_OVER));
        if in_plan {
            self.change(next, |row| {
                row.flags.set(Flags::IN_PLAN);
                row.flags.set(Flags::ENDS_WITH_PARENT);
            });
            if let Some(parent) = self.task_options(next)?.parent_id {
                self.end_with(next, parent)?;
            }
        }
        Ok(())
    }

    /// The task to which the run of this one has handed over.
    pub(crate) fn handed_to(&mut self, task_id: TaskId) -> Result<Option<TaskId>> {
        self.db.number(SelectHandedTo { task_id }.into())
    }
}
