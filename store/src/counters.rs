//! The counters of `stats` beyond those of the lanes. They are maintained, so that no query counts rows.

use crate::backend::LoadedState;
use crate::lanes::Lanes;
use kirosu_protocol::{Stats, Status};
use std::collections::BTreeMap;

const MINUTE_MS: i64 = 60_000;
const HOUR_MINUTES: i64 = 60;

/// Counters of pruned tasks, and of done tasks per minute.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Counters {
    /// Pruned tasks by final state.
    pruned_done: i64,
    pruned_failed: i64,
    pruned_cancelled: i64,
    /// Completion time of the done tasks of removed lanes, in milliseconds.
    completion_ms: i64,
    /// The highest id that was given out, as of the last pruning. Before the first pruning the table of tasks has it.
    last_id: i64,
    /// Tasks done per Unix minute, the present one included.
    minutes: BTreeMap<i64, i64>,
    /// The stored values, in the order of `named`.
    saved: [i64; 5],
}

impl Counters {
    /// The stored counters.
    pub fn load(loaded: &LoadedState) -> Counters {
        let mut counters = Counters::default();
        for (minute, done) in loaded.minutes.iter().chain(&loaded.newest_minutes) {
            counters.done_in(*minute, *done);
        }
        for (name, value) in &loaded.counters {
            match name.as_str() {
                "pruned_done" => counters.pruned_done = *value,
                "pruned_failed" => counters.pruned_failed = *value,
                "pruned_cancelled" => counters.pruned_cancelled = *value,
                "completion_ms" => counters.completion_ms = *value,
                "last_id" => counters.last_id = *value,
                _ => {}
            }
        }
        counters.saved = counters.named().map(|(_, value)| value);
        counters
    }

    /// The first Unix minute that `completed_last_hour` needs.
    pub fn first_minute(now_ms: i64) -> i64 {
        now_ms.div_euclid(MINUTE_MS) - HOUR_MINUTES + 1
    }

    fn named(&self) -> [(&'static str, i64); 5] {
        [
            ("pruned_done", self.pruned_done),
            ("pruned_failed", self.pruned_failed),
            ("pruned_cancelled", self.pruned_cancelled),
            ("completion_ms", self.completion_ms),
            ("last_id", self.last_id),
        ]
    }

    /// The counters that changed. The caller writes them, then calls [`Counters::saved`].
    pub fn changes(&self) -> Vec<(&'static str, i64)> {
        let named = self.named().into_iter().zip(self.saved);
        let changed = named.filter(|((_, value), saved)| value != saved);
        changed.map(|(named, _)| named).collect()
    }

    /// The changed counters are written.
    pub fn saved(&mut self) {
        self.saved = self.named().map(|(_, value)| value);
    }

    /// The highest id that was given out, as of the last pruning; 0 before the first one.
    pub fn last_id(&self) -> i64 {
        self.last_id
    }

    /// Tasks were pruned: the table no longer proves that ids up to this one were given out.
    pub fn set_last_id(&mut self, id: i64) {
        self.last_id = id;
    }

    /// A lane was removed whose done tasks took `ms` milliseconds together.
    pub fn add_completion(&mut self, ms: i64) {
        self.completion_ms += ms;
    }

    /// The Unix minute of a time in Unix milliseconds.
    pub fn minute(now_ms: i64) -> i64 {
        now_ms.div_euclid(MINUTE_MS)
    }

    /// Adds done tasks of a minute.
    pub fn done_in(&mut self, minute: i64, tasks: i64) {
        if tasks > 0 {
            *self.minutes.entry(minute).or_default() += tasks;
        }
    }

    /// Counts a pruned task.
    pub fn pruned(&mut self, status: Status) {
        match status {
            Status::Done => self.pruned_done += 1,
            Status::Failed => self.pruned_failed += 1,
            Status::Cancelled => self.pruned_cancelled += 1,
            _ => {}
        }
    }

    /// Drops the minutes before the last hour. Returns the first minute that stays, if any was dropped.
    pub fn forget_old_minutes(&mut self, now_ms: i64) -> Option<i64> {
        let first = Counters::first_minute(now_ms);
        let old = self
            .minutes
            .first_key_value()
            .is_some_and(|(minute, _)| *minute < first);
        old.then(|| {
            self.minutes = self.minutes.split_off(&first);
            first
        })
    }

    /// The answer of `stats`.
    pub fn stats(&self, lanes: &Lanes, now_ms: i64) -> Stats {
        let done = lanes.total(Status::Done) + self.pruned_done;
        let failed = lanes.total(Status::Failed) + self.pruned_failed;
        let pruned = self.pruned_done + self.pruned_failed + self.pruned_cancelled;
        let first = Counters::first_minute(now_ms);
        Stats {
            queued: lanes.total(Status::Queued),
            leased: lanes.total(Status::Leased),
            done,
            failed,
            total_tasks: Status::ALL.into_iter().map(|s| lanes.total(s)).sum::<i64>() + pruned,
            completed_last_hour: self.minutes.range(first..).map(|(_, done)| done).sum(),
            avg_completion_time_sec: ratio(
                (lanes.completion_ms() + self.completion_ms) as f64 / 1000.0,
                done,
            ),
            error_rate_percent: ratio(failed as f64 * 100.0, done + failed),
            blocked: lanes.total(Status::Blocked),
            scheduled: lanes.total(Status::Scheduled),
            awaiting_approval: lanes.total(Status::AwaitingApproval),
            cancelled: lanes.total(Status::Cancelled) + self.pruned_cancelled,
            paused: lanes.paused(),
            // The hub's writer sets it.
            draining: false,
        }
    }
}

/// `sum / count`, rounded to 2 digits; 0 if `count` is 0.
fn ratio(sum: f64, count: i64) -> f64 {
    if count == 0 {
        0.0
    } else {
        (sum / count as f64 * 100.0).round() / 100.0
    }
}
