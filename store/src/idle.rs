//! Lanes without unfinished tasks. Beyond a number they are not in memory, and are read again with one of their tasks
//! or by name. Lanes without any task are deleted.

use crate::backend::Result;
use crate::core::Core;
use crate::row::LaneId;
use crate::sql::counter::{AddMinute, DeleteLane, SelectLane, SelectLaneOf};

/// Lanes without unfinished tasks that stay in memory.
pub(crate) const IDLE_LANES: usize = 1024;

impl Core {
    /// Reads a lane into memory unless it is there.
    pub fn read_lane(&mut self, id: LaneId) -> Result<()> {
        if self.lanes.get(id).is_none()
            && let Some(row) = self.db.lane(SelectLane { id }.into())?
        {
            self.lanes.come_back(row);
        }
        Ok(())
    }

    /// The lane of a pair, from memory or the database.
    pub fn find_lane(&mut self, queue: &str, task_type: &str) -> Result<Option<LaneId>> {
        let known = self.lanes.find(queue, task_type);
        if known.is_some() || !self.lanes.has_absent() {
            return Ok(known);
        }
        let row = self.db.lane(SelectLaneOf { queue, task_type }.into())?;
        Ok(row.map(|row| self.lanes.come_back(row)))
    }

    /// After a commit: drops lanes without unfinished tasks if there are very many.
    pub fn leave_idle_lanes(&mut self) {
        if self.lanes.leave_idle(IDLE_LANES) {
            let lanes = &self.lanes;
            self.tasks.retain(|row| lanes.get(row.lane).is_some());
            self.forget_order_of_lanes();
        }
    }

    /// Before a commit: deletes lanes without any task. Their counts move to the counters of the store.
    pub fn forget_empty_lanes(&mut self) -> Result<()> {
        for id in self.lanes.take_emptied() {
            let Some(lane) = self.lanes.get(id).filter(|lane| lane.is_empty()) else {
                continue;
            };
            let done = lane.done;
            if done.minute_done > 0 {
                let (minute, done) = (done.minute, done.minute_done);
                self.write(AddMinute { minute, done })?;
            }
            self.counters.add_completion(done.completion_ms);
            self.write(DeleteLane { id })?;
            self.lanes.remove(id);
            self.forget_order_of_lanes();
        }
        Ok(())
    }

    fn forget_order_of_lanes(&mut self) {
        self.parked.forget_lanes();
        self.task_stats.forget_lanes();
    }
}
