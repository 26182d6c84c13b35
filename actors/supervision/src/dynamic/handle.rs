//! Spawning of dynamic children, without a message to the supervisor.

use std::sync::atomic::Ordering;
use std::sync::{Arc, OnceLock};

use actix::dev::channel::channel;
use actix::{Actor, Addr, Context, Supervised};

use super::monitor::DynamicMonitor;
use super::shared::DynamicShared;
use super::{DynamicEvent, KILL_AND_REMOVE};
use crate::cell::{ChildCell, order};
use crate::context::ChildContext;
use crate::id::ChildId;
use crate::runner::ChildRunner;

/// Error of [`DynamicHandle::spawn`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SpawnError {
    /// The supervisor has not started, is stopping, or waits for its own restart.
    #[error("the supervisor does not accept children now")]
    Closed,
    /// The supervisor has a child of this name.
    #[error("the supervisor has a child of this name already")]
    Duplicate,
}

/// Handle on a dynamic supervisor. Cheap to clone; any thread that runs an arbiter can spawn.
#[derive(Clone)]
pub struct DynamicHandle {
    pub(super) shared: Arc<OnceLock<Arc<DynamicShared>>>,
}

impl DynamicHandle {
    /// Starts a child on the calling thread. It begins to run when this thread next yields.
    ///
    /// Unlike a child with a spec, it also ends when no address of it exists and it has no spawned
    /// future, as any actix actor does.
    ///
    /// # Errors
    /// The supervisor does not accept children now, or has a child of this name.
    ///
    /// # Panics
    /// When the calling thread runs neither an arbiter nor a `LocalSet`.
    pub fn spawn<A, F>(&self, id: impl Into<ChildId>, factory: F) -> Result<Addr<A>, SpawnError>
    where
        A: Supervised + Actor<Context = Context<A>>,
        F: FnMut(&ChildContext) -> A + 'static,
    {
        let shared = self.shared.get().ok_or(SpawnError::Closed)?;
        let scope = shared.scope.get().ok_or(SpawnError::Closed)?;
        let id = id.into();
        let cell = Arc::new(ChildCell::new(
            id.clone(),
            shared.kind.clone(),
            shared.restart,
            scope.clone(),
            crate::clock::millis(shared.grace),
        ));
        cell.set_orders(order::START);
        {
            let mut inner = shared.inner();
            // Checked under the lock: `close` takes it too, so no child is inserted after the order
            // to stop all children.
            if !shared.is_open() {
                return Err(SpawnError::Closed);
            }
            match inner.children.entry(id) {
                std::collections::hash_map::Entry::Occupied(_) => {
                    return Err(SpawnError::Duplicate);
                }
                std::collections::hash_map::Entry::Vacant(entry) => entry.insert(cell.clone()),
            };
        }
        shared.spawned.fetch_add(1, Ordering::Relaxed);
        let (sender, receiver) = channel(crate::mailbox::CAPACITY);
        let monitor = DynamicMonitor {
            shared: shared.clone(),
            delays: None,
        };
        tokio::task::spawn_local(ChildRunner::new(cell, receiver, factory, monitor));
        Ok(Addr::new(sender))
    }

    /// Orders one child to stop, and returns without a wait. The child is dropped if it has not
    /// ended after the supervisor's grace. Returns false if there is no child of this name.
    pub fn stop(&self, id: impl Into<ChildId>) -> bool {
        let Some(shared) = self.shared.get() else {
            return false;
        };
        let id = id.into();
        let cell = shared.inner().children.get(&id).cloned();
        let Some(cell) = cell else {
            return false;
        };
        if cell.state().is_live() {
            cell.order_stop();
        } else {
            cell.order(order::STOP);
        }
        shared.addr.do_send(DynamicEvent::Stopping(cell));
        true
    }

    /// Drops one child without grace. Returns false if there is no child of this name.
    pub fn kill(&self, id: impl Into<ChildId>) -> bool {
        let Some(shared) = self.shared.get() else {
            return false;
        };
        let cell = shared.inner().children.get(&id.into()).cloned();
        match cell {
            Some(cell) => {
                cell.order(KILL_AND_REMOVE);
                true
            }
            None => false,
        }
    }

    /// Number of children, those that wait for a restart included.
    pub fn len(&self) -> usize {
        self.shared
            .get()
            .map_or(0, |shared| shared.inner().children.len())
    }

    /// Whether there is no child.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether the supervisor accepts children now.
    pub fn is_open(&self) -> bool {
        self.shared.get().is_some_and(|shared| shared.is_open())
    }
}

impl std::fmt::Debug for DynamicHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("DynamicHandle")
    }
}
