//! The wall clock was set: leases hold as long as they would have.

use crate::core::Core;
use crate::outcome::Outcome;
use crate::sql;
use crate::sql::sets::{SelectNextExpiry, ShiftLeases};
use diesel::QueryResult;

impl Core {
    /// Moves the deadline of every live lease, in the file and in memory.
    pub(crate) fn shift_leases(&mut self, by_ms: i64) -> QueryResult<Outcome> {
        if by_ms != 0 {
            // The file's statement must see what this batch has changed so far.
            self.flush_rows()?;
            self.write(ShiftLeases { by: by_ms })?;
            self.rows.shift_leases(by_ms);
            self.due.lease = sql::first(&mut self.conn, SelectNextExpiry {})?;
        }
        Ok(Outcome::Ok)
    }
}
