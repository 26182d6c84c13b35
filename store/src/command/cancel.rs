//! `cancel`: end an unfinished task.

use crate::core::{Core, End, Reply, wrong_state};
use crate::outcome::Outcome;
use crate::row::Flags;
use crate::rules::transition;
use kirosu_protocol::{FailureClass, Status, TaskId};

impl Core {
    /// Cancels a task at once, whoever holds it; the answer names the lease that is dead now.
    pub(crate) fn cancel(&mut self, id: TaskId) -> Reply<Outcome> {
        let now = self.now;
        let row = self.known(id)?;
        let mut leases = Vec::new();
        if row.state == Status::Cancelled {
            return Ok(Outcome::Ended {
                leases,
                more: false,
            });
        }
        if row.state.is_final() {
            return Err(wrong_state("cancel", row, "it has ended already").into());
        }
        let lease = self.lease_of(id);
        let mut told_by = 0;
        if lease.is_some() {
            let end = End {
                outcome: FailureClass::Cancelled.as_str(),
                error: Some("cancelled"),
                ..End::default()
            };
            self.end_attempt(id, &end)?;
            told_by = Flags::TOLD_BY_ATTEMPT;
        }
        self.change(id, |row| {
            transition::finish(row, Status::Cancelled, told_by, now)
        });
        self.tell(id, "cancelled");
        self.ended(id)?;
        leases.extend(self.ended_lease(id, lease));
        Ok(Outcome::Ended {
            leases,
            more: false,
        })
    }
}
