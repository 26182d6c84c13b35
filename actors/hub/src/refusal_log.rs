//! Refusals that a client can cause very often: a total for metrics, and at most two lines of the log per minute.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// See the module.
#[derive(Debug)]
pub struct RefusalLog {
    /// The line of the first refusal of an interval.
    first: &'static str,
    /// The line of the others.
    further: &'static str,
    total: AtomicU64,
    /// Those of the present interval after the first. `None` outside of an interval.
    unlogged: Mutex<Option<(u64, String)>>,
}

impl RefusalLog {
    /// With the lines for the first refusal of an interval, and for the others.
    pub const fn new(first: &'static str, further: &'static str) -> RefusalLog {
        RefusalLog {
            first,
            further,
            total: AtomicU64::new(0),
            unlogged: Mutex::new(None),
        }
    }

    fn unlogged(&self) -> MutexGuard<'_, Option<(u64, String)>> {
        self.unlogged.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a refusal, and logs the first of an interval. Returns whether an interval begins: after it, the caller calls
    /// [`log`](RefusalLog::log).
    pub fn count(&self, peer: &str) -> bool {
        self.total.fetch_add(1, Ordering::Relaxed);
        match &mut *self.unlogged() {
            Some((count, last)) => {
                *count += 1;
                peer.clone_into(last);
                false
            }
            begin => {
                *begin = Some((0, String::new()));
                tracing::warn!(peer, "{}", self.first);
                true
            }
        }
    }

    /// Ends the interval, and logs the refusals after its first one.
    pub fn log(&self) {
        if let Some((count @ 1.., peer)) = self.unlogged().take() {
            tracing::warn!(count, peer, "{}", self.further);
        }
    }

    /// The number of refusals.
    pub fn total(&self) -> u64 {
        self.total.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_interval_covers_many_refusals() {
        let keys = RefusalLog::new("first", "further");
        let begun: Vec<bool> = (0..3).map(|_| keys.count("a")).collect();
        assert_eq!(begun, [true, false, false]);
        keys.log();
        assert!(keys.count("b"), "the next interval");
        assert_eq!(keys.total(), 4);
    }
}
