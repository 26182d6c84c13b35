//! The root of the tree.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::{broadcast, watch};

use crate::cell::{ChildCell, SupervisorScope, TreeShared, order};
use crate::clock::Clock;
use crate::deadline::{KILL_TIMEOUT, grace};
use crate::exit::ExitReason;
use crate::handle::{SupervisorHandle, SupervisorSpec};
use crate::machine::Restart;
use crate::mailbox::Mailbox;
use crate::runner::{ChildRunner, ExitAction, Monitor};
use crate::slots::SlotsOwner;
use crate::supervisor::Supervisor;
use crate::tree::Tree;

/// Maximum number of events that wait for a slow subscriber.
const EVENT_BUFFER: usize = 1024;

/// A running tree. Cheap to clone, usable from any thread.
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
        let (id, slots, Mailbox { receiver, addr }) = spec.into_parts();
        let tree = Arc::new(TreeShared {
            epoch: clock.now(),
            clock,
            events: broadcast::channel(EVENT_BUFFER).0,
            closing: AtomicBool::new(false),
        });
        let scope = Arc::new(SupervisorScope {
            tree,
            path: String::new(),
        });
        // The end of the root is the end of the tree.
        let restart = Restart::Temporary;
        let cell = Arc::new(ChildCell::new(id, "supervisor".into(), restart, scope, 0));
        slots.attach(&cell);
        let (end_sender, end) = watch::channel(None);
        let owner = SlotsOwner(slots);
        let factory =
            move |child: &crate::ChildContext| Supervisor::new(owner.0.clone(), child.clone());
        let monitor = RootMonitor {
            end: end_sender,
            _addr: addr,
        };
        cell.set_orders(order::START);
        tokio::task::spawn_local(ChildRunner::new(cell.clone(), receiver, factory, monitor));
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

    /// Resolves when the root has ended, and all children with it: by a shutdown, because it gave
    /// up, or by a panic.
    pub async fn ended(&self) -> ExitReason {
        let mut end = self.end.clone();
        match end.wait_for(Option::is_some).await {
            Ok(reason) => reason.clone().unwrap_or(ExitReason::Killed),
            Err(_) => ExitReason::Killed,
        }
    }

    /// Stops all children in reverse order, each within its grace, and resolves when the root has
    /// ended. May be called more than once.
    pub async fn shutdown(&self) -> ExitReason {
        let limit = grace(&self.cell) + KILL_TIMEOUT;
        self.cell.tree().closing.store(true, Ordering::Relaxed);
        self.cell.order_stop();
        if let Ok(reason) = tokio::time::timeout(limit, self.ended()).await {
            return reason;
        }
        tracing::error!(root = %self.cell.path(), ?limit, "the tree has not stopped in time, killing it");
        self.kill();
        tokio::time::timeout(KILL_TIMEOUT, self.ended())
            .await
            .unwrap_or(ExitReason::Killed)
    }

    /// Drops the whole tree without grace.
    pub fn kill(&self) {
        self.cell.tree().closing.store(true, Ordering::Relaxed);
        self.cell.order(order::KILL);
    }
}

/// Monitor of the root, which is never restarted.
struct RootMonitor {
    end: watch::Sender<Option<ExitReason>>,
    /// Keeps the root's mailbox connected.
    _addr: actix::Addr<Supervisor>,
}

impl Monitor for RootMonitor {
    fn started(&mut self, _: &ChildCell) {}

    fn decide(&mut self, _: &ChildCell, _: &ExitReason, _: bool) -> ExitAction {
        ExitAction::End
    }

    fn ended(&mut self, cell: &Arc<ChildCell>, reason: ExitReason, _: ExitAction) {
        tracing::info!(root = %cell.path(), %reason, "the root has ended");
        self.end.send_replace(Some(reason));
    }

    fn gone(&mut self, _: &Arc<ChildCell>) {
        self.end.send_replace(Some(ExitReason::Killed));
    }
}
