//! A clock that is passed to its users, so that tests can set the time.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use tokio::time::Instant;

/// Wall time in Unix milliseconds and monotonic time. Cheap to clone.
///
/// Monotonic time is tokio's, so a runtime with paused time pauses it. The wall time of a test
/// clock follows the monotonic one from a base that the test may move.
#[derive(Debug, Clone, Default)]
pub struct Clock {
    test: Option<Arc<TestTime>>,
}

#[derive(Debug)]
struct TestTime {
    origin: Instant,
    base_ms: AtomicU64,
}

impl Clock {
    /// The machine's clock.
    pub fn system() -> Self {
        Self::default()
    }

    /// A clock whose wall time is `base_ms` (Unix milliseconds) now and moves with tokio's time.
    pub fn test(base_ms: u64) -> Self {
        Self {
            test: Some(Arc::new(TestTime {
                origin: Instant::now(),
                base_ms: AtomicU64::new(base_ms),
            })),
        }
    }

    /// Wall time in Unix milliseconds; 0 if the machine's clock shows a time before 1970.
    pub fn now_ms(&self) -> u64 {
        match &self.test {
            Some(test) => test.base_ms.load(Ordering::Relaxed) + millis(test.origin.elapsed()),
            None => SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .map_or(0, millis),
        }
    }

    /// Monotonic time, for deadlines and durations.
    pub fn now(&self) -> Instant {
        Instant::now()
    }

    /// Moves the wall time of a test clock by `by` milliseconds (back if negative), as a change of the machine's clock
    /// does. Monotonic time is not affected. Has no effect on [`Clock::system`].
    pub fn jump_ms(&self, by: i64) {
        if let Some(test) = &self.test {
            // Two's complement: adding wraps to a subtraction.
            test.base_ms
                .fetch_add(by.cast_unsigned(), Ordering::Relaxed);
        }
    }
}

/// Whole milliseconds of a duration, at most `u64::MAX`.
pub(crate) fn millis(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
