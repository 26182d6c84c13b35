//! What a supervisor is made from, and what outlives each of its incarnations: the places of its
//! children.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use actix::Addr;
use actix_rt::ArbiterHandle;

use crate::backoff::BackoffPolicy;
use crate::cell::{Branch, ChildCell, Scope, order};
use crate::id::ChildId;
use crate::keeper::ChildKeeper;
use crate::machine::{Intensity, Restart, Strategy};
use crate::spec::{ChildSpec, Launch, Stop};
use crate::supervisor::Supervisor;

/// The place of one child.
pub(crate) struct Slot {
    pub(crate) key: u64,
    pub(crate) cell: Arc<ChildCell>,
    pub(crate) restart: Restart,
    pub(crate) stop: Stop,
    pub(crate) backoff: BackoffPolicy,
    place: Option<ArbiterHandle>,
    /// Until the supervised future exists.
    launch: Option<Launch>,
}

impl Slot {
    /// Brings the supervised future into being, idle, on its thread. False if that thread is gone.
    fn launch(&mut self, supervisor: &Addr<Supervisor>) -> bool {
        let Some(launch) = self.launch.take() else {
            return true;
        };
        let keeper = ChildKeeper {
            supervisor: supervisor.clone(),
            key: self.key,
            restart: self.restart,
            address: None,
        };
        let cell = self.cell.clone();
        match &self.place {
            Some(arbiter) => arbiter.spawn_fn(move || launch(cell, keeper)),
            None => {
                launch(cell, keeper);
                true
            }
        }
    }
}

#[derive(Default)]
struct Slots {
    list: Vec<Slot>,
    next_key: u64,
    /// Known once the supervisor has its place in the tree.
    scope: Option<Arc<Scope>>,
    /// Specs from before that.
    waiting: Vec<ChildSpec>,
}

pub(crate) struct Recipe {
    pub(crate) strategy: Strategy,
    pub(crate) intensity: Intensity,
    slots: Mutex<Slots>,
}

impl std::fmt::Debug for Recipe {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Recipe")
            .field("strategy", &self.strategy)
            .finish_non_exhaustive()
    }
}

impl Recipe {
    pub(crate) fn new(strategy: Strategy, intensity: Intensity, children: Vec<ChildSpec>) -> Self {
        let slots = Slots {
            waiting: children,
            ..Slots::default()
        };
        Self {
            strategy,
            intensity,
            slots: Mutex::new(slots),
        }
    }

    fn slots(&self) -> MutexGuard<'_, Slots> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Hangs the children below the cell of their supervisor.
    pub(crate) fn graft(self: &Arc<Self>, cell: &Arc<ChildCell>) {
        let scope = Arc::new(Scope {
            world: cell.world().clone(),
            path: cell.path(),
        });
        let waiting = {
            let mut slots = self.slots();
            slots.scope = Some(scope);
            std::mem::take(&mut slots.waiting)
        };
        for spec in waiting {
            let name = spec.id.clone();
            if self.add(spec).is_none() {
                tracing::error!(supervisor = %cell.path(), child = %name, "two children have the same name: the second is left out");
            }
        }
        let _ = cell.branch.set(Branch::Fixed(self.clone()));
    }

    /// Adds a place at the end; none if the name is taken or the supervisor has no place itself.
    pub(crate) fn add(&self, mut spec: ChildSpec) -> Option<u64> {
        let mut slots = self.slots();
        let scope = slots.scope.clone()?;
        if slots.list.iter().any(|slot| slot.cell.id == spec.id) {
            return None;
        }
        let key = slots.next_key;
        slots.next_key += 1;
        let cell = spec.cell(&scope);
        slots.list.push(Slot {
            key,
            cell,
            restart: spec.restart,
            stop: spec.stop,
            backoff: spec.backoff,
            place: spec.place,
            launch: Some(spec.launch),
        });
        Some(key)
    }

    pub(crate) fn launch(&self, key: u64, supervisor: &Addr<Supervisor>) -> bool {
        let mut slots = self.slots();
        match slots.list.iter_mut().find(|slot| slot.key == key) {
            Some(slot) => slot.launch(supervisor),
            None => false,
        }
    }

    /// Takes the place of a child away and closes its mailbox.
    pub(crate) fn remove(&self, key: u64) {
        let removed = {
            let mut slots = self.slots();
            let at = slots.list.iter().position(|slot| slot.key == key);
            at.map(|at| slots.list.remove(at))
        };
        // Dropped outside of the lock: an unused factory may own anything.
        if let Some(slot) = removed {
            slot.cell.order(order::KILL | order::REMOVE);
        }
    }

    /// Reads one place.
    pub(crate) fn with<R>(&self, key: u64, read: impl FnOnce(&Slot) -> R) -> Option<R> {
        let slots = self.slots();
        slots.list.iter().find(|slot| slot.key == key).map(read)
    }

    pub(crate) fn cell(&self, key: u64) -> Option<Arc<ChildCell>> {
        self.with(key, |slot| slot.cell.clone())
    }

    /// Keys in start order.
    pub(crate) fn keys(&self) -> Vec<u64> {
        self.slots().list.iter().map(|slot| slot.key).collect()
    }

    pub(crate) fn key_of(&self, id: &ChildId) -> Option<u64> {
        let slots = self.slots();
        slots
            .list
            .iter()
            .find(|slot| slot.cell.id == *id)
            .map(|slot| slot.key)
    }

    pub(crate) fn cells(&self) -> Vec<Arc<ChildCell>> {
        let slots = self.slots();
        slots.list.iter().map(|slot| slot.cell.clone()).collect()
    }

    pub(crate) fn find(&self, step: &str) -> Option<Arc<ChildCell>> {
        let slots = self.slots();
        slots
            .list
            .iter()
            .find(|slot| slot.cell.id.is(step))
            .map(|slot| slot.cell.clone())
    }

    /// Kills all children that run, last first, and keeps their places.
    pub(crate) fn kill_all(&self) {
        for cell in self.cells().iter().rev() {
            if cell.state().is_live() {
                cell.order(order::KILL);
            }
        }
    }
}

/// The supervisor's factory owns its recipe through this: when the factory goes, nobody will ever
/// start these children again.
pub(crate) struct RecipeOwner(pub(crate) Arc<Recipe>);

impl Drop for RecipeOwner {
    fn drop(&mut self) {
        for key in self.0.keys().into_iter().rev() {
            self.0.remove(key);
        }
        let waiting = std::mem::take(&mut self.0.slots().waiting);
        drop(waiting);
    }
}
