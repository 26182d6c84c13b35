//! The best ready tasks of one lane, kept in memory so that a lease needs no search.
//!
//! Only a cache: it may be cleared at any time and is refilled from the file. It holds every ready task of its lane whose
//! key is not beyond `bound`; keys beyond are in the file only, unless `complete`.

use kirosu_protocol::TaskId;
use std::collections::BTreeSet;

/// Most ids kept in memory a lane; beyond, the worse half is left to the file.
const MOST: usize = 4096;

/// A ready task's place: higher priority first, then lower id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    urgency: i32,
    /// The task.
    pub id: TaskId,
}

impl Place {
    /// The place of a task in its lane.
    pub fn of(priority: i32, id: TaskId) -> Place {
        Place {
            urgency: priority.saturating_neg(),
            id,
        }
    }
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Heads {
    places: BTreeSet<Place>,
    bound: Option<Place>,
    complete: bool,
}

impl Heads {
    /// Of a lane with that many ready tasks in the file.
    pub fn new(ready_in_file: i64) -> Heads {
        Heads {
            places: BTreeSet::new(),
            bound: None,
            complete: ready_in_file == 0,
        }
    }

    /// Forgets everything; the next look refills from the file.
    pub fn clear(&mut self) {
        *self = Heads::new(1);
    }

    /// A task became ready.
    pub fn insert(&mut self, place: Place) {
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
    pub fn remove(&mut self, place: Place) {
        self.places.remove(&place);
    }

    /// The best ready task that is known.
    pub fn best(&self) -> Option<Place> {
        self.places.first().copied()
    }

    /// Whether the file must be asked before one can say that nothing is ready.
    pub fn needs_refill(&self) -> bool {
        self.places.is_empty() && !self.complete
    }

    /// The file's best ready tasks; fewer than asked for means that these are all.
    pub fn refill(&mut self, places: impl Iterator<Item = Place>, asked: usize) {
        self.places = places.collect();
        self.complete = self.places.len() < asked;
        self.bound = self.places.last().copied();
    }
}
