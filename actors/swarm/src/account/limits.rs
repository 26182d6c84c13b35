//! Limits of a provider account: concurrent runs, and requests and tokens per minute.
//!
//! The crate `governor` needs to know the tokens of a request beforehand and has no waiting queue of sessions. Here
//! tokens are counted after a run, so this file has two small meters of its own.

use std::collections::VecDeque;
use std::time::Duration;

pub use kirosu_protocol::settings::AccountLimits;

/// A point in time, as the time since the start of the process's [`Accounts`](super::Accounts).
pub(crate) type QueueTime = Duration;

const MINUTE: Duration = Duration::from_secs(60);

/// Counts the runs started within the last minute.
#[derive(Debug, Default)]
pub(super) struct RequestMeter {
    starts: VecDeque<QueueTime>,
}

impl RequestMeter {
    /// Returns the number of runs that may start now.
    pub(super) fn capacity(&mut self, limit: Option<u32>, now: QueueTime) -> u32 {
        let Some(limit) = limit else {
            self.starts.clear();
            return u32::MAX;
        };
        while self.starts.front().is_some_and(|at| *at + MINUTE <= now) {
            self.starts.pop_front();
        }
        let used = u32::try_from(self.starts.len()).unwrap_or(u32::MAX);
        limit.saturating_sub(used)
    }

    /// Records a start.
    pub(super) fn start(&mut self, limit: Option<u32>, now: QueueTime) {
        if limit.is_some() {
            self.starts.push_back(now);
        }
    }

    /// Returns when the next run may start; `None` when one may start now.
    pub(super) fn next(&self, limit: Option<u32>) -> Option<QueueTime> {
        let used = self.starts.len();
        let beyond = used.checked_sub(limit? as usize)?;
        self.starts.get(beyond).map(|at| *at + MINUTE)
    }
}

/// Tokens used and not yet drained. They drain at the limit's rate.
#[derive(Debug, Default)]
pub(super) struct TokenMeter {
    spent: u64,
    as_of: QueueTime,
}

impl TokenMeter {
    /// Subtracts the tokens that have drained until `now`.
    fn drain(&mut self, limit: Option<u64>, now: QueueTime) {
        let Some(limit) = limit else {
            *self = Self {
                spent: 0,
                as_of: now,
            };
            return;
        };
        let passed = now.saturating_sub(self.as_of).as_millis();
        let minute = MINUTE.as_millis();
        let off = u128::from(limit) * passed / minute;
        let off = u64::try_from(off).unwrap_or(u64::MAX);
        if off >= self.spent {
            *self = Self {
                spent: 0,
                as_of: now,
            };
        } else if off > 0 {
            self.spent -= off;
            // Advance only by the time that whole tokens took, so that frequent calls lose no fraction.
            let took = u128::from(off) * minute / u128::from(limit.max(1));
            self.as_of += Duration::from_millis(u64::try_from(took).unwrap_or(u64::MAX));
        }
    }

    /// Whether a run may start.
    pub(super) fn may(&mut self, limit: Option<u64>, now: QueueTime) -> bool {
        self.drain(limit, now);
        limit.is_none_or(|limit| self.spent < limit)
    }

    /// Adds the tokens that a run used.
    pub(super) fn spend(&mut self, limit: Option<u64>, tokens: u64, now: QueueTime) {
        self.drain(limit, now);
        if limit.is_some() {
            self.spent = self.spent.saturating_add(tokens);
        }
    }

    /// Returns when the next run may start; `None` when one may start now.
    pub(super) fn next(&self, limit: Option<u64>) -> Option<QueueTime> {
        let limit = limit?;
        let beyond = self.spent.checked_sub(limit)?.saturating_add(1);
        let ms = u128::from(beyond) * MINUTE.as_millis() / u128::from(limit.max(1)) + 1;
        let ms = u64::try_from(ms).unwrap_or(u64::MAX);
        Some(self.as_of.saturating_add(Duration::from_millis(ms)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_minute_has_more_requests_than_allowed() {
        let mut requests = RequestMeter::default();
        let limit = Some(3);
        let mut starts: Vec<QueueTime> = Vec::new();
        for ms in (0..300_000).step_by(500) {
            let now = Duration::from_millis(ms);
            if requests.capacity(limit, now) > 0 {
                requests.start(limit, now);
                starts.push(now);
            } else {
                assert!(requests.next(limit).unwrap() > now);
            }
        }
        assert!(starts.len() >= 14);
        for window in starts.windows(4) {
            assert!(window[3] - window[0] >= MINUTE);
        }
    }

    #[test]
    fn tokens_beyond_the_limit_are_waited_for() {
        let mut tokens = TokenMeter::default();
        let limit = Some(600);
        assert!(tokens.may(limit, MINUTE));
        tokens.spend(limit, 1200, MINUTE);
        assert!(!tokens.may(limit, MINUTE));
        let next = tokens.next(limit).unwrap();
        assert!(!tokens.may(limit, next - Duration::from_millis(200)));
        assert!(tokens.may(limit, next));
        assert!(next > MINUTE * 2 && next < MINUTE * 2 + Duration::from_secs(1));
    }
}
