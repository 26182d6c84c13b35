//! `retry` and `retry_failed`: bring finished tasks back.

use crate::core::{Core, Reply, wrong_state};
use crate::outcome::Outcome;
use crate::row::{Flags, LaneId, TaskRow, state_of};
use crate::rules::transition;
use crate::sql;
use crate::sql::failed;
use crate::sql::sets::LaneShift;
use diesel::{QueryResult, sql_query};
use kirosu_protocol::{Status, TaskId};

/// Of `retry_failed`, only so many tasks are told of one by one.
const TOLD: i64 = 1000;

impl Core {
    /// Queues a failed or cancelled task again; sent twice, it is fine.
    pub(crate) fn retry(&mut self, id: TaskId) -> Reply<Outcome> {
        let now = self.now;
        let row = self.known(id)?;
        match row.state {
            Status::Failed | Status::Cancelled => {}
            state if !state.is_final() && row.flags.has(Flags::RETRIED) => return Ok(Outcome::Ok),
            _ => {
                return Err(wrong_state(
                    "retry",
                    row,
                    "only failed and cancelled tasks can be retried",
                )
                .into());
            }
        }
        self.change(id, |row| transition::retry(row, now));
        self.tell(id, "retried");
        Ok(Outcome::Ok)
    }

    /// Queues every failed task again, or those of one queue, in one statement.
    pub(crate) fn retry_failed(&mut self, queue: Option<&str>) -> QueryResult<Outcome> {
        self.flush_rows()?;
        let lanes: Option<Vec<LaneId>> = queue.map(|queue| {
            let lanes = self.lanes.iter().filter(|lane| &*lane.queue == queue);
            lanes.map(|lane| lane.id).collect()
        });
        let lanes = lanes.as_deref();
        let counts = sql_query(failed::select_counts(lanes));
        let shifts: Vec<LaneShift> = sql::all(&mut self.conn, counts)?;
        if shifts.is_empty() {
            return Ok(Outcome::Counted {
                count: 0,
                more: false,
            });
        }
        let told: Vec<TaskRow> =
            sql::all(&mut self.conn, sql_query(failed::select_first(lanes, TOLD)))?;
        self.write(sql_query(failed::update(lanes, self.now)))?;
        self.rows.clear();
        let mut count = 0;
        for shift in shifts {
            self.lanes.count(shift.lane, Status::Failed, -shift.count);
            self.lanes
                .count(shift.lane, state_of(shift.target)?, shift.count);
            if let Some(lane) = self.lanes.get_mut(shift.lane) {
                lane.heads.clear();
            }
            count += shift.count as u64;
        }
        self.note_all_ready();
        for row in told {
            self.row(row.id)?;
            self.tell(row.id, "retried");
        }
        Ok(Outcome::Counted { count, more: false })
    }
}
