//! The delay before the next attempt.

use kirosu_protocol::{RetryPolicy, TaskId};

/// The delay in milliseconds after the given failed attempt (from 1): exponential, capped, and shortened by up to the
/// share `jitter` (0 to 1), so that tasks that failed together do not come back together. The same task and attempt
/// always give the same delay.
pub(crate) fn delay_ms(policy: &RetryPolicy, jitter: f64, task: TaskId, attempt: u32) -> i64 {
    let exponent = attempt.saturating_sub(1).min(64);
    let full = policy.initial_ms as f64 * policy.factor.max(1.0).powi(exponent as i32);
    let full = full.min(policy.max_ms as f64).clamp(0.0, 1e15) as u64;
    let max_cut = (full as f64 * jitter.clamp(0.0, 1.0)) as u64;
    (full - spread(task, attempt) % (max_cut + 1)) as i64
}

/// A pseudorandom number (splitmix64).
fn spread(task: TaskId, attempt: u32) -> u64 {
    let mut x = (task as u64) ^ (u64::from(attempt) << 48);
    x = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_double_up_to_the_longest_and_are_shortened_by_the_jitter() {
        let policy = RetryPolicy {
            initial_ms: 1000,
            max_ms: 5000,
            factor: 2.0,
        };
        for (attempt, full) in [(1, 1000), (2, 2000), (3, 4000), (4, 5000), (60, 5000)] {
            for task in 1..200 {
                let delay = delay_ms(&policy, 0.5, task, attempt);
                assert!(
                    (full / 2..=full).contains(&delay),
                    "attempt {attempt}: {delay}"
                );
                assert_eq!(delay_ms(&policy, 0.0, task, attempt), full);
            }
        }
    }
}
