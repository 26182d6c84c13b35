//! Scheduled tasks that are due.

use crate::backend::Result;
use crate::core::Core;
use crate::deadlines::Deadline;
use crate::outcome::Outcome;
use crate::rules::transition::waiting_state;
use crate::sql::sets::SelectDue;
use kirosu_protocol::Status;

impl Core {
    /// Queues scheduled tasks that are due, at most `limit`.
    pub(crate) fn promote_due(&mut self, limit: u32) -> Result<Outcome> {
        self.flush_rows()?;
        let (now, limit) = (self.now(), i64::from(limit.max(1)));
        let ids = self.db.ids(SelectDue { until: now, limit }.into())?;
        let more = ids.len() as i64 == limit;
        let mut count = 0;
        for id in ids {
            if self
                .row(id)?
                .is_none_or(|row| row.state != Status::Scheduled)
            {
                continue;
            }
            self.change(id, |row| {
                row.state = waiting_state(row, now);
                row.updated_at = now;
            });
            self.report(id, "due");
            count += 1;
        }
        self.flush_rows()?;
        self.deadlines.read(&mut *self.db, Deadline::Run)?;
        Ok(Outcome::Counted { count, more })
    }
}
