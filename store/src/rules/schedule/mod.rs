//! The times of schedules. All times are Unix milliseconds.

mod cron;
mod due;
#[cfg(test)]
mod tests;

pub(crate) use due::{ScheduleRule, step};

use cron::CronTimes;
use kirosu_protocol::limits::LAST_MS;
use kirosu_protocol::{Error, ScheduleSpec};
use sha2::{Digest, Sha256};

/// The times of a schedule, ready to be computed.
pub(crate) enum Times {
    /// Again and again, counted from a time.
    Every {
        every_ms: i64,
        from: i64,
    },
    Cron(Box<CronTimes>),
    At(i64),
}

impl Times {
    /// The times of a schedule that was added at `from`.
    ///
    /// # Errors
    /// `invalid_params` for an expression that cannot be read, with the field, and for an unknown time zone.
    pub fn new(spec: &ScheduleSpec, from: i64) -> Result<Times, Error> {
        Ok(match spec {
            ScheduleSpec::Every { every_ms } => Times::Every {
                every_ms: i64::try_from(*every_ms).unwrap_or(i64::MAX).max(1),
                from,
            },
            ScheduleSpec::Cron { cron, tz } => Times::Cron(Box::new(CronTimes::new(cron, tz)?)),
            ScheduleSpec::At { at_ms } => Times::At(*at_ms),
        })
    }

    /// The first time after `after`. `None` means that there is none.
    pub fn next(&self, after: i64) -> Option<i64> {
        let next = match self {
            Times::Every { every_ms, from } => {
                let past = after.saturating_sub(*from).div_euclid(*every_ms);
                let count = past.max(0).saturating_add(1);
                from.checked_add(count.checked_mul(*every_ms)?)
            }
            Times::Cron(times) => times.next(after),
            Times::At(at) => Some(*at).filter(|at| *at > after),
        };
        next.filter(|at| at.unsigned_abs() <= LAST_MS)
    }
}

/// The delay of a firing, up to `most_ms`: the same for the same name and time, so that a restart does not change it.
pub(crate) fn jitter(name: &str, at: i64, most_ms: i64) -> i64 {
    let Some(range) = u64::try_from(most_ms).ok().filter(|most| *most > 0) else {
        return 0;
    };
    let mut hash = Sha256::new();
    hash.update(name.as_bytes());
    hash.update(at.to_be_bytes());
    let mut first = [0; 8];
    first.copy_from_slice(&hash.finalize()[..8]);
    i64::try_from(u64::from_be_bytes(first) % (range + 1)).unwrap_or(0)
}
