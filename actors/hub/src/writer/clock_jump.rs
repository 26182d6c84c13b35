//! Notices that the wall clock was set, as a pure rule.
//!
//! Deadlines of leases are wall time, so that they outlive the process. Between two looks the wall clock and the
//! monotonic clock move by the same; where they do not, somebody has set the wall clock (or the machine slept, which the
//! monotonic clock does not count), and the deadlines have to follow, or all leases would end at once or live on.

use std::time::Duration;
use tokio::time::Instant;

/// What lies below is no jump: a clock that is slewed drifts by this in half an hour at the fastest.
const LEAST_MS: i64 = 1_000;

/// What both clocks showed when they were last looked at.
#[derive(Clone, Copy, Debug)]
pub(super) struct ClockReading {
    wall_ms: i64,
    at: Instant,
}

impl ClockReading {
    /// A first look.
    pub fn new(wall_ms: i64, at: Instant) -> ClockReading {
        ClockReading { wall_ms, at }
    }

    /// Looks again: by how many milliseconds the wall clock was set since, forward or (negative) back; 0 if it was not.
    pub fn again(&mut self, wall_ms: i64, at: Instant) -> i64 {
        let went = millis(at.saturating_duration_since(self.at));
        let jump = wall_ms.saturating_sub(self.wall_ms).saturating_sub(went);
        *self = ClockReading { wall_ms, at };
        if jump.saturating_abs() > LEAST_MS {
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
    fn only_what_the_monotonic_clock_did_not_see_is_a_jump() {
        let start = Instant::now();
        let after = |seconds| start + Duration::from_secs(seconds);
        let mut look = ClockReading::new(50_000, start);
        assert_eq!(look.again(3_650_000, after(3_600)), 0, "time went by");
        assert_eq!(look.again(3_651_900, after(3_601)), 0, "less than a second");
        assert_eq!(
            look.again(7_252_900, after(3_602)),
            3_600_000,
            "set forward"
        );
        assert_eq!(look.again(7_253_900, after(3_603)), 0, "told once");
        assert_eq!(look.again(3_654_900, after(3_604)), -3_600_000, "set back");
        assert_eq!(look.again(3_654_900, after(3_604)), 0);
    }
}
