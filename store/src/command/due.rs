//! Scheduled tasks whose time has come.

use crate::core::Core;
use crate::outcome::Outcome;
use crate::rules::transition::waiting_state;
use crate::sql;
use crate::sql::sets::{SelectDue, SelectNextDue};
use diesel::QueryResult;
use kirosu_protocol::{Status, TaskId};

impl Core {
    /// Queues scheduled tasks whose time has come.
    pub(crate) fn promote_due(&mut self, limit: u32) -> QueryResult<Outcome> {
        self.flush_rows()?;
        let (now, limit) = (self.now, i64::from(limit.max(1)));
        let ids: Vec<TaskId> = sql::all(&mut self.conn, SelectDue { until: now, limit })?;
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
            self.tell(id, "due");
            count += 1;
        }
        self.flush_rows()?;
        self.due.run = sql::first(&mut self.conn, SelectNextDue {})?;
        Ok(Outcome::Counted { count, more })
    }
}
