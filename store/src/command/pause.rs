//! `pause` and `resume` of a queue, or of all.
//!
//! "All" is a row of its own under the empty name, which no queue can have: queues that are made later are paused too.

use crate::core::Core;
use crate::outcome::Outcome;
use crate::sql::people::{DeletePaused, InsertPaused};
use diesel::QueryResult;
use kirosu_protocol::EventKind;
use kirosu_protocol::verbs::pause::ALL;

/// The row that stands for all queues.
pub(crate) const ALL_ROW: &str = "";

impl Core {
    /// Stops handing out tasks of a queue, or of all.
    pub(crate) fn pause(&mut self, queue: Option<&str>) -> QueryResult<Outcome> {
        let changed = match queue {
            Some(queue) => self.lanes.set_paused(queue, true),
            None => self.lanes.set_all_paused(true),
        };
        if changed {
            let since = self.now;
            self.write(InsertPaused {
                queue: queue.unwrap_or(ALL_ROW),
                since,
            })?;
            self.tell_queue(queue.unwrap_or(ALL), "paused");
        }
        Ok(Outcome::Paused(self.lanes.paused()))
    }

    /// Hands out tasks of a queue again, or of all.
    pub(crate) fn resume(&mut self, queue: Option<&str>) -> QueryResult<Outcome> {
        let Some(queue) = queue else {
            return self.resume_all();
        };
        if self.lanes.set_paused(queue, false) {
            self.write(DeletePaused { queue })?;
            self.tell_queue(queue, "resumed");
            self.note_all_ready();
        }
        Ok(Outcome::Paused(self.lanes.paused()))
    }

    fn resume_all(&mut self) -> QueryResult<Outcome> {
        for queue in self.lanes.paused() {
            let row = match queue == ALL {
                true => {
                    self.lanes.set_all_paused(false);
                    ALL_ROW
                }
                false => {
                    self.lanes.set_paused(&queue, false);
                    &queue
                }
            };
            self.write(DeletePaused { queue: row })?;
            self.tell_queue(&queue, "resumed");
            self.note_all_ready();
        }
        Ok(Outcome::Paused(self.lanes.paused()))
    }

    fn tell_queue(&mut self, queue: &str, state: &str) {
        self.changes.push(EventKind::Queue {
            queue: queue.to_owned(),
            state: state.to_owned(),
        });
    }
}
