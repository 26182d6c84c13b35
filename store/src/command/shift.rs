//! The wall clock was set: every lease keeps its remaining time.
//!
//! With very many leases the deadlines are moved in steps over several commits. Until all are moved, no lease expires.
//! After a crash in between, every lease has the grace period of a restart.

use crate::backend::Result;
use crate::core::Core;
use crate::deadlines::Deadline;
use crate::outcome::Outcome;
use crate::sql::sets::SelectLeasedIds;
use kirosu_protocol::Status;

impl Core {
    /// Begins to move the deadlines of all live leases.
    pub(crate) fn shift_leases(&mut self, by_ms: i64) -> Result<Outcome> {
        if by_ms != 0 {
            // The query must see what this batch has changed so far.
            self.flush_rows()?;
            for id in self.db.ids(SelectLeasedIds {}.into())? {
                self.deadlines.shifts().add(id, by_ms);
            }
        }
        Ok(Outcome::Ok)
    }

    /// Moves further deadlines, as many as this commit may change.
    pub(crate) fn shift_on(&mut self) -> Result<()> {
        if !self.deadlines.has_shifts() {
            return Ok(());
        }
        while self.works.left() > 0
            && let Some((id, by_ms)) = self.deadlines.shifts().first()
        {
            self.works.spend();
            let leased = self.row(id)?.is_some_and(|row| row.state == Status::Leased);
            if leased {
                self.change(id, |row| {
                    row.lease_until = row.lease_until.map(|at| at.saturating_add(by_ms));
                });
            }
            self.deadlines.shifts().forget(id);
        }
        if !self.deadlines.has_shifts() {
            self.flush_rows()?;
            self.deadlines.read(&mut *self.db, Deadline::Lease)?;
        }
        Ok(())
    }
}
