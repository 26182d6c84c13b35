//! The best ready tasks of one lane, kept in memory so that a lease needs no query.
//!
//! This is a cache: it may be cleared at any time and is refilled from the database. It holds every ready task of its
//! lane whose place is not beyond `bound`; tasks beyond it are in the database only, unless `complete`.

use kirosu_protocol::TaskId;
use std::collections::BTreeSet;

/// Ids in memory per lane; beyond that the worse half is dropped.
const MOST: usize = 4096;

/// A ready task's place: higher priority first, then lower id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct HeadPlace {
    urgency: i32,
    /// The task.
    pub id: TaskId,
}

impl HeadPlace {
    /// The place of a task in its lane.
    pub fn of(priority: i32, id: TaskId) -> HeadPlace {
        HeadPlace {
            urgency: priority.saturating_neg(),
            id,
        }
    }
}

/// The heads of one lane.
#[derive(Debug)]
pub(crate) struct ReadyHeads {
    places: BTreeSet<HeadPlace>,
    bound: Option<HeadPlace>,
    complete: bool,
}

impl ReadyHeads {
    /// The heads of a lane with that many stored ready tasks.
    pub fn new(ready_in_file: i64) -> ReadyHeads {
        ReadyHeads {
            places: BTreeSet::new(),
            bound: None,
            complete: ready_in_file == 0,
        }
    }

    /// Forgets everything; the next lease refills from the database.
    pub fn clear(&mut self) {
        *self = ReadyHeads::new(1);
    }

    /// A task became ready.
    pub fn insert(&mut self, place: HeadPlace) {
        if self.complete || self.bound.is_some_and(|bound| place <= bound) {
            self.places.insert(place);
            if self.places.len() > MOST {
                self.leave_worse_half();
            }
        }
    }

    fn leave_worse_half(&mut self) {
        if let Some(first_left) = self.places.iter().nth(MOST / 2).copied() {
            self.places.split_off(&first_left);
            self.bound = self.places.last().copied();
            self.complete = false;
        }
    }

    /// A task is no longer ready.
    pub fn remove(&mut self, place: HeadPlace) {
        self.places.remove(&place);
    }

    /// The best ready task that is known.
    pub fn best(&self) -> Option<HeadPlace> {
        self.places.first().copied()
    }

    /// Whether a query is needed to know if a task is ready.
    pub fn needs_refill(&self) -> bool {
        self.places.is_empty() && !self.complete
    }

    /// Takes the best ready tasks of the database. Fewer than `asked` means that there are no others.
    pub fn refill(&mut self, places: impl Iterator<Item = HeadPlace>, asked: usize) {
        self.places = places.collect();
        self.complete = self.places.len() < asked;
        self.bound = self.places.last().copied();
    }
}
