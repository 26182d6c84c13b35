//! `cancel`: ends an unfinished task.

use crate::backend::Result;
use crate::core::{AttemptOutcome, CommandResult, Core, wrong_state};
use crate::outcome::{EndedLease, Outcome};
use crate::row::Flags;
use crate::rules::transition;
use crate::sql::cold::PutNote;
use kirosu_protocol::{FailureClass, Status, TaskId};

impl Core {
    /// Cancels a task at once, also one that is leased. The answer names the lease that ended.
    pub(crate) fn cancel(
        &mut self,
        id: TaskId,
        by: Option<&str>,
        reason: Option<&str>,
    ) -> CommandResult<Outcome> {
        let row = self.known(id)?;
        let mut leases = Vec::new();
        if row.state != Status::Cancelled {
            if row.state.is_final() {
                return Err(wrong_state("cancel", row, "it has ended already").into());
            }
            leases.extend(self.end_as_cancelled(id, by, reason)?);
            self.ended(id)?;
        }
        Ok(Outcome::Ended {
            leases,
            more: false,
        })
    }

    /// Cancels a task that is in memory and not final. Returns its lease, if it had one. Its dependents and children do not
    /// change yet.
    pub(crate) fn end_as_cancelled(
        &mut self,
        id: TaskId,
        by: Option<&str>,
        reason: Option<&str>,
    ) -> Result<Option<EndedLease>> {
        let now = self.now();
        let lease = self.lease_of(id).map(|lease| EndedLease {
            reason: reason.map(str::to_owned),
            ..lease
        });
        if by.is_some() || reason.is_some() {
            self.decide(id, "cancelled", by, reason)?;
        }
        let error = match reason {
            Some(reason) => format!("cancelled: {reason}"),
            None => "cancelled".to_owned(),
        };
        let mut flag = 0;
        if lease.is_some() {
            let end = AttemptOutcome {
                outcome: FailureClass::Cancelled.as_str(),
                error: Some(&error),
                ..AttemptOutcome::default()
            };
            self.end_attempt(id, &end)?;
            flag = Flags::RESULT_IN_ATTEMPT;
        } else if reason.is_some() {
            self.write(PutNote {
                task_id: id,
                result: None,
                error: Some(&error),
                text_id: None,
            })?;
            flag = Flags::RESULT_IN_NOTE;
        }
        self.change(id, |row| {
            transition::finish(row, Status::Cancelled, flag, now)
        });
        self.report_by(id, "cancelled", by);
        self.close_permissions(id)?;
        Ok(self.ended_lease(id, lease))
    }

    /// Cancels a child that ends with its parent, which is in this state; `None`: it was pruned. Returns whether it did.
    pub(crate) fn end_with_parent(
        &mut self,
        id: TaskId,
        parent: TaskId,
        state: Option<Status>,
    ) -> Result<bool> {
        match self.row(id)? {
            Some(row) if !row.state.is_final() && row.flags.has(Flags::ENDS_WITH_PARENT) => {}
            _ => return Ok(false),
        }
        let reason = match state {
            Some(state) => format!("its parent, task {parent}, is {state}"),
            None => format!("its parent, task {parent}, was pruned"),
        };
        let lease = self.end_as_cancelled(id, None, Some(&reason))?;
        self.works.leases.extend(lease);
        Ok(true)
    }
}
