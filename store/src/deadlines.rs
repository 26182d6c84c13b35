//! The next deadlines, and the shift of all lease deadlines after the wall clock was set.

use kirosu_protocol::TaskId;
use std::collections::BTreeMap;

/// The earliest times, in Unix milliseconds, at which a lease expires, a scheduled task is due and a permission request
/// times out. Each is exact or too early, never late. `None` means that nothing waits.
#[derive(Clone, Debug, Default)]
pub(crate) struct Deadlines {
    lease: Option<i64>,
    run: Option<i64>,
    permission: Option<i64>,
    shifts: Shifts,
}

fn earlier(known: &mut Option<i64>, at: Option<i64>) {
    if let Some(at) = at {
        *known = Some(known.map_or(at, |known| known.min(at)));
    }
}

impl Deadlines {
    /// These earliest times, and no shift.
    pub fn new(lease: Option<i64>, run: Option<i64>, permission: Option<i64>) -> Deadlines {
        Deadlines {
            lease,
            run,
            permission,
            shifts: Shifts::default(),
        }
    }

    /// A lease expires at `at`.
    pub fn add_lease(&mut self, at: Option<i64>) {
        earlier(&mut self.lease, at);
    }

    /// A scheduled task is due at `at`.
    pub fn add_run(&mut self, at: Option<i64>) {
        earlier(&mut self.run, at);
    }

    /// A permission request times out at `at`.
    pub fn add_permission(&mut self, at: Option<i64>) {
        earlier(&mut self.permission, at);
    }

    /// Replaces the earliest lease deadline by the stored one.
    pub fn set_lease(&mut self, at: Option<i64>) {
        self.lease = at;
    }

    /// Replaces the earliest scheduled time by the stored one.
    pub fn set_run(&mut self, at: Option<i64>) {
        self.run = at;
    }

    /// Replaces the earliest deadline of a permission request by the stored one.
    pub fn set_permission(&mut self, at: Option<i64>) {
        self.permission = at;
    }

    /// Whether a permission request may have timed out at `now`.
    pub fn has_permission_due(&self, now: i64) -> bool {
        self.permission.is_some_and(|at| at <= now)
    }

    /// The earliest of all; leases count `lease_grace_ms` later.
    pub fn next(&self, lease_grace_ms: i64) -> Option<i64> {
        let lease = self.lease.map(|at| at + lease_grace_ms);
        [lease, self.run, self.permission]
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
