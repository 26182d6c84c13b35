//! Number of completed tasks per second.

use std::collections::VecDeque;

/// Seconds that are stored.
const SECONDS: usize = 300;

/// Completed tasks in each of the last seconds, computed from a counter.
#[derive(Clone, Debug, Default)]
pub struct CompletionRate {
    /// Oldest first; the last entry belongs to `second`.
    done: VecDeque<u64>,
    second: i64,
    counter: Option<i64>,
}

impl CompletionRate {
    /// Adds the growth of the counter to the second `now` (Unix seconds).
    pub fn count(&mut self, counter: i64, now: f64) {
        self.pass(now);
        let more = self.counter.map_or(0, |before| counter - before);
        self.counter = Some(counter);
        if let Some(last) = self.done.back_mut() {
            *last += more.max(0) as u64;
        }
    }

    /// Ends the count after a gap: growth in the meantime belongs to no known second.
    pub fn forget_counter(&mut self) {
        self.counter = None;
    }

    /// Sets the time, in Unix seconds.
    pub fn pass(&mut self, now: f64) {
        let second = now.floor() as i64;
        let passed = match self.done.is_empty() {
            true => 1,
            false => (second - self.second).clamp(0, SECONDS as i64),
        };
        self.done.extend(std::iter::repeat_n(0, passed as usize));
        let old = self.done.len().saturating_sub(SECONDS);
        self.done.drain(..old);
        self.second = second;
    }

    /// The last `seconds` seconds, oldest first; fewer if not yet known.
    pub fn last(&self, seconds: usize) -> Vec<u64> {
        let skipped = self.done.len().saturating_sub(seconds);
        self.done.iter().skip(skipped).copied().collect()
    }

    /// The mean over at most `seconds` full seconds; `None` before the first one is full.
    pub fn mean(&self, seconds: usize) -> Option<f64> {
        let full = self.done.len().saturating_sub(1);
        let taken = full.min(seconds);
        let sum: u64 = self.done.iter().skip(full - taken).take(taken).sum();
        (taken > 0).then(|| sum as f64 / taken as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn growth_during_a_gap_is_not_counted() {
        let mut rate = CompletionRate::default();
        rate.count(1000, 10.1);
        rate.count(1003, 10.9);
        rate.count(1004, 11.2);
        rate.pass(13.5);
        assert_eq!(rate.last(10), [3, 1, 0, 0]);
        assert_eq!(rate.last(2), [0, 0]);
        assert_eq!(rate.mean(60), Some(4.0 / 3.0));
        rate.forget_counter();
        rate.count(9000, 13.6);
        assert_eq!(rate.last(10), [3, 1, 0, 0]);
        rate.pass(1e9);
        assert_eq!(rate.last(400), vec![0; SECONDS]);
    }
}
