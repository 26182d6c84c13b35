//! Retention: forget finished tasks that are old enough, in small steps.

use crate::core::Core;
use crate::outcome::Outcome;
use crate::row::Flags;
use crate::row::state_number;
use crate::sql;
use crate::sql::cold::SelectDependents;
use crate::sql::sets::{self, Finished, SelectDone, SelectFinished};
use diesel::QueryResult;
use kirosu_protocol::{Status, TaskId};

/// Ids that one step looks at for done tasks.
const DONE_WINDOW: TaskId = 50_000;

const FINAL: [Status; 3] = [Status::Done, Status::Failed, Status::Cancelled];

impl Core {
    /// Looks at the next finished tasks of each kind, by id, and forgets those that ended before a time.
    ///
    /// Ids grow with time, so a step that finds nothing old enough ends the sweep: the next one begins at the lowest id
    /// again. Each sweep therefore costs what it removes, not what is kept.
    pub(crate) fn prune(&mut self, before_ms: i64, limit: u32) -> QueryResult<Outcome> {
        self.flush_rows()?;
        let (mut count, mut more) = (0, false);
        for (index, status) in FINAL.into_iter().enumerate() {
            let (removed, next) =
                self.prune_status(status, self.prune_after[index], before_ms, limit)?;
            count += removed;
            more |= next.is_some();
            self.prune_after[index] = next.unwrap_or(0);
        }
        if count > 0 {
            self.counters.last_id = self.next_id - 1;
            self.counters.dirty = true;
        }
        Ok(Outcome::Counted { count, more })
    }

    fn prune_status(
        &mut self,
        status: Status,
        after: TaskId,
        before_ms: i64,
        limit: u32,
    ) -> QueryResult<(u64, Option<TaskId>)> {
        let limit = i64::from(limit.max(1));
        if status == Status::Done {
            return self.prune_done(after, before_ms, limit);
        }
        let statement = SelectFinished {
            state: state_number(status),
            after,
            limit,
        };
        let seen: Vec<Finished> = sql::all(&mut self.conn, statement)?;
        let mut removed = 0;
        for task in seen.iter().filter(|task| task.at < before_ms) {
            if !self.is_waited_for(task)? {
                self.forget(task, status)?;
                removed += 1;
            }
        }
        let next = seen
            .last()
            .filter(|_| seen.len() as i64 == limit && removed > 0);
        Ok((removed, next.map(|task| task.id)))
    }

    /// Done tasks have no index of their own: a bounded range of ids is looked at.
    fn prune_done(
        &mut self,
        after: TaskId,
        before_ms: i64,
        limit: i64,
    ) -> QueryResult<(u64, Option<TaskId>)> {
        let newest = self.lanes.newest_done();
        let last = newest.min(after + DONE_WINDOW);
        let statement = SelectDone { after, last, limit };
        let seen: Vec<Finished> = sql::all(&mut self.conn, statement)?;
        let mut removed = 0;
        for task in seen.iter().filter(|task| task.at < before_ms) {
            self.forget(task, Status::Done)?;
            removed += 1;
        }
        let next = match seen.last() {
            Some(_) if removed == 0 => None,
            Some(task) if seen.len() as i64 == limit => Some(task.id),
            _ => (last < newest).then_some(last),
        };
        Ok((removed, next))
    }

    /// Whether a task that was brought back waits for this one to be brought back too.
    fn is_waited_for(&mut self, task: &Finished) -> QueryResult<bool> {
        if !Flags(task.flags).has(Flags::HAS_DEPENDENTS) {
            return Ok(false);
        }
        for dependent in sql::all::<TaskId, _>(
            &mut self.conn,
            SelectDependents {
                depends_on: task.id,
            },
        )? {
            if self
                .row(dependent)?
                .is_some_and(|row| !row.state.is_final())
            {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn forget(&mut self, task: &Finished, status: Status) -> QueryResult<()> {
        let id = task.id;
        self.write(sets::DeleteKey { id })?;
        self.write(sets::DeleteChild { task_id: id, id })?;
        self.write(sets::DeleteInput { id })?;
        self.write(sets::DeleteAttempts { id })?;
        self.write(sets::DeleteNote { id })?;
        self.write(sets::DeleteDecisions { id })?;
        self.write(sets::DeleteDependencies { id })?;
        self.write(sets::DeleteDependents { id })?;
        self.write(sets::DeleteProgress { id })?;
        self.write(sets::DeleteOutput { id })?;
        self.forget_usage(id)?;
        if Flags(task.flags).has(Flags::HAS_LABELS) {
            self.write(sets::DeleteLabels { id })?;
        }
        if Flags(task.flags).has(Flags::ASKED) {
            self.write(sql::approval::DeleteApprovals { id })?;
        }
        self.write(sets::DeleteTask { id })?;
        self.rows.forget(id);
        self.lanes.count(task.lane, status, -1);
        self.counters.pruned(status);
        Ok(())
    }
}
