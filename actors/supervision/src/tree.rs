//! The live tree: snapshots of all children, taken without a message to any of them.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use serde::Serialize;
use tokio::sync::broadcast;

use crate::cell::{ChildCell, ChildStatus, DynamicStats};
use crate::event::TreeEvent;
use crate::exit::ExitReason;
use crate::id::ChildId;
use crate::machine::{Restart, Strategy};

/// One child, and its own children, at the time of the snapshot.
#[derive(Debug, Clone, Serialize)]
pub struct ChildSnapshot {
    /// Name, unique among its siblings.
    pub id: ChildId,
    /// Label, from its spec.
    #[serde(serialize_with = "crate::id::text")]
    pub kind: Arc<str>,
    /// Restart policy. The root is `Temporary`: its end is the end of the tree.
    pub restart: Restart,
    /// Strategy of a supervisor; `None` for other children and dynamic supervisors.
    pub strategy: Option<Strategy>,
    /// Restart policy of the children of a dynamic supervisor.
    pub dynamic: Option<Restart>,
    /// Current state.
    pub state: ChildStatus,
    /// Number of restarts, for any reason.
    pub restarts: u32,
    /// Number of the incarnation: 0 for the first start.
    pub incarnation: u32,
    /// How the previous incarnation ended.
    pub last_exit: Option<ExitReason>,
    /// Milliseconds until its restart, while it is backing off.
    pub next_restart_in_ms: Option<u64>,
    /// Start of the running incarnation, Unix milliseconds.
    pub started_at_ms: Option<u64>,
    /// Uptime of the running incarnation in milliseconds.
    pub up_for_ms: Option<u64>,
    /// Messages that wait for it. `None` means that the actor does not report the number.
    pub mailbox_len: Option<u64>,
    /// Messages handled by all incarnations, as far as the actor counts them.
    pub handled: u64,
    /// Label of its thread. `None` before its first start.
    #[serde(serialize_with = "crate::id::maybe_text")]
    pub thread: Option<Arc<str>>,
    /// Counters of all children so far (dynamic supervisors only).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub past: Option<DynamicStats>,
    /// Its children in start order; for a dynamic supervisor in the order of their names.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub children: Vec<ChildSnapshot>,
}

impl ChildSnapshot {
    /// The child at `path`, which starts with this child's own name.
    pub fn find(&self, path: &str) -> Option<&ChildSnapshot> {
        let (name, rest) = split(path);
        if !self.id.is(name) {
            return None;
        }
        match rest {
            None => Some(self),
            Some(rest) => self.children.iter().find_map(|child| child.find(rest)),
        }
    }

    /// Number of children in this part of the tree, itself included.
    pub fn count(&self) -> usize {
        1 + self.children.iter().map(Self::count).sum::<usize>()
    }
}

/// Handle on the live tree. Cheap to clone, usable from any thread. A snapshot takes only the time
/// to copy the cells, even while children hang.
#[derive(Debug, Clone)]
pub struct Tree {
    pub(crate) root: Arc<ChildCell>,
}

impl Tree {
    /// A snapshot of the whole tree.
    pub fn snapshot(&self) -> ChildSnapshot {
        snapshot(&self.root)
    }

    /// A snapshot of the child at `path` (such as `root/pools/kiro`), with its own children.
    pub fn snapshot_at(&self, path: &str) -> Option<ChildSnapshot> {
        self.find(path).map(|cell| snapshot(&cell))
    }

    /// Subscribes to starts, ends and restarts. A receiver that lags loses the oldest events.
    pub fn subscribe(&self) -> broadcast::Receiver<TreeEvent> {
        self.root.tree().events.subscribe()
    }

    /// Makes the child at `path` panic at its next poll, as if its own code did. Returns false if
    /// there is no such child or it does not run.
    #[cfg(any(test, feature = "fault-injection"))]
    pub fn inject_panic(&self, path: &str) -> bool {
        match self.find(path) {
            Some(cell) if cell.state().is_live() => {
                cell.order(crate::cell::order::INJECT);
                true
            }
            _ => false,
        }
    }

    fn find(&self, path: &str) -> Option<Arc<ChildCell>> {
        let (first, mut rest) = split(path);
        if !self.root.id.is(first) {
            return None;
        }
        let mut cell = self.root.clone();
        while let Some(path) = rest {
            let (name, below) = split(path);
            cell = cell.children.get()?.find(name)?;
            rest = below;
        }
        Some(cell)
    }
}

fn split(path: &str) -> (&str, Option<&str>) {
    match path.split_once('/') {
        Some((name, rest)) => (name, Some(rest)),
        None => (path, None),
    }
}

fn snapshot(cell: &ChildCell) -> ChildSnapshot {
    let state = cell.state();
    let now_ms = cell.tree().elapsed_ms();
    let up_for_ms = state
        .is_live()
        .then(|| now_ms.saturating_sub(cell.since_ms()));
    let mailbox_len = cell.mailbox_len.load(Ordering::Relaxed);
    let below = cell.children.get();
    let dynamic = below.and_then(|children| children.dynamic());
    let cells = below.map_or_else(Vec::new, |children| children.cells());
    ChildSnapshot {
        id: cell.id.clone(),
        kind: cell.kind.clone(),
        restart: cell.restart,
        strategy: below.and_then(|children| children.strategy()),
        dynamic: dynamic.as_ref().map(|it| it.restart),
        state,
        restarts: cell.incarnation(),
        incarnation: cell.incarnation(),
        last_exit: cell.last_exit(),
        next_restart_in_ms: cell.restart_in_ms(now_ms),
        started_at_ms: up_for_ms.map(|up| cell.tree().clock.now_ms().saturating_sub(up)),
        up_for_ms,
        mailbox_len: (mailbox_len != u64::MAX).then_some(mailbox_len),
        handled: cell.handled.load(Ordering::Relaxed),
        thread: cell.thread.get().cloned(),
        past: dynamic.map(|it| it.stats),
        children: cells.iter().map(|cell| snapshot(cell)).collect(),
    }
}
