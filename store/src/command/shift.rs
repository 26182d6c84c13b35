//! The wall clock was set: leases hold as long as they would have.
//!
//! There may be very many leases, so their deadlines are moved in steps, over several commits within moments. Until all are
//! moved, no lease expires. What a crash of the process leaves has the grace that every lease has after a start.

use crate::core::Core;
use crate::outcome::Outcome;
use crate::sql;
use crate::sql::sets::{SelectLeasedIds, SelectNextExpiry};
use diesel::QueryResult;
use kirosu_protocol::{Status, TaskId};
use std::collections::BTreeMap;

/// Deadlines that are still to be moved.
#[derive(Debug, Default)]
pub(crate) struct Shifts {
    /// By task: by how many milliseconds.
    pending: BTreeMap<TaskId, i64>,
    /// Changes of the present batch, to be undone with it: by task, the shift that was pending before.
    undo: Vec<(TaskId, Option<i64>)>,
}

impl Shifts {
    /// Whether some are left.
    pub fn is_empty(&self) -> bool {
        self.pending.is_empty()
    }

    fn add(&mut self, id: TaskId, by_ms: i64) {
        let before = self.pending.get(&id).copied();
        let sum = before.unwrap_or(0).saturating_add(by_ms);
        self.pending.insert(id, sum);
        self.undo.push((id, before));
    }

    /// A task's deadline was set anew, or its lease has ended: there is nothing to move any more.
    pub fn forget(&mut self, id: TaskId) {
        if let Some(before) = self.pending.remove(&id) {
            self.undo.push((id, Some(before)));
        }
    }

    /// The batch is committed.
    pub fn settle(&mut self) {
        self.undo.clear();
    }

    /// The batch is undone.
    pub fn undo(&mut self) {
        while let Some((id, before)) = self.undo.pop() {
            match before {
                Some(by_ms) => self.pending.insert(id, by_ms),
                None => self.pending.remove(&id),
            };
        }
    }
}

impl Core {
    /// Begins to move the deadline of every live lease.
    pub(crate) fn shift_leases(&mut self, by_ms: i64) -> QueryResult<Outcome> {
        if by_ms != 0 {
            // The file's statement must see what this batch has changed so far.
            self.flush_rows()?;
            let leased: Vec<TaskId> = sql::all(&mut self.conn, SelectLeasedIds {})?;
            for id in leased {
                self.shifts.add(id, by_ms);
            }
        }
        Ok(Outcome::Ok)
    }

    /// Goes on with it, as far as this commit may.
    pub(crate) fn shift_on(&mut self) -> QueryResult<()> {
        if self.shifts.is_empty() {
            return Ok(());
        }
        while self.works.left() > 0
            && let Some((id, by_ms)) = self.shifts.pending.first_key_value()
        {
            let (id, by_ms) = (*id, *by_ms);
            self.works.spend();
            let leased = self.row(id)?.is_some_and(|row| row.state == Status::Leased);
            if leased {
                self.change(id, |row| {
                    row.lease_until = row.lease_until.map(|at| at.saturating_add(by_ms));
                });
            }
            self.shifts.forget(id);
        }
        if self.shifts.is_empty() {
            self.flush_rows()?;
            self.due.lease = sql::first(&mut self.conn, SelectNextExpiry {})?;
        }
        Ok(())
    }
}
