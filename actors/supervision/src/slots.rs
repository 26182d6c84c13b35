//! The child slots of a supervisor. They outlive its incarnations: a restarted supervisor starts
//! its children again in the same slots.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use actix::Addr;
use actix_rt::ArbiterHandle;

use crate::backoff::BackoffPolicy;
use crate::cell::{ChildCell, Children, Dynamic, SupervisorScope, order};
use crate::deadline::{KILL_TIMEOUT, grace};
use crate::id::ChildId;
use crate::machine::{Intensity, Restart, Strategy};
use crate::monitor::ChildMonitor;
use crate::spec::{ChildSpec, LaunchFn, StopPolicy};
use crate::supervisor::Supervisor;

/// Factory, policies and cell of one child.
pub(crate) struct ChildSlot {
    pub(crate) key: u64,
    pub(crate) cell: Arc<ChildCell>,
    pub(crate) restart: Restart,
    pub(crate) stop: StopPolicy,
    pub(crate) backoff: BackoffPolicy,
    /// `None` means the thread of the supervisor.
    arbiter: Option<ArbiterHandle>,
    /// Taken by the first start, which creates the supervised future.
    launch: Option<LaunchFn>,
}

impl ChildSlot {
    /// Creates the supervised future, idle, on its thread, unless it exists. Returns false if that
    /// thread has ended.
    fn launch(&mut self, supervisor: &Addr<Supervisor>) -> bool {
        let Some(launch) = self.launch.take() else {
            return true;
        };
        let monitor = ChildMonitor {
            supervisor: supervisor.clone(),
            key: self.key,
            restart: self.restart,
            address: None,
        };
        let cell = self.cell.clone();
        match &self.arbiter {
            Some(arbiter) => arbiter.spawn_fn(move || launch(cell, monitor)),
            None => {
                launch(cell, monitor);
                true
            }
        }
    }
}

#[derive(Default)]
struct SlotList {
    list: Vec<ChildSlot>,
    next_key: u64,
    /// `None` until the supervisor is attached to the tree.
    scope: Option<Arc<SupervisorScope>>,
    /// Specs of children that were added before that.
    waiting: Vec<ChildSpec>,
}

/// Strategy, intensity and child slots of a supervisor, in start order.
pub(crate) struct ChildSlots {
    pub(crate) strategy: Strategy,
    pub(crate) intensity: Intensity,
    slots: Mutex<SlotList>,
}

impl std::fmt::Debug for ChildSlots {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ChildSlots")
            .field("strategy", &self.strategy)
            .finish_non_exhaustive()
    }
}

impl ChildSlots {
    pub(crate) fn new(strategy: Strategy, intensity: Intensity, children: Vec<ChildSpec>) -> Self {
        let slots = SlotList {
            waiting: children,
            ..SlotList::default()
        };
        Self {
            strategy,
            intensity,
            slots: Mutex::new(slots),
        }
    }

    fn slots(&self) -> MutexGuard<'_, SlotList> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Attaches the children to the cell of their supervisor.
    pub(crate) fn attach(self: &Arc<Self>, cell: &Arc<ChildCell>) {
        let scope = Arc::new(SupervisorScope {
            tree: cell.tree().clone(),
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
                tracing::error!(supervisor = %cell.path(), child = %name, "two children have the same name, the second is ignored");
            }
        }
        let _ = cell.children.set(self.clone());
    }

    /// Adds a slot at the end and returns its key. `None` means that the name is taken, or that the
    /// supervisor is not attached to the tree.
    pub(crate) fn add(&self, mut spec: ChildSpec) -> Option<u64> {
        let mut slots = self.slots();
        let scope = slots.scope.clone()?;
        if slots.list.iter().any(|slot| slot.cell.id == spec.id) {
            return None;
        }
        let key = slots.next_key;
        slots.next_key += 1;
        let cell = spec.cell(&scope);
        slots.list.push(ChildSlot {
            key,
            cell,
            restart: spec.restart,
            stop: spec.stop,
            backoff: spec.backoff,
            arbiter: spec.arbiter,
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

    /// Removes the slot of a child, kills the child and closes its mailbox.
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

    /// Reads one slot.
    pub(crate) fn with<R>(&self, key: u64, read: impl FnOnce(&ChildSlot) -> R) -> Option<R> {
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

    /// Kills all running children, last first, and keeps their slots.
    pub(crate) fn kill_all(&self) {
        for cell in self.cells().iter().rev() {
            if cell.state().is_live() {
                cell.order(order::KILL);
            }
        }
    }
}

impl Children for ChildSlots {
    fn cells(&self) -> Vec<Arc<ChildCell>> {
        let slots = self.slots();
        slots.list.iter().map(|slot| slot.cell.clone()).collect()
    }

    fn find(&self, name: &str) -> Option<Arc<ChildCell>> {
        let slots = self.slots();
        let slot = slots.list.iter().find(|slot| slot.cell.id.is(name));
        slot.map(|slot| slot.cell.clone())
    }

    /// The children stop one after the other, so their graces add up.
    fn grace(&self) -> Duration {
        self.cells()
            .iter()
            .map(|child| grace(child) + KILL_TIMEOUT)
            .fold(KILL_TIMEOUT, Duration::saturating_add)
    }

    fn strategy(&self) -> Option<Strategy> {
        Some(self.strategy)
    }

    fn dynamic(&self) -> Option<Dynamic<'_>> {
        None
    }
}

/// Removes all children when it is dropped. The supervisor's factory owns it: without the factory
/// the children can never be started again.
pub(crate) struct SlotsOwner(pub(crate) Arc<ChildSlots>);

impl Drop for SlotsOwner {
    fn drop(&mut self) {
        for key in self.0.keys().into_iter().rev() {
            self.0.remove(key);
        }
        let waiting = std::mem::take(&mut self.0.slots().waiting);
        drop(waiting);
    }
}
