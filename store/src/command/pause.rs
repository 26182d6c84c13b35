//! `pause` and `resume` of a queue.

use crate::core::Core;
use crate::outcome::Outcome;
use crate::sql::people::{DeletePaused, InsertPaused};
use diesel::QueryResult;

impl Core {
    /// Stops handing out tasks of a queue.
    pub(crate) fn pause_queue(&mut self, queue: &str) -> QueryResult<Outcome> {
        if self.lanes.set_paused(queue, true) {
            let since = self.now;
            self.write(InsertPaused { queue, since })?;
        }
        Ok(Outcome::Ok)
    }

    /// Hands out tasks of a queue again.
    pub(crate) fn resume_queue(&mut self, queue: &str) -> QueryResult<Outcome> {
        if self.lanes.set_paused(queue, false) {
            self.write(DeletePaused { queue })?;
            self.ready_news = true;
        }
        Ok(Outcome::Ok)
    }
}
