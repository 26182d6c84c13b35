//! The wall clock, as the store counts it.

use kirosu_supervision::ChildContext;

/// The wall clock in Unix milliseconds.
pub fn now_ms(child: &ChildContext) -> i64 {
    i64::try_from(child.clock().now_ms()).unwrap_or(i64::MAX)
}
