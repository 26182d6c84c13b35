//! The number of tasks that a commit may change, adjusted so that commits stay short.

use std::time::Duration;

/// Tasks that works may change within one commit: initially, at least and at most.
pub(super) const STEPS: u32 = 100;
const LEAST_STEPS: u32 = 40;
pub(super) const MOST_STEPS: u32 = 250;
/// The intended duration of a commit with work.
const COMMIT: Duration = Duration::from_millis(6);

/// The number of tasks for the next commit, after one with `steps` tasks took `took`. Other costs of a commit do not
/// depend on the number, so it never becomes very small.
pub(super) fn next_steps(steps: u32, took: Duration) -> u32 {
    let share = COMMIT.as_secs_f64() / took.as_secs_f64().max(1e-6);
    ((f64::from(steps) * share.min(2.0)) as u32).clamp(LEAST_STEPS, MOST_STEPS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commits_with_work_take_about_as_long_as_they_should() {
        let ms = Duration::from_millis;
        assert_eq!(next_steps(100, ms(12)), 50);
        assert_eq!(next_steps(100, ms(4)), 150);
        assert_eq!(next_steps(200, ms(0)), MOST_STEPS);
        assert_eq!(next_steps(50, ms(1_000)), LEAST_STEPS);
    }
}
