//! Lanes without unfinished tasks: beyond some, they are in the file alone, and come back with one of their tasks or with
//! their names. Lanes without any task are forgotten.

use crate::core::Core;
use crate::lanes::{Absent, Lanes};
use crate::row::LaneId;
use crate::sql;
use crate::sql::counter::{
    AddMinute, DeleteLane, SelectIdleSums, SelectLane, SelectLaneNumbers, SelectLaneOf,
    SelectLanes, SelectLiveLanes,
};
use diesel::{QueryResult, SqliteConnection};

/// Lanes without unfinished tasks that stay in memory.
const IDLE_LANES: usize = 1024;

/// The lanes of a file, as far as they are kept in memory.
pub(crate) fn load_lanes(c: &mut SqliteConnection) -> QueryResult<Lanes> {
    let paused = sql::all(c, sql::people::SelectPaused {})?;
    let numbers: Option<(i64, i64)> = sql::first(c, SelectLaneNumbers {})?;
    let (lanes, last_id) = numbers.unwrap_or((0, 0));
    if lanes <= IDLE_LANES as i64 {
        let rows = sql::all(c, SelectLanes {})?;
        return Ok(Lanes::load(rows, Absent::default(), last_id, paused));
    }
    let absent = sql::first(c, SelectIdleSums {})?.unwrap_or_default();
    let rows = sql::all(c, SelectLiveLanes {})?;
    Ok(Lanes::load(rows, absent, last_id, paused))
}

impl Core {
    /// Sees to it that the lane of a task that was read from the file is in memory.
    pub fn lane_here(&mut self, id: LaneId) -> QueryResult<()> {
        if self.lanes.get(id).is_none()
            && let Some(row) = sql::first(&mut self.conn, SelectLane { id })?
        {
            self.lanes.come_back(row);
        }
        Ok(())
    }

    /// The lane of a pair, if there is one.
    pub fn find_lane(&mut self, queue: &str, task_type: &str) -> QueryResult<Option<LaneId>> {
        let known = self.lanes.find(queue, task_type);
        if known.is_some() || self.lanes.absent.lanes == 0 {
            return Ok(known);
        }
        let row = sql::first(&mut self.conn, SelectLaneOf { queue, task_type })?;
        Ok(row.map(|row| self.lanes.come_back(row)))
    }

    /// After a commit: lanes that hold nothing but finished tasks need not be in memory.
    pub fn leave_idle_lanes(&mut self) {
        if self.lanes.leave_idle(IDLE_LANES) {
            let lanes = &self.lanes;
            self.rows.retain(|row| lanes.get(row.lane).is_some());
            self.forget_order_of_lanes();
        }
    }

    /// Before a commit: lanes without any task are forgotten; the counters keep what they counted.
    pub fn forget_empty_lanes(&mut self) -> QueryResult<()> {
        let emptied = std::mem::take(&mut self.emptied);
        for id in emptied {
            let Some(lane) = self.lanes.get(id).filter(|lane| lane.is_empty()) else {
                continue;
            };
            let done = lane.done;
            if done.minute_done > 0 {
                let (minute, done) = (done.minute, done.minute_done);
                self.write(AddMinute { minute, done })?;
            }
            self.counters.completion_ms += done.completion_ms;
            self.counters.dirty = true;
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
