//! Lanes without unfinished tasks: beyond some, they are in the file alone, and come back with one of their tasks or with
//! their names. Lanes without any task are forgotten.

use crate::backend::Result;
use crate::core::Core;
use crate::row::LaneId;
use crate::sql::counter::{AddMinute, DeleteLane, SelectLane, SelectLaneOf};

/// Lanes without unfinished tasks that stay in memory.
pub(crate) const IDLE_LANES: usize = 1024;

impl Core {
    /// Sees to it that the lane of a task that was read from the file is in memory.
    pub fn read_lane(&mut self, id: LaneId) -> Result<()> {
        if self.lanes.get(id).is_none()
            && let Some(row) = self.db.lane(SelectLane { id }.into())?
        {
            self.lanes.come_back(row);
        }
        Ok(())
    }

    /// The lane of a pair, if there is one.
    pub fn find_lane(&mut self, queue: &str, task_type: &str) -> Result<Option<LaneId>> {
        let known = self.lanes.find(queue, task_type);
        if known.is_some() || !self.lanes.has_absent() {
            return Ok(known);
        }
        let row = self.db.lane(SelectLaneOf { queue, task_type }.into())?;
        Ok(row.map(|row| self.lanes.come_back(row)))
    }

    /// After a commit: lanes that hold nothing but finished tasks need not be in memory.
    pub fn leave_idle_lanes(&mut self) {
        if self.lanes.leave_idle(IDLE_LANES) {
            let lanes = &self.lanes;
            self.tasks.retain(|row| lanes.get(row.lane).is_some());
            self.forget_order_of_lanes();
        }
    }

    /// Before a commit: lanes without any task are forgotten; the counters keep what they counted.
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
