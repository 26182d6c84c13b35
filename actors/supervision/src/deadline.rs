//! Durations of stops.

use std::time::Duration;

use crate::cell::ChildCell;

/// Time between the kill of a child and the moment when its supervisor continues without it. Only
/// a child on another thread whose handler does not return ever uses it.
pub(crate) const KILL_TIMEOUT: Duration = Duration::from_secs(1);

/// Time between the order to stop and the kill: the child's own grace, or that of a supervisor's
/// children together.
pub(crate) fn grace(cell: &ChildCell) -> Duration {
    match cell.children.get() {
        None => Duration::from_millis(cell.grace_ms),
        Some(children) => children.grace(),
    }
}
