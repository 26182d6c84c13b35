//! The root of the tree.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::{broadcast, watch};

use crate::cell::{ChildCell, Scope, World, order};
use crate::clock::Clock;
use crate::deadline::{SLACK, grace};
use crate::exit::ExitReason;
use crate::handle::{SupervisorHandle, SupervisorSpec};
use crate::mailbox::Mailbox;
use crate::recipe::RecipeOwner;
use crate::runner::{After, Keeper, Runner};
use crate::supervisor::Supervisor;
use crate::tree::Tree;

/// Events kept for a subscriber that is slow.
const EVENTS_KEPT: usize = 1024;

/// A running tree. Clone it, send it.
#[derive(Clone, Debug)]
pub struct Root {
    cell: Arc<ChildCell>,
    handle: SupervisorHandle,
    end: watch::Receiver<Option<ExitReason>>,
}

impl Root {
    /// Starts `spec` as the root, on the calling thread.
    ///
    /// # Panics
    /// When the calling thread runs neither an arbiter nor a `LocalSet`.
    pub fn start(spec: SupervisorSpec, clock: Clock) -> Self {
        let handle = spec.handle();
        let (id, recipe, Mailbox { receiver, addr }) = spec.into_parts();
        let world = Arc::new(World {
            epoch: clock.now(),
            clock,
            events: broadcast::channel(EVENTS_KEPT).0,
            closing: AtomicBool::new(false),
        });
        let scope = Arc::new(Scope {
            world,
            path: String::new(),
        });
        let cell = Arc::new(ChildCell::new(id, "supervisor".into(), scope, 0));
        recipe.graft(&cell);
        let (told, end) = watch::channel(None);
        let owner = RecipeOwner(recipe);
        let factory =
            move |child: &crate::ChildContext| Supervisor::new(owner.0.clone(), child.clone());
        let keeper = RootKeeper {
            end: told,
            _addr: addr,
        };
        cell.note(order::START);
        tokio::task::spawn_local(Runner::new(cell.clone(), receiver, factory, keeper));
        Self { cell, handle, end }
    }

    /// Handle on the live tree.
    pub fn tree(&self) -> Tree {
        Tree {
            root: self.cell.clone(),
        }
    }

    /// Handle on the root supervisor.
    pub fn handle(&self) -> &SupervisorHandle {
        &self.handle
    }

    /// Resolves when the root has ended: shut down, given up, or panicked. No child survives it.
    pub async fn ended(&self) -> ExitReason {
        let mut end = self.end.clone();
        match end.wait_for(Option::is_some).await {
            Ok(reason) => reason.clone().unwrap_or(ExitReason::Killed),
            Err(_) => ExitReason::Killed,
        }
    }

    /// Stops everything in reverse order, each child within its deadline, and resolves when the
    /// root has ended. May be called more than once.
    pub async fn shutdown(&self) -> ExitReason {
        let budget = grace(&self.cell) + SLACK;
        self.cell.world().closing.store(true, Ordering::Relaxed);
        self.cell.order_stop();
        if let Ok(reason) = tokio::time::timeout(budget, self.ended()).await {
            return reason;
        }
        tracing::error!(root = %self.cell.path(), ?budget, "has not stopped in time: killing it");
        self.kill();
        tokio::time::timeout(SLACK, self.ended())
            .await
            .unwrap_or(ExitReason::Killed)
    }

    /// Drops the whole tree at once, without grace.
    pub fn kill(&self) {
        self.cell.world().closing.store(true, Ordering::Relaxed);
        self.cell.order(order::KILL);
    }
}

/// Nobody is above the root: when it ends, it ends.
struct RootKeeper {
    end: watch::Sender<Option<ExitReason>>,
    /// Keeps the root's mailbox connected.
    _addr: actix::Addr<Supervisor>,
}

impl Keeper for RootKeeper {
    fn started(&mut self, _: &ChildCell) {}

    fn decide(&mut self, _: &ChildCell, _: &ExitReason, _: bool) -> After {
        After::End
    }

    fn ended(&mut self, cell: &Arc<ChildCell>, reason: ExitReason, _: After) {
        tracing::info!(root = %cell.path(), %reason, "the root has ended");
        self.end.send_replace(Some(reason));
    }

    fn gone(&mut self, _: &Arc<ChildCell>) {
        self.end.send_replace(Some(ExitReason::Killed));
    }
}
