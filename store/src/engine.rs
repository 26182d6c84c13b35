//! The seam for a second engine: apply a batch of commands, answer each.

use crate::{Applied, Command, StoreError};

/// A durable queue. One value is one writer; it is driven by one thread.
pub trait Engine {
    /// Applies the commands in order, durably, as one step, and answers each. `now_ms` is Unix milliseconds.
    ///
    /// A command that is refused (`Err` in its place) changed nothing and hinders no other.
    /// `StoreError` means that nothing of the batch was kept and this value is of no more use.
    fn apply(&mut self, now_ms: i64, batch: Vec<Command>) -> Result<Applied, StoreError>;

    /// Unix milliseconds of the next time at which `ExpireDue`, `PromoteDue` or `ExpirePermissions` has something to do: never late,
    /// maybe early (then a command finds nothing, and this moves on).
    fn next_deadline(&self) -> Option<i64>;
}
