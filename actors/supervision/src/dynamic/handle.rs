//! Spawning, without a message to anybody.

use std::sync::atomic::Ordering;
use std::sync::{Arc, OnceLock};

use actix::dev::channel::channel;
use actix::{Actor, Addr, Context, Supervised};

use super::keeper::DynamicKeeper;
use super::shared::DynShared;
use super::{GONE, News};
use crate::cell::{ChildCell, order};
use crate::context::ChildContext;
use crate::id::ChildId;
use crate::runner::Runner;

/// Why a child was not spawned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SpawnError {
    /// The supervisor has not started, is stopping, or waits for its own restart.
    #[error("the supervisor takes no children now")]
    Closed,
    /// It has a child of this name.
    #[error("the supervisor has a child of this name already")]
    Duplicate,
}

/// Handle on a dynamic supervisor: clone it, send it, spawn from any thread that runs an arbiter.
#[derive(Clone)]
pub struct DynamicHandle {
    pub(super) shared: Arc<OnceLock<Arc<DynShared>>>,
}

impl DynamicHandle {
    /// Starts a child on the calling thread. It begins to run when this thread next yields.
    ///
    /// Unlike a child with a spec it also ends when nobody holds its address any more and it has
    /// nothing spawned, as any actix actor does.
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
            scope.clone(),
            crate::clock::millis(shared.grace),
        ));
        cell.note(order::START);
        {
            let mut inner = shared.inner();
            // Under the lock, so that nobody slips in behind the order to stop everybody.
            if !shared.is_open() {
                return Err(SpawnError::Closed);
            }
            match inner.children.entry(id) {
                std::collections::hash_map::Entry::Occupied(_) => {
                    return Err(SpawnError::Duplicate);
                }
                std::collections::hash_map::Entry::Vacant(place) => place.insert(cell.clone()),
            };
        }
        shared.spawned.fetch_add(1, Ordering::Relaxed);
        let (sender, receiver) = channel(crate::mailbox::CAPACITY);
        let keeper = DynamicKeeper {
            shared: shared.clone(),
            delays: None,
        };
        tokio::task::spawn_local(Runner::new(cell, receiver, factory, keeper));
        Ok(Addr::new(sender))
    }

    /// Asks one child to stop; it is dropped if it has not ended after the supervisor's grace.
    /// False if there is none of this name. Does not wait.
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
        shared.addr.do_send(News::Stopping(cell));
        true
    }

    /// Drops one child at once. False if there is none of this name.
    pub fn kill(&self, id: impl Into<ChildId>) -> bool {
        let Some(shared) = self.shared.get() else {
            return false;
        };
        let cell = shared.inner().children.get(&id.into()).cloned();
        match cell {
            Some(cell) => {
                cell.order(GONE);
                true
            }
            None => false,
        }
    }

    /// Number of children, those waiting for a restart included.
    pub fn len(&self) -> usize {
        self.shared
            .get()
            .map_or(0, |shared| shared.inner().children.len())
    }

    /// Whether there is no child.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether [`spawn`](Self::spawn) would be heard.
    pub fn is_open(&self) -> bool {
        self.shared.get().is_some_and(|shared| shared.is_open())
    }
}

impl std::fmt::Debug for DynamicHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("DynamicHandle")
    }
}
