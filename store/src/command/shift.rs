//! The wall clock was set: leases hold as long as they would have.
//!
//! There may be very many leases, so their deadlines are moved in steps, over several commits within moments. Until all are
//! moved, no lease expires. What a crash of the process leaves has the grace that every lease has after a start.

use crate::backend::Result;
use crate::core::Core;
use crate::outcome::Outcome;
use crate::sql::sets::{SelectLeasedIds, SelectNextExpiry};
use kirosu_protocol::Status;

impl Core {
    /// Begins to move the deadline of every live lease.
    pub(crate) fn shift_leases(&mut self, by_ms: i64) -> Result<Outcome> {
        if by_ms != 0 {
            // The file's statement must see what this batch has changed so far.
            self.flush_rows()?;
            for id in self.db.ids(SelectLeasedIds {}.into())? {
                self.deadlines.shifts().add(id, by_ms);
            }
        }
        Ok(Outcome::Ok)
    }

    /// Goes on with it, as far as this commit may.
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
            let next = self.db.number(SelectNextExpiry {}.into())?;
            self.deadlines.set_lease(next);
        }
        Ok(())
    }
}
