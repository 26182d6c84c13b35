//! The next deadlines, and the shift of all lease deadlines after the wall clock was set.

use crate::backend::{Backend, Result};
use crate::sql::approval::SelectNextDeadline;
use crate::sql::schedule::SelectNextSchedule;
use crate::sql::sets::{SelectNextDue, SelectNextExpiry};
use kirosu_protocol::TaskId;
use std::collections::BTreeMap;

/// A kind of deadline.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Deadline {
    /// A lease expires.
    Lease,
    /// A scheduled task is due.
    Run,
    /// A permission request times out.
    Permission,
    /// A schedule fires.
    Schedule,
}

/// The earliest deadline of each kind in Unix milliseconds, exact or too early, never late. `None` means that nothing
/// waits.
#[derive(Clone, Debug, Default)]
pub(crate) struct Deadlines {
    earliest: [Option<i64>; 4],
    shifts: Shifts,
}

impl Deadlines {
    /// Reads the stored deadlines.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn load(db: &mut dyn Backend) -> Result<Deadlines> {
        let mut deadlines = Deadlines::default();
        for kind in [
            Deadline::Lease,
            Deadline::Run,
            Deadline::Permission,
            Deadline::Schedule,
        ] {
            deadlines.read(db, kind)?;
        }
        Ok(deadlines)
    }

    /// Reads the stored deadline of one kind again, after those that have passed were dealt with.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn read(&mut self, db: &mut dyn Backend, kind: Deadline) -> Result<()> {
        self.earliest[kind as usize] = db.number(match kind {
            Deadline::Lease => SelectNextExpiry {}.into(),
            Deadline::Run => SelectNextDue {}.into(),
            Deadline::Permission => SelectNextDeadline {}.into(),
            Deadline::Schedule => SelectNextSchedule {}.into(),
        })?;
        Ok(())
    }

    /// Adds a deadline; `None` adds nothing.
    pub fn add(&mut self, kind: Deadline, at: Option<i64>) {
        let earliest = &mut self.earliest[kind as usize];
        *earliest = earliest.iter().copied().chain(at).min();
    }

    /// Whether a permission request may have timed out at `now`.
    pub fn has_permission_due(&self, now: i64) -> bool {
        self.earliest[Deadline::Permission as usize].is_some_and(|at| at <= now)
    }

    /// Whether a schedule may be due at `now`.
    pub fn has_schedule_due(&self, now: i64) -> bool {
        self.earliest[Deadline::Schedule as usize].is_some_and(|at| at <= now)
    }

    /// The earliest of all; leases count `lease_grace_ms` later.
    pub fn next(&self, lease_grace_ms: i64) -> Option<i64> {
        let [lease, run, permission, schedule] = self.earliest;
        let lease = lease.map(|at| at + lease_grace_ms);
        [lease, run, permission, schedule]
            .into_iter()
            .flatten()
            .min()
    }

    /// The shifts that are pending.
    pub fn shifts(&mut self) -> &mut Shifts {
        &mut self.shifts
    }

    /// Whether lease deadlines are still to be moved.
    pub fn has_shifts(&self) -> bool {
        !self.shifts.pending.is_empty()
    }

    /// After a reload: takes over the shifts, which are in memory only.
    pub fn take_shifts(&mut self, from: &mut Deadlines) {
        self.shifts = std::mem::take(&mut from.shifts);
    }
}

/// Lease deadlines that are still to be moved. They are in memory only: after a crash of the process every lease has the
/// grace period of a restart anyway.
#[derive(Clone, Debug, Default)]
pub(crate) struct Shifts {
    /// Milliseconds by task.
    pending: BTreeMap<TaskId, i64>,
    /// Changes of the present batch: task, and the shift that was pending before.
    undo: Vec<(TaskId, Option<i64>)>,
}

impl Shifts {
    /// Adds to the shift of a task's lease.
    pub fn add(&mut self, id: TaskId, by_ms: i64) {
        let before = self.pending.get(&id).copied();
        let sum = before.unwrap_or(0).saturating_add(by_ms);
        self.pending.insert(id, sum);
        self.undo.push((id, before));
    }

    /// The next lease to move, and by how many milliseconds.
    pub fn first(&self) -> Option<(TaskId, i64)> {
        let first = self.pending.first_key_value();
        first.map(|(id, by_ms)| (*id, *by_ms))
    }

    /// The lease of a task was moved, was given a new deadline or has ended.
    pub fn forget(&mut self, id: TaskId) {
        if let Some(before) = self.pending.remove(&id) {
            self.undo.push((id, Some(before)));
        }
    }

    /// The batch is committed.
    pub fn commit(&mut self) {
        self.undo.clear();
    }

    /// The batch is undone: its changes are taken back, the last one first.
    pub fn roll_back(&mut self) {
        while let Some((id, before)) = self.undo.pop() {
            match before {
                Some(by_ms) => self.pending.insert(id, by_ms),
                None => self.pending.remove(&id),
            };
        }
    }
}
