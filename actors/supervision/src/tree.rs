//! The live tree: a picture of all children, taken without asking any of them.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use serde::Serialize;
use tokio::sync::broadcast;

use crate::cell::{Branch, ChildCell, State};
use crate::exit::ExitReason;
use crate::id::ChildId;

/// One child as it was when the picture was taken.
#[derive(Debug, Clone, Serialize)]
pub struct Node {
    /// Name among its siblings.
    pub id: ChildId,
    /// The label its spec gave it.
    #[serde(serialize_with = "crate::id::text")]
    pub kind: Arc<str>,
    /// What it is doing.
    pub state: State,
    /// How often it was started again, for whatever reason.
    pub restarts: u32,
    /// 0 for the first value made from the recipe.
    pub incarnation: u32,
    /// How the incarnation before ended.
    pub last_exit: Option<ExitReason>,
    /// Milliseconds until its restart, while it is backing off.
    pub next_restart_in_ms: Option<u64>,
    /// Start of the running incarnation, Unix milliseconds.
    pub started_at_ms: Option<u64>,
    /// How long the running incarnation has been up, in milliseconds.
    pub up_for_ms: Option<u64>,
    /// Messages waiting for it, if the actor reports that.
    pub mailbox_len: Option<u64>,
    /// Messages handled over all incarnations, as far as the actor counts them.
    pub handled: u64,
    /// Label of the thread it runs on.
    #[serde(serialize_with = "crate::id::maybe_text")]
    pub thread: Option<Arc<str>>,
    /// Restarts of children that have left (dynamic supervisors only).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub past: Option<Past>,
    /// Its children in start order; for a dynamic supervisor in the order of their names.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub children: Vec<Node>,
}

/// What a dynamic supervisor remembers of children that have left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Past {
    /// Children spawned so far.
    pub spawned: u64,
    /// Children that ended for good.
    pub ended: u64,
    /// Of those, how many ended abnormally.
    pub ended_abnormally: u64,
    /// Restarts of its children.
    pub restarts: u64,
}

impl Node {
    /// The node at `path`, which starts with this node's own name.
    pub fn find(&self, path: &str) -> Option<&Node> {
        let (step, rest) = split(path);
        if !self.id.is(step) {
            return None;
        }
        match rest {
            None => Some(self),
            Some(rest) => self.children.iter().find_map(|child| child.find(rest)),
        }
    }

    /// Number of nodes in this part of the tree, itself included.
    pub fn count(&self) -> usize {
        1 + self.children.iter().map(Self::count).sum::<usize>()
    }
}

/// Something that happened in the tree. Quiet ends of dynamic children are not told: there are
/// tens of thousands a second.
#[derive(Debug, Clone, Serialize)]
pub struct TreeEvent {
    /// When, in Unix milliseconds.
    pub at_ms: u64,
    /// Path of the child.
    pub path: String,
    /// Its label.
    #[serde(serialize_with = "crate::id::text")]
    pub kind: Arc<str>,
    /// Events in their order.
    #[serde(flatten)]
    pub change: Change,
}

/// What happened to a child.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "change", rename_all = "snake_case")]
pub enum Change {
    /// `started` has returned.
    Started {
        /// Which value of the recipe it is.
        incarnation: u32,
    },
    /// An incarnation ended.
    Exited {
        /// How it ended.
        reason: ExitReason,
        /// Delay of the restart that was decided, if one was.
        restart_in_ms: Option<u64>,
    },
}

/// Handle on the live tree: clone it, send it, ask it from any thread. It answers in the time it
/// takes to copy the cells, however many children hang.
#[derive(Debug, Clone)]
pub struct Tree {
    pub(crate) root: Arc<ChildCell>,
}

impl Tree {
    /// A picture of the whole tree.
    pub fn snapshot(&self) -> Node {
        picture(&self.root)
    }

    /// A picture of the part below `path` (`root/pools/kiro`).
    pub fn snapshot_at(&self, path: &str) -> Option<Node> {
        self.find(path).map(|cell| picture(&cell))
    }

    /// Starts, ends and restarts from now on. A receiver that lags loses the oldest.
    pub fn subscribe(&self) -> broadcast::Receiver<TreeEvent> {
        self.root.world().events.subscribe()
    }

    /// Makes the child at `path` panic at its next step as if its own code had; false when there
    /// is no such child or it does not run.
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
            let (step, further) = split(path);
            cell = match cell.branch.get()? {
                Branch::Fixed(recipe) => recipe.find(step)?,
                Branch::Dynamic(shared) => shared.find(step)?,
            };
            rest = further;
        }
        Some(cell)
    }
}

fn split(path: &str) -> (&str, Option<&str>) {
    match path.split_once('/') {
        Some((step, rest)) => (step, Some(rest)),
        None => (path, None),
    }
}

fn picture(cell: &ChildCell) -> Node {
    let state = cell.state();
    let now_ms = cell.world().elapsed_ms();
    let up_for_ms = state
        .is_live()
        .then(|| now_ms.saturating_sub(cell.since_ms()));
    let mailbox_len = cell.mailbox_len.load(Ordering::Relaxed);
    let (past, children) = match cell.branch.get() {
        None => (None, Vec::new()),
        Some(Branch::Fixed(recipe)) => (None, pictures(&recipe.cells())),
        Some(Branch::Dynamic(shared)) => (Some(shared.past()), pictures(&shared.cells())),
    };
    Node {
        id: cell.id.clone(),
        kind: cell.kind.clone(),
        state,
        restarts: cell.incarnation(),
        incarnation: cell.incarnation(),
        last_exit: cell.last_exit(),
        next_restart_in_ms: cell.restart_in_ms(now_ms),
        started_at_ms: up_for_ms.map(|up| cell.world().clock.now_ms().saturating_sub(up)),
        up_for_ms,
        mailbox_len: (mailbox_len != u64::MAX).then_some(mailbox_len),
        handled: cell.handled.load(Ordering::Relaxed),
        thread: cell.thread.get().cloned(),
        past,
        children,
    }
}

fn pictures(cells: &[Arc<ChildCell>]) -> Vec<Node> {
    cells.iter().map(|cell| picture(cell)).collect()
}
