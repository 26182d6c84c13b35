//! How long a stop may take.

use std::time::Duration;

use crate::cell::{Branch, ChildCell};

/// Time between the kill of a child and the moment its supervisor goes on without it. Only a child
/// on another thread that does not come back from its handler ever needs it.
pub(crate) const SLACK: Duration = Duration::from_secs(1);

/// Time between the order to stop and the kill: a leaf's own grace; for a supervisor what its
/// children need one after the other; for a dynamic one its grace, as they stop side by side.
pub(crate) fn grace(cell: &ChildCell) -> Duration {
    match cell.branch.get() {
        None => Duration::from_millis(cell.grace_ms),
        Some(Branch::Dynamic(shared)) => shared.grace + SLACK * 2,
        Some(Branch::Fixed(recipe)) => recipe
            .cells()
            .iter()
            .map(|child| grace(child) + SLACK)
            .fold(SLACK, Duration::saturating_add),
    }
}
