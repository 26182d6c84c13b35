//! Delays between restarts: exponential growth with jitter.
//!
//! The only file that uses the `backoff` crate, and only its computation of intervals. The delays
//! never end: `max_elapsed_time` is `None`, because the crate's default of 15 minutes counts from
//! construction. The crate's clock has no effect.

use std::time::Duration;

use ::backoff::ExponentialBackoff;
use ::backoff::backoff::Backoff as _;
use serde::Serialize;

/// Growth of the delay before a restart, and the uptime after which the delay is reset.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct BackoffPolicy {
    /// First delay. Zero means that every restart is immediate.
    pub initial: Duration,
    /// Maximum of all delays, jitter included.
    pub max: Duration,
    /// Multiplier from one delay to the next; a value below 1 counts as 1.
    pub factor: f64,
    /// Random part of the delay, from 0 (none) to 1 (zero to twice the delay).
    pub jitter: f64,
    /// Uptime after which the next delay is `initial` again.
    pub healthy_after: Duration,
}

impl Default for BackoffPolicy {
    /// 100 ms, doubled up to 30 s, with 20 % jitter, reset after 60 s of uptime.
    fn default() -> Self {
        Self::between(Duration::from_millis(100), Duration::from_secs(30))
    }
}

impl BackoffPolicy {
    /// From `initial`, doubled up to `max`, with 20 % jitter, reset after 60 s of uptime.
    pub const fn between(initial: Duration, max: Duration) -> Self {
        Self {
            initial,
            max,
            factor: 2.0,
            jitter: 0.2,
            healthy_after: Duration::from_secs(60),
        }
    }

    /// No delays. Only the supervisor's intensity then bounds a crash loop.
    pub fn immediate() -> Self {
        Self {
            healthy_after: Duration::ZERO,
            ..Self::between(Duration::ZERO, Duration::ZERO)
        }
    }

    /// An endless iterator over the delays of this policy, from `initial` on.
    pub fn delays(&self) -> RestartDelays {
        let factor = if self.factor.is_finite() {
            self.factor.max(1.0)
        } else {
            1.0
        };
        let jitter = if self.jitter.is_finite() {
            self.jitter.clamp(0.0, 1.0)
        } else {
            0.0
        };
        let initial = self.initial.min(self.max);
        let source = ExponentialBackoff {
            current_interval: initial,
            initial_interval: initial,
            randomization_factor: jitter,
            multiplier: factor,
            max_interval: self.max,
            max_elapsed_time: None,
            ..ExponentialBackoff::default()
        };
        RestartDelays {
            source,
            max: self.max,
        }
    }
}

/// Endless iterator over the delays of a [`BackoffPolicy`].
#[derive(Debug)]
pub struct RestartDelays {
    source: ExponentialBackoff,
    max: Duration,
}

impl RestartDelays {
    /// Resets the iterator to the policy's first delay.
    pub fn reset(&mut self) {
        self.source.reset();
    }
}

impl Iterator for RestartDelays {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        Some(
            self.source
                .next_backoff()
                .map_or(self.max, |delay| delay.min(self.max)),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grows_to_the_limit_and_starts_again_after_a_reset() {
        let policy = BackoffPolicy {
            initial: Duration::from_millis(100),
            max: Duration::from_millis(500),
            factor: 2.0,
            jitter: 0.0,
            healthy_after: Duration::from_secs(1),
        };
        let mut delays = policy.delays();
        let seen: Vec<u128> = delays.by_ref().take(5).map(|d| d.as_millis()).collect();
        assert_eq!(seen, [100, 200, 400, 500, 500]);
        delays.reset();
        assert_eq!(delays.next(), Some(Duration::from_millis(100)));
    }

    #[test]
    fn jitter_stays_within_its_fraction_and_below_the_limit() {
        let policy = BackoffPolicy {
            jitter: 0.5,
            max: Duration::from_secs(1),
            ..BackoffPolicy::default()
        };
        for first in (0..200).filter_map(|_| policy.delays().next()) {
            assert!((50..=151).contains(&first.as_millis()), "{first:?}");
        }
        assert!(
            policy
                .delays()
                .take(30)
                .all(|d| d <= Duration::from_secs(1))
        );
    }

    #[test]
    fn invalid_values_are_bounded() {
        let policy = BackoffPolicy {
            initial: Duration::from_secs(9),
            max: Duration::from_secs(3),
            factor: f64::NAN,
            jitter: -4.0,
            healthy_after: Duration::ZERO,
        };
        assert!(policy.delays().take(5).all(|d| d == Duration::from_secs(3)));
        assert!(
            BackoffPolicy::immediate()
                .delays()
                .take(5)
                .all(|d| d.is_zero())
        );
    }
}
