//! State shared by a dynamic supervisor's children, handles and actor.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use actix::Addr;

use super::{DynamicEvent, DynamicSupervisor};
use crate::backoff::BackoffPolicy;
use crate::cell::{ChildCell, Children, Dynamic, DynamicStats, SupervisorScope, order};
use crate::deadline::KILL_TIMEOUT;
use crate::id::ChildId;
use crate::machine::{Intensity, Restart, RestartMachine, Strategy};

/// Settings, children and counters of a dynamic supervisor.
pub(crate) struct DynamicShared {
    pub(super) addr: Addr<DynamicSupervisor>,
    pub(super) kind: Arc<str>,
    pub(super) restart: Restart,
    pub(super) backoff: BackoffPolicy,
    pub(super) grace: Duration,
    pub(super) intensity: Intensity,
    pub(super) scope: OnceLock<Arc<SupervisorScope>>,
    pub(super) open: AtomicBool,
    pub(super) inner: Mutex<DynamicChildren>,
    pub(super) spawned: AtomicU64,
    pub(super) ended: AtomicU64,
    pub(super) ended_abnormally: AtomicU64,
    pub(super) restarts: AtomicU64,
}

pub(super) struct DynamicChildren {
    pub(super) children: HashMap<ChildId, Arc<ChildCell>>,
    pub(super) machine: RestartMachine,
}

impl std::fmt::Debug for DynamicShared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DynamicShared")
            .field("kind", &self.kind)
            .finish_non_exhaustive()
    }
}

impl DynamicShared {
    pub(super) fn inner(&self) -> MutexGuard<'_, DynamicChildren> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn is_open(&self) -> bool {
        self.open.load(Ordering::Acquire)
    }

    pub(super) fn order_all(&self, bits: u8) {
        for cell in self.cells() {
            if bits == order::STOP && cell.state().is_live() {
                cell.order_stop();
            } else {
                cell.order(bits);
            }
        }
    }

    /// Removes a child that has ended, and notifies a closed supervisor when it was the last one.
    pub(super) fn remove(&self, cell: &ChildCell, abnormally: bool) {
        self.ended.fetch_add(1, Ordering::Relaxed);
        if abnormally {
            self.ended_abnormally.fetch_add(1, Ordering::Relaxed);
        }
        let empty = {
            let mut inner = self.inner();
            inner.children.remove(&cell.id);
            inner.children.is_empty()
        };
        if empty && !self.is_open() {
            self.addr.do_send(DynamicEvent::Empty);
        }
    }
}

impl Children for DynamicShared {
    fn cells(&self) -> Vec<Arc<ChildCell>> {
        let mut cells: Vec<_> = self.inner().children.values().cloned().collect();
        cells.sort_unstable_by(|a, b| a.id.cmp(&b.id));
        cells
    }

    fn find(&self, name: &str) -> Option<Arc<ChildCell>> {
        let inner = self.inner();
        let number = name.parse().ok().map(ChildId::Number);
        number
            .and_then(|id| inner.children.get(&id))
            .or_else(|| inner.children.get(&ChildId::from(name)))
            .cloned()
    }

    /// All children stop at the same time; one timeout is for the kill of the children, one for
    /// the supervisor itself.
    fn grace(&self) -> Duration {
        self.grace + KILL_TIMEOUT * 2
    }

    fn strategy(&self) -> Option<Strategy> {
        None
    }

    fn dynamic(&self) -> Option<Dynamic<'_>> {
        let stats = DynamicStats {
            spawned: self.spawned.load(Ordering::Relaxed),
            ended: self.ended.load(Ordering::Relaxed),
            ended_abnormally: self.ended_abnormally.load(Ordering::Relaxed),
            restarts: self.restarts.load(Ordering::Relaxed),
        };
        Some(Dynamic {
            kind: &self.kind,
            restart: self.restart,
            stats,
        })
    }
}
