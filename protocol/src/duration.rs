//! Durations as the parameters of requests have them.

use std::time::Duration;

/// A duration in milliseconds. One that does not fit is the largest number.
pub fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
