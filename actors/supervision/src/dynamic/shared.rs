//! What the parts of a dynamic supervisor share.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use actix::Addr;

use super::{DynamicSupervisor, News};
use crate::backoff::BackoffPolicy;
use crate::cell::{ChildCell, Scope, order};
use crate::id::ChildId;
use crate::machine::{Intensity, Restart, RestartMachine};
use crate::tree::Past;

/// What the children of a dynamic supervisor, its handles and its actor share.
pub(crate) struct DynShared {
    pub(super) addr: Addr<DynamicSupervisor>,
    pub(super) kind: Arc<str>,
    pub(super) restart: Restart,
    pub(super) backoff: BackoffPolicy,
    pub(crate) grace: Duration,
    pub(super) intensity: Intensity,
    pub(super) scope: OnceLock<Arc<Scope>>,
    pub(super) open: AtomicBool,
    pub(super) inner: Mutex<Inner>,
    pub(super) spawned: AtomicU64,
    pub(super) ended: AtomicU64,
    pub(super) ended_abnormally: AtomicU64,
    pub(super) restarts: AtomicU64,
}

pub(super) struct Inner {
    pub(super) children: HashMap<ChildId, Arc<ChildCell>>,
    pub(super) machine: RestartMachine,
}

impl std::fmt::Debug for DynShared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DynShared")
            .field("kind", &self.kind)
            .finish_non_exhaustive()
    }
}

impl DynShared {
    pub(super) fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn is_open(&self) -> bool {
        self.open.load(Ordering::Acquire)
    }

    /// Cells in the order of their names.
    pub(crate) fn cells(&self) -> Vec<Arc<ChildCell>> {
        let mut cells: Vec<_> = self.inner().children.values().cloned().collect();
        cells.sort_unstable_by(|a, b| a.id.cmp(&b.id));
        cells
    }

    pub(crate) fn find(&self, step: &str) -> Option<Arc<ChildCell>> {
        let inner = self.inner();
        let number = step.parse().ok().map(ChildId::Number);
        number
            .and_then(|id| inner.children.get(&id))
            .or_else(|| inner.children.get(&ChildId::from(step)))
            .cloned()
    }

    pub(crate) fn kind(&self) -> &Arc<str> {
        &self.kind
    }

    pub(crate) fn past(&self) -> Past {
        Past {
            spawned: self.spawned.load(Ordering::Relaxed),
            ended: self.ended.load(Ordering::Relaxed),
            ended_abnormally: self.ended_abnormally.load(Ordering::Relaxed),
            restarts: self.restarts.load(Ordering::Relaxed),
        }
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

    /// Takes a child that ended out of the map, and tells a supervisor that waits for the last.
    pub(super) fn leave(&self, cell: &ChildCell, abnormally: bool) {
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
            self.addr.do_send(News::Empty);
        }
    }
}
