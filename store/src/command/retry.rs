//! `retry` and `retry_failed`: bring finished tasks back.

use crate::core::{Core, Reply, wrong_state};
use crate::outcome::Outcome;
use crate::row::{Flags, TaskRow, state_of};
use crate::rules::transition;
use crate::sql;
use crate::sql::sets::{LaneShift, RetryFailed, SelectFailed, SelectFailedCounts};
use diesel::QueryResult;
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

    /// Queues every failed task again, in one statement.
    pub(crate) fn retry_failed(&mut self) -> QueryResult<Outcome> {
        self.flush_rows()?;
        let shifts: Vec<LaneShift> = sql::all(&mut self.conn, SelectFailedCounts {})?;
        if shifts.is_empty() {
            return Ok(Outcome::Counted {
                count: 0,
                more: false,
            });
        }
        let told: Vec<TaskRow> = sql::all(&mut self.conn, SelectFailed { limit: TOLD })?;
        let now = self.now;
        self.write(RetryFailed { now })?;
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
        self.ready_news = true;
        for row in told {
            self.row(row.id)?;
            self.tell(row.id, "retried");
        }
        Ok(Outcome::Counted { count, more: false })
    }
}
