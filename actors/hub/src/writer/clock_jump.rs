//! Detects that the wall clock was set, as a pure rule.
//!
//! Deadlines of leases are wall time, so that they survive the process. Between two readings the wall clock and the
//! monotonic clock advance by the same amount. If they do not, the wall clock was set, or the machine slept (the monotonic
//! clock does not count sleep). The deadlines must then be moved, or all leases would expire at once or far too late.

use std::time::Duration;
use tokio::time::Instant;

/// A difference of up to this many milliseconds is drift, not a jump. The fastest slewing of a clock needs half an hour for it.
const LARGEST_DRIFT_MS: i64 = 1_000;

/// The last reading of both clocks.
#[derive(Clone, Copy, Debug)]
pub(super) struct ClockReading {
    wall_ms: i64,
    at: Instant,
}

impl ClockReading {
    /// The first reading.
    pub fn new(wall_ms: i64, at: Instant) -> ClockReading {
        ClockReading { wall_ms, at }
    }

    /// Replaces the reading. Returns by how many milliseconds the wall clock was set since the last one: positive if forward,
    /// negative if back, 0 if it was not set.
    pub fn update(&mut self, wall_ms: i64, at: Instant) -> i64 {
        let elapsed = millis(at.saturating_duration_since(self.at));
        let jump = wall_ms.saturating_sub(self.wall_ms).saturating_sub(elapsed);
        *self = ClockReading { wall_ms, at };
        if jump.saturating_abs() > LARGEST_DRIFT_MS {
            jump
        } else {
            0
        }
    }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_between_the_clocks_is_a_jump() {
        let start = Instant::now();
        let after = |seconds| start + Duration::from_secs(seconds);
        let mut clocks = ClockReading::new(50_000, start);
        let mut update = |wall_ms, seconds| clocks.update(wall_ms, after(seconds));
        assert_eq!(update(3_650_000, 3_600), 0, "time went by");
        assert_eq!(update(3_651_900, 3_601), 0, "less than a second");
        assert_eq!(update(7_252_900, 3_602), 3_600_000, "set forward");
        assert_eq!(update(7_253_900, 3_603), 0, "reported once");
        assert_eq!(update(3_654_900, 3_604), -3_600_000, "set back");
        assert_eq!(update(3_654_900, 3_604), 0);
    }
}
