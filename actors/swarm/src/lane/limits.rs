//! What an account allows: runs side by side, requests and tokens a minute.
//!
//! The crate governor knows one rate with tokens known beforehand; here tokens are counted after a run, and who waits is
//! a line of sessions, so two small meters of our own fit better.

use std::collections::VecDeque;
use std::time::Duration;

/// A moment, as the time since the lanes were made.
pub(crate) type Moment = Duration;

const MINUTE: Duration = Duration::from_secs(60);

/// What may be done with one provider account; nothing set, nothing limited.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Limits {
    /// Runs side by side, at least 1.
    pub concurrency: Option<u32>,
    /// Runs begun within any 60 seconds, at least 1.
    pub requests_per_minute: Option<u32>,
    /// Tokens a minute, at least 1; counted when a run has ended, so that what is too much is waited for afterwards.
    pub tokens_per_minute: Option<u64>,
}

/// Counts starts within the last minute.
#[derive(Debug, Default)]
pub(super) struct Requests {
    starts: VecDeque<Moment>,
}

impl Requests {
    /// How many more may start now.
    pub(super) fn room(&mut self, limit: Option<u32>, now: Moment) -> u32 {
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

    /// Notes a start.
    pub(super) fn start(&mut self, limit: Option<u32>, now: Moment) {
        if limit.is_some() {
            self.starts.push_back(now);
        }
    }

    /// When the next one may start, where none may now.
    pub(super) fn next(&self, limit: Option<u32>) -> Option<Moment> {
        let used = self.starts.len();
        let beyond = used.checked_sub(limit? as usize)?;
        self.starts.get(beyond).map(|at| *at + MINUTE)
    }
}

/// Tokens that were used and are not yet made good: what was spent flows off at the limit's pace.
#[derive(Debug, Default)]
pub(super) struct Tokens {
    spent: u64,
    as_of: Moment,
}

impl Tokens {
    /// Lets flow off what has until now.
    fn settle(&mut self, limit: Option<u64>, now: Moment) {
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
            // Only the time that whole tokens took, so that frequent looks lose nothing.
            let took = u128::from(off) * minute / u128::from(limit.max(1));
            self.as_of += Duration::from_millis(u64::try_from(took).unwrap_or(u64::MAX));
        }
    }

    /// Whether a run may start.
    pub(super) fn may(&mut self, limit: Option<u64>, now: Moment) -> bool {
        self.settle(limit, now);
        limit.is_none_or(|limit| self.spent < limit)
    }

    /// Notes what a run has used.
    pub(super) fn spend(&mut self, limit: Option<u64>, tokens: u64, now: Moment) {
        self.settle(limit, now);
        if limit.is_some() {
            self.spent = self.spent.saturating_add(tokens);
        }
    }

    /// When the next run may start, where none may now.
    pub(super) fn next(&self, limit: Option<u64>) -> Option<Moment> {
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
        let mut requests = Requests::default();
        let limit = Some(3);
        let mut starts: Vec<Moment> = Vec::new();
        for ms in (0..300_000).step_by(500) {
            let now = Duration::from_millis(ms);
            if requests.room(limit, now) > 0 {
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
        let mut tokens = Tokens::default();
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
