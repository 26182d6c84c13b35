//! `pause` and `resume` of one queue or of all.
//!
//! "All" has a row of its own, so that queues to come are paused too.

use crate::backend::Result;
use crate::core::Core;
use crate::lanes::ALL_ROW;
use crate::outcome::Outcome;
use crate::sql::people::{DeletePaused, InsertPaused};
use kirosu_protocol::{ALL_QUEUES, EventKind};

impl Core {
    /// Stops leasing tasks of a queue, or of all queues.
    pub(crate) fn pause(&mut self, queue: Option<&str>) -> Result<Outcome> {
        let changed = match queue {
            Some(queue) => self.lanes.set_paused(queue, true),
            None => self.lanes.set_all_paused(true),
        };
        if changed {
            let since = self.now();
            self.write(InsertPaused {
                queue: queue.unwrap_or(ALL_ROW),
                since,
            })?;
            self.tell_queue(queue.unwrap_or(ALL_QUEUES), "paused");
        }
        Ok(Outcome::Paused(self.lanes.paused()))
    }

    /// Leases tasks of a queue again, or of all queues.
    pub(crate) fn resume(&mut self, queue: Option<&str>) -> Result<Outcome> {
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

    fn resume_all(&mut self) -> Result<Outcome> {
        for queue in self.lanes.paused() {
            let row = match queue == ALL_QUEUES {
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

    /// Queued tasks of some lanes may be leased again.
    fn note_all_ready(&mut self) {
        self.parked.note_all_ready(&self.lanes);
        if !self.lanes.ready_plans().is_empty() {
            self.plans.note_ready();
        }
    }

    fn tell_queue(&mut self, queue: &str, state: &str) {
        self.batch.report(EventKind::Queue {
            queue: queue.to_owned(),
            state: state.to_owned(),
        });
    }
}
