//! Writing what a batch changed, once.

use crate::core::Core;
use crate::counters::Counters;
use crate::row::{LaneId, TaskRow, state_number};
use crate::sql;
use crate::sql::counter::{AddMinute, DeleteMinutes, InsertLane, PutCounter, UpdateLane};
use crate::sql::task::{InsertInput, InsertTask, UpdateTask};
use diesel::result::Error;
use diesel::{QueryResult, SqliteConnection};
use kirosu_protocol::{Fence, Status, TaskId};

impl Core {
    /// Writes changed rows, so that statements over many rows see them.
    pub fn flush_rows(&mut self) -> QueryResult<()> {
        if !self.rows.is_dirty() {
            return Ok(());
        }
        self.begin()?;
        for id in self.rows.take_dirty() {
            let Some((row, before)) = self.rows.writing(id) else {
                continue;
            };
            match before {
                Some(guard) => update(&mut self.conn, row, guard)?,
                None => {
                    insert(&mut self.conn, row)?;
                    self.insert_input(id)?;
                }
            }
            self.written.push(id);
        }
        Ok(())
    }

    fn insert_input(&mut self, id: TaskId) -> QueryResult<()> {
        let Some(input) = self.inputs.get(id) else {
            return Ok(());
        };
        let options = input.options.to_text()?;
        let statement = InsertInput {
            task_id: id,
            prompt: &input.prompt,
            system_prompt: input.system_prompt.as_deref(),
            options: options.as_deref(),
            key: input.key.as_deref(),
        };
        sql::run(&mut self.conn, statement)?;
        // A task that was leased before it was written needs its input no more.
        if self
            .rows
            .get(id)
            .is_some_and(|row| row.state == Status::Queued)
        {
            self.inputs.written(id);
        } else {
            self.inputs.take(id);
        }
        Ok(())
    }

    /// Writes everything that is behind and commits. Nothing to write: nothing is opened.
    pub fn commit(&mut self) -> QueryResult<()> {
        self.flush_works()?;
        self.flush_rows()?;
        self.forget_empty_lanes()?;
        self.flush_counters()?;
        if self.in_tx {
            self.generation
                .give_out(&self.options.path, self.next_id - 1);
            self.committing = true;
            sql::run(&mut self.conn, sql::tx::Commit {})?;
            self.committing = false;
            self.in_tx = false;
        }
        let written = std::mem::take(&mut self.written);
        for id in &written {
            if self.rows.get(*id).is_some_and(|row| row.state.is_final()) {
                // Cancelled before it was leased: nobody will come for its input.
                self.inputs.take(*id);
            }
        }
        self.rows.shrink(&written);
        Ok(())
    }

    /// Counts a task that is done now.
    pub fn count_done(&mut self, lane: LaneId, task: TaskId, created_ms: i64) -> QueryResult<()> {
        let minute = Counters::minute(self.now);
        self.counters.done_in(minute, 1);
        let over = self
            .lanes
            .task_done(lane, task, self.now - created_ms, minute);
        let Some((minute, done)) = over else {
            return Ok(());
        };
        self.write(AddMinute { minute, done })?;
        if let Some(before) = self.counters.forget_old_minutes(self.now) {
            self.write(DeleteMinutes { before })?;
        }
        Ok(())
    }

    fn flush_counters(&mut self) -> QueryResult<()> {
        if self.lanes.is_dirty() {
            self.begin()?;
            for id in self.lanes.take_dirty() {
                self.flush_lane(id)?;
            }
        }
        if self.counters.dirty {
            self.begin()?;
            for (name, value) in self.counters.take_changed() {
                sql::run(&mut self.conn, PutCounter { name, value })?;
            }
        }
        Ok(())
    }

    fn flush_lane(&mut self, id: LaneId) -> QueryResult<()> {
        let Some(lane) = self.lanes.get_mut(id) else {
            return Ok(());
        };
        lane.dirty = false;
        if !std::mem::replace(&mut lane.saved, true) {
            let statement = InsertLane {
                id,
                queue: &lane.queue,
                task_type: &lane.task_type,
            };
            sql::run(&mut self.conn, statement)?;
        }
        let [
            queued,
            blocked,
            scheduled,
            awaiting_approval,
            leased,
            done,
            failed,
            cancelled,
        ] = lane.counts;
        let statement = UpdateLane {
            queued,
            blocked,
            scheduled,
            awaiting_approval,
            leased,
            done,
            failed,
            cancelled,
            completion_ms: lane.done.completion_ms,
            minute: lane.done.minute,
            minute_done: lane.done.minute_done,
            newest_done: lane.done.newest,
            id,
        };
        sql::run(&mut self.conn, statement)?;
        Ok(())
    }
}

fn insert(conn: &mut SqliteConnection, row: &TaskRow) -> QueryResult<()> {
    let statement = InsertTask {
        id: row.id,
        state: state_number(row.state),
        lane: row.lane,
        priority: i64::from(row.priority),
        fence: row.fence,
        attempts: i64::from(row.attempts),
        max_attempts: row.max_attempts.map(i64::from),
        run_at: row.run_at,
        lease_until: row.lease_until,
        lease_ms: row.lease_ms,
        leased_at: row.leased_at,
        session: row.session.as_deref(),
        worker: row.worker.as_deref(),
        created_at: row.created_at,
        updated_at: row.updated_at,
        finished_at: row.finished_at,
        flags: row.flags.0,
        blocked_by: i64::from(row.blocked_by),
    };
    sql::run(conn, statement).map(|_| ())
}

fn update(
    conn: &mut SqliteConnection,
    row: &TaskRow,
    (old_state, old_fence): (Status, Fence),
) -> QueryResult<()> {
    let statement = UpdateTask {
        state: state_number(row.state),
        fence: row.fence,
        attempts: i64::from(row.attempts),
        run_at: row.run_at,
        lease_until: row.lease_until,
        lease_ms: row.lease_ms,
        leased_at: row.leased_at,
        session: row.session.as_deref(),
        worker: row.worker.as_deref(),
        updated_at: row.updated_at,
        finished_at: row.finished_at,
        flags: row.flags.0,
        blocked_by: i64::from(row.blocked_by),
        id: row.id,
        old_state: state_number(old_state),
        old_fence,
    };
    // The guard holds unless somebody else wrote to the file; then memory is wrong and must be read anew.
    match sql::run(conn, statement)? {
        1 => Ok(()),
        _ => Err(Error::RollbackTransaction),
    }
}
