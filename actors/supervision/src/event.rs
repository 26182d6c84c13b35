//! Events of the tree: starts and ends of children, for [`Tree::subscribe`](crate::Tree::subscribe).

use std::sync::Arc;

use serde::Serialize;

use crate::exit::ExitReason;

/// A start or an end of one child.
///
/// Normal ends of dynamic children are not published: there are tens of thousands per second.
#[derive(Debug, Clone, Serialize)]
pub struct TreeEvent {
    /// Time of the event, in Unix milliseconds.
    pub at_ms: u64,
    /// Path of the child from the root.
    pub path: String,
    /// Label of the child, from its spec.
    #[serde(serialize_with = "crate::id::text")]
    pub kind: Arc<str>,
    /// The start or the end, with its details.
    #[serde(flatten)]
    pub change: ChildChange,
}

/// The change of a child that a [`TreeEvent`] reports.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "change", rename_all = "snake_case")]
pub enum ChildChange {
    /// `started` has returned.
    Started {
        /// Number of the incarnation: 0 for the first start.
        incarnation: u32,
    },
    /// An incarnation ended.
    Exited {
        /// How it ended.
        reason: ExitReason,
        /// Delay until the restart. `None` means that the child is not restarted.
        restart_in_ms: Option<u64>,
    },
}
