//! What a task's end means for those that depend on it.

use crate::core::Core;
use crate::row::Flags;
use crate::rules::transition::{self, waiting_state};
use crate::sql;
use crate::sql::cold::{PutNote, SelectDependents};
use diesel::QueryResult;
use kirosu_protocol::{Status, TaskId};

/// Why a task can never run whose dependency ended without a result.
pub(crate) fn dependency_ended(dependency: TaskId, status: Status) -> String {
    match status {
        Status::Cancelled => format!("dependency {dependency} was cancelled"),
        _ => format!("dependency {dependency} failed"),
    }
}

impl Core {
    /// A task has just ended: those that wait for it are unblocked, or fail with it (and theirs, and so on).
    pub(crate) fn ended(&mut self, id: TaskId) -> QueryResult<()> {
        let mut ended = vec![id];
        while let Some(id) = ended.pop() {
            let Some(row) = self.rows.get(id) else {
                continue;
            };
            let state = row.state;
            if !row.flags.has(Flags::HAS_DEPENDENTS) {
                continue;
            }
            for dependent in
                sql::all::<TaskId, _>(&mut self.conn, SelectDependents { depends_on: id })?
            {
                if state == Status::Done {
                    self.unblock(dependent)?;
                } else if self.give_up(dependent, &dependency_ended(id, state))? {
                    ended.push(dependent);
                }
            }
        }
        Ok(())
    }

    fn unblock(&mut self, id: TaskId) -> QueryResult<()> {
        let now = self.now;
        let Some(before) = self.row(id)?.map(|row| row.state) else {
            return Ok(());
        };
        self.change(id, |row| {
            row.blocked_by = row.blocked_by.saturating_sub(1);
            if row.state == Status::Blocked && row.blocked_by == 0 {
                row.state = waiting_state(row, now);
                row.updated_at = now;
            }
        });
        if self.rows.get(id).is_some_and(|row| row.state != before) {
            self.tell(id, "unblocked");
        }
        Ok(())
    }

    /// Fails a task that waits for what will not come. Answers whether it did.
    fn give_up(&mut self, id: TaskId, error: &str) -> QueryResult<bool> {
        let now = self.now;
        match self.row(id)? {
            Some(row) if !row.state.is_final() => {}
            _ => return Ok(false),
        }
        self.write(PutNote {
            task_id: id,
            result: None,
            error: Some(error),
        })?;
        self.change(id, |row| {
            transition::finish(row, Status::Failed, Flags::TOLD_BY_NOTE, now)
        });
        self.tell(id, "failed");
        Ok(true)
    }
}
