//! Decides what a schedule does at a time.

use super::{Times, jitter};
use kirosu_protocol::MissedPolicy;

/// A time that passed longer ago than this is missed. A busy writer, or a commit that is repeated after a failure, is no
/// reason to leave one out.
const GRACE_MS: i64 = 2_000;

/// A step of a schedule: at most one firing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ScheduleStep {
    /// The time for which a task is to be added.
    pub fire: Option<i64>,
    /// The next time, which may be due as well. `None` means that the schedule is finished.
    pub next: Option<i64>,
}

/// The definition of a schedule, as far as it decides about times.
#[derive(Clone, Copy)]
pub(crate) struct ScheduleRule<'a> {
    pub times: &'a Times,
    pub name: &'a str,
    pub jitter_ms: i64,
    pub missed: MissedPolicy,
}

impl ScheduleRule<'_> {
    /// The moment at which the firing for a time is due.
    pub fn due(&self, at: i64) -> i64 {
        at.saturating_add(jitter(self.name, at, self.jitter_ms))
    }

    fn is_due(&self, at: i64, now: i64) -> bool {
        self.due(at) <= now
    }

    fn is_missed(&self, at: i64, now: i64) -> bool {
        self.due(at).saturating_add(GRACE_MS) < now
    }
}

/// The step of a schedule whose next time is `at`, which is due.
pub(crate) fn step(rule: ScheduleRule<'_>, at: i64, now: i64) -> ScheduleStep {
    let times = rule.times;
    let fire = |at| ScheduleStep {
        fire: Some(at),
        next: times.next(at),
    };
    if !rule.is_missed(at, now) {
        return fire(at);
    }
    match rule.missed {
        MissedPolicy::Skip => {
            let before = now.saturating_sub(GRACE_MS + rule.jitter_ms + 1);
            let mut next = times.next(before.max(at));
            while let Some(missed) = next.filter(|next| rule.is_missed(*next, now)) {
                next = times.next(missed);
            }
            ScheduleStep { fire: None, next }
        }
        MissedPolicy::One => fire(newest_due(rule, at, now)),
        MissedPolicy::All(most) => {
            let newest = newest_due(rule, at, now);
            fire(nth_newest(times, at, newest, most))
        }
    }
}

/// The newest time that is due; `at` is.
fn newest_due(rule: ScheduleRule<'_>, at: i64, now: i64) -> i64 {
    // Times up to here are due whatever their delay is.
    let surely = now.saturating_sub(rule.jitter_ms);
    let mut newest = match surely > at {
        true => nth_newest(rule.times, at, surely, 1),
        false => at,
    };
    while let Some(next) = rule.times.next(newest).filter(|it| rule.is_due(*it, now)) {
        newest = next;
    }
    newest
}

/// Of the times from `first`, which is one, to `last`, the one with `count - 1` later ones; `first` if there are fewer.
/// Searches by halves, as there may be millions.
fn nth_newest(times: &Times, first: i64, last: i64, count: u32) -> i64 {
    let has_count_after = |moment: i64| {
        let mut at = moment;
        (0..count).all(|_| match times.next(at).filter(|next| *next <= last) {
            Some(next) => {
                at = next;
                true
            }
            None => false,
        })
    };
    // After `low` there are enough times, after `high` there are not.
    let (mut low, mut high) = (first, last.max(first));
    if !has_count_after(low) {
        return first;
    }
    while high - low > 1 {
        let middle = low + (high - low) / 2;
        match has_count_after(middle) {
            true => low = middle,
            false => high = middle,
        }
    }
    times.next(low).unwrap_or(first)
}
