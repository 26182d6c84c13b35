//! Statistics of tasks for the verb `metrics`.
//!
//! A step is recorded where it happens and counted once its batch is committed, so that steps of an undone batch never
//! count. The statistics are in memory only and start at zero when the store is opened.

mod depth;
mod histogram;
mod labels;

pub use depth::QueueDepth;
pub use histogram::Histogram;
pub use labels::Labels;

use crate::core::Core;
use crate::lanes::Lanes;
use crate::row::LaneId;
use crate::tasks::IdMap;
use kirosu_protocol::{Ack, Status, TaskId};
use std::collections::BTreeMap;

/// Queues that are counted under their own names, the first ones in use. Others are counted as `other`.
const MOST_QUEUES: usize = 64;
/// Providers that are counted under their own names.
const MOST_PROVIDERS: usize = 32;
/// Models that are counted under their own names.
const MOST_MODELS: usize = 64;
/// The provider of an ack without one.
const UNKNOWN: &str = "unknown";

/// Upper bounds in seconds: from a lease within the commit of its enqueue to a day.
pub(crate) const LIFE_SECONDS: &[f64] = &[
    0.001, 0.005, 0.025, 0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0, 14_400.0, 86_400.0,
];

/// The reason why a lease was lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Loss {
    Expired,
    SessionLost,
}

impl Loss {
    /// The reason in words, for error messages.
    pub fn words(self) -> &'static str {
        match self {
            Loss::Expired => "its lease expired",
            Loss::SessionLost => "its session was lost",
        }
    }
}

/// A step of a task. Times are in milliseconds.
#[derive(Clone, Copy, Debug)]
pub(crate) enum TaskStep {
    Enqueued {
        lane: LaneId,
    },
    Leased {
        lane: LaneId,
        waited: i64,
    },
    /// A run ended with an ack.
    Ran {
        lane: LaneId,
        took: i64,
        provider: usize,
        outcome: &'static str,
    },
    /// The task reached a final state.
    Ended {
        lane: LaneId,
        status: Status,
        took: i64,
    },
    Lost(Loss),
    Released,
    /// An attempt reported its usage.
    Used {
        provider: usize,
        model: usize,
        /// Input, read from a cache, written to a cache, output.
        tokens: [i64; 4],
        /// Millionths of a dollar.
        micros: i64,
    },
}

/// Usage of one provider and model.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct UsageStats {
    /// Input tokens without those from a cache, read from a cache, written to a cache, output tokens.
    pub tokens: [u64; 4],
    /// Millionths of a dollar.
    pub micros: u64,
}

/// Statistics of a queue.
#[derive(Clone, Debug)]
pub struct QueueStats {
    /// Tasks enqueued.
    pub enqueued: u64,
    /// Tasks that failed.
    pub failed: u64,
    /// Tasks cancelled.
    pub cancelled: u64,
    /// Seconds from ready to leased.
    pub waited: Histogram,
    /// Seconds from leased to the ack, with any outcome.
    pub ran: Histogram,
    /// Seconds from enqueued to done.
    pub completed: Histogram,
}

impl QueueStats {
    fn new() -> QueueStats {
        QueueStats {
            enqueued: 0,
            failed: 0,
            cancelled: 0,
            waited: Histogram::new(LIFE_SECONDS),
            ran: Histogram::new(LIFE_SECONDS),
            completed: Histogram::new(LIFE_SECONDS),
        }
    }
}

/// Statistics since the store was opened.
#[derive(Clone, Debug)]
pub struct TaskStats {
    noted: Vec<TaskStep>,
    /// The number of the queue of each learned lane.
    of_lane: IdMap<usize>,
    learned: usize,
    queue_labels: Labels,
    queues: Vec<QueueStats>,
    providers: Labels,
    /// Runs by provider and outcome.
    runs: Vec<Vec<(&'static str, u64)>>,
    models: Labels,
    /// By the numbers of provider and model.
    used: BTreeMap<(usize, usize), UsageStats>,
    expired: u64,
    session_lost: u64,
    released: u64,
}

impl Default for TaskStats {
    fn default() -> TaskStats {
        TaskStats {
            noted: Vec::new(),
            of_lane: IdMap::default(),
            learned: 0,
            queue_labels: Labels::new(MOST_QUEUES),
            queues: Vec::new(),
            providers: Labels::new(MOST_PROVIDERS),
            runs: Vec::new(),
            models: Labels::new(MOST_MODELS),
            used: BTreeMap::new(),
            expired: 0,
            session_lost: 0,
            released: 0,
        }
    }
}

impl TaskStats {
    /// Records a step of the present batch.
    pub(crate) fn note(&mut self, step: TaskStep) {
        self.noted.push(step);
    }

    /// The present batch is undone.
    pub(crate) fn undo(&mut self) {
        self.noted.clear();
        self.forget_lanes();
    }

    /// The lanes were loaded again or reordered.
    pub(crate) fn forget_lanes(&mut self) {
        self.of_lane.clear();
        self.learned = 0;
    }

    /// The present batch is committed: counts its steps.
    pub(crate) fn settle(&mut self, lanes: &Lanes) {
        if self.noted.is_empty() {
            return;
        }
        self.learn(lanes);
        let mut noted = std::mem::take(&mut self.noted);
        for step in noted.drain(..) {
            self.count(step);
        }
        self.noted = noted;
    }

    /// Assigns each new lane the number of its queue.
    fn learn(&mut self, lanes: &Lanes) {
        for lane in lanes.iter().skip(self.learned) {
            let queue = self.queue_labels.number(&lane.queue);
            self.of_lane.insert(lane.id, queue);
            while self.queues.len() <= queue {
                self.queues.push(QueueStats::new());
            }
        }
        self.learned = lanes.len();
    }

    fn queue(&mut self, lane: LaneId) -> Option<&mut QueueStats> {
        self.queues.get_mut(*self.of_lane.get(&lane)?)
    }

    fn count(&mut self, step: TaskStep) {
        match step {
            TaskStep::Enqueued { lane } => {
                if let Some(queue) = self.queue(lane) {
                    queue.enqueued += 1;
                }
            }
            TaskStep::Leased { lane, waited } => {
                if let Some(queue) = self.queue(lane) {
                    queue.waited.observe(seconds(waited));
                }
            }
            TaskStep::Ran {
                lane,
                took,
                provider,
                outcome,
            } => {
                if let Some(queue) = self.queue(lane) {
                    queue.ran.observe(seconds(took));
                }
                self.count_run(provider, outcome);
            }
            TaskStep::Ended { lane, status, took } => {
                if let Some(queue) = self.queue(lane) {
                    match status {
                        Status::Done => queue.completed.observe(seconds(took)),
                        Status::Failed => queue.failed += 1,
                        _ => queue.cancelled += 1,
                    }
                }
            }
            TaskStep::Lost(Loss::Expired) => self.expired += 1,
            TaskStep::Lost(Loss::SessionLost) => self.session_lost += 1,
            TaskStep::Released => self.released += 1,
            TaskStep::Used {
                provider,
                model,
                tokens,
                micros,
            } => {
                let used = self.used.entry((provider, model)).or_default();
                for (sum, more) in used.tokens.iter_mut().zip(tokens) {
                    *sum = sum.saturating_add(u64::try_from(more).unwrap_or(0));
                }
                used.micros = used
                    .micros
                    .saturating_add(u64::try_from(micros).unwrap_or(0));
            }
        }
    }

    fn count_run(&mut self, provider: usize, outcome: &'static str) {
        while self.runs.len() <= provider {
            self.runs.push(Vec::new());
        }
        let runs = &mut self.runs[provider];
        match runs.iter_mut().find(|(known, _)| *known == outcome) {
            Some((_, count)) => *count += 1,
            None => runs.push((outcome, 1)),
        }
    }

    /// Statistics by the label under which a queue is counted.
    pub fn queues(&self) -> impl Iterator<Item = (&str, &QueueStats)> {
        let named = self.queues.iter().enumerate();
        named.filter_map(|(number, task_stats)| {
            Some((&**self.queue_labels.name(number)?, task_stats))
        })
    }

    /// The labels under which queues are counted.
    pub fn queue_labels(&self) -> &Labels {
        &self.queue_labels
    }

    /// Accepted acks by provider and outcome (`done`, or the class of the failure).
    pub fn runs(&self) -> impl Iterator<Item = (&str, &'static str, u64)> {
        let named = self.runs.iter().enumerate();
        named.flat_map(|(number, runs)| {
            let provider = self.providers.name(number).map_or(UNKNOWN, |name| name);
            runs.iter()
                .map(move |(outcome, count)| (provider, *outcome, *count))
        })
    }

    /// The numbers of a provider and a model; an empty name means unknown.
    pub(crate) fn usage_labels(&mut self, provider: &str, model: &str) -> (usize, usize) {
        let known = |name: &str| match name {
            "" => UNKNOWN.to_owned(),
            name => name.to_owned(),
        };
        (
            self.providers.number(&known(provider)),
            self.models.number(&known(model)),
        )
    }

    /// Reported usage by provider and model.
    pub fn used(&self) -> impl Iterator<Item = (&str, &str, &UsageStats)> {
        self.used.iter().map(|((provider, model), used)| {
            let provider = self.providers.name(*provider).map_or(UNKNOWN, |name| name);
            let model = self.models.name(*model).map_or(UNKNOWN, |name| name);
            (provider, model, used)
        })
    }

    /// Leases lost, by reason.
    pub fn lost(&self) -> [(&'static str, u64); 2] {
        [
            ("expired", self.expired),
            ("session_lost", self.session_lost),
        ]
    }

    /// Leases that were returned.
    pub fn released(&self) -> u64 {
        self.released
    }
}

fn seconds(ms: i64) -> f64 {
    // A wall clock that was set back must not make a duration negative.
    ms.max(0) as f64 / 1000.0
}

impl Core {
    /// Records the end of a run with an ack; to be called before its task changes.
    pub(crate) fn note_run(&mut self, ack: &Ack, outcome: &'static str) {
        let provider = self
            .task_stats
            .providers
            .number(ack.provider.as_deref().unwrap_or(UNKNOWN));
        if let Some(row) = self.tasks.get(ack.task_id) {
            let took = self.batch.now() - row.leased_at.unwrap_or(self.batch.now());
            self.task_stats.note(TaskStep::Ran {
                lane: row.lane,
                took,
                provider,
                outcome,
            });
        }
    }

    /// Records a change of state. `since`: Unix milliseconds at which the task entered the state that it leaves.
    pub(crate) fn note_change(&mut self, id: TaskId, before: Status, since: i64) {
        let Some(row) = self.tasks.get(id) else {
            return;
        };
        if row.state == Status::Leased {
            self.task_stats.note(TaskStep::Leased {
                lane: row.lane,
                waited: self.batch.now() - since,
            });
        } else if row.state.is_final() && !before.is_final() {
            self.task_stats.note(TaskStep::Ended {
                lane: row.lane,
                status: row.state,
                took: self.batch.now() - row.created_at,
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_of_an_undone_batch_do_not_count() {
        let mut lanes = Lanes::default();
        let lane = lanes.make("a", "chat");
        let mut task_stats = TaskStats::default();
        task_stats.note(TaskStep::Enqueued { lane });
        task_stats.undo();
        task_stats.note(TaskStep::Released);
        task_stats.settle(&lanes);
        assert_eq!((task_stats.queues[0].enqueued, task_stats.released), (0, 1));
    }
}
