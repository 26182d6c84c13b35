//! The rate of the events about runs of plans: an event that says what the last one said is left out, and one about the counts of
//! a step waits until [`COUNTS_PAUSE`] has passed since the last one. Pure state.

use kirosu_protocol::{EventKind, RunState, StepInfo, StepState, TaskId};
use std::collections::HashMap;
use std::time::Duration;
use tokio::time::Instant;

/// The least time between two events of one step that differ in counts only.
pub const COUNTS_PAUSE: Duration = Duration::from_millis(250);

/// Runs that are remembered at least. Beyond them those are forgotten that have ended, or of which nothing is known since a while.
const RUNS: usize = 2048;
/// Such a while.
const IDLE: Duration = Duration::from_secs(60);

/// The part of a step that is reported at once.
#[derive(Debug, PartialEq)]
struct PublishedFacts {
    state: StepState,
    reason: Option<String>,
    generation: u64,
}

impl PublishedFacts {
    fn of(step: &StepInfo) -> PublishedFacts {
        PublishedFacts {
            state: step.state,
            reason: step.reason.clone(),
            generation: step.generation,
        }
    }
}

/// A step that has not ended.
#[derive(Debug)]
struct PublishedStep {
    facts: PublishedFacts,
    at: Instant,
    /// Counts that wait for their time.
    later: Option<Box<StepInfo>>,
}

/// A run that has not ended.
#[derive(Debug, Default)]
struct PublishedRun {
    /// State, reason and name. `None` means that none was reported.
    facts: Option<(RunState, Option<String>, Option<String>)>,
    steps: HashMap<String, PublishedStep>,
}

/// The events that were published last, of runs that have not ended.
#[derive(Debug, Default)]
pub struct RunRate {
    runs: HashMap<TaskId, PublishedRun>,
    /// The steps with counts that wait, and some that have ended since.
    later: Vec<(TaskId, String)>,
}

impl RunRate {
    /// The events to publish now. Events of other kinds pass.
    pub fn pass(&mut self, events: Vec<EventKind>, now: Instant) -> Vec<EventKind> {
        let is_of_run =
            |event: &EventKind| matches!(event, EventKind::Run { .. } | EventKind::Step { .. });
        if !events.iter().any(is_of_run) {
            return events;
        }
        let pass = events.into_iter();
        pass.filter_map(|event| self.pass_one(event, now)).collect()
    }

    fn pass_one(&mut self, event: EventKind, now: Instant) -> Option<EventKind> {
        match event {
            EventKind::Run {
                task_id,
                state,
                reason,
                name,
            } => {
                let run = self.runs.entry(task_id).or_default();
                let facts = Some((state, reason.clone(), name.clone()));
                let is_new = run.facts != facts;
                run.facts = facts;
                if state.is_final() {
                    self.runs.remove(&task_id);
                }
                is_new.then_some(EventKind::Run {
                    task_id,
                    state,
                    reason,
                    name,
                })
            }
            EventKind::Step { task_id, step } => self.pass_step(task_id, step, now),
            other => Some(other),
        }
    }

    fn pass_step(
        &mut self,
        task_id: TaskId,
        step: Box<StepInfo>,
        now: Instant,
    ) -> Option<EventKind> {
        if self.runs.len() > RUNS && !self.runs.contains_key(&task_id) {
            // The steps of a run may change after its end.
            self.runs.retain(|_, run| {
                let mut steps = run.steps.values();
                run.facts.is_some() || steps.any(|step| now < step.at + IDLE)
            });
        }
        let run = self.runs.entry(task_id).or_default();
        if step.state.is_final() {
            run.steps.remove(&step.path);
            return Some(EventKind::Step { task_id, step });
        }
        let facts = PublishedFacts::of(&step);
        if let Some(known) = run.steps.get_mut(&step.path)
            && known.facts == facts
            && now < known.at + COUNTS_PAUSE
        {
            if known.later.is_none() {
                self.later.push((task_id, step.path.clone()));
            }
            known.later = Some(step);
            return None;
        }
        let reported = PublishedStep {
            facts,
            at: now,
            later: None,
        };
        run.steps.insert(step.path.clone(), reported);
        Some(EventKind::Step { task_id, step })
    }

    /// Whether events wait for their time.
    pub fn has_later(&self) -> bool {
        !self.later.is_empty()
    }

    /// The events whose time has come.
    pub fn due(&mut self, now: Instant) -> Vec<EventKind> {
        let mut due = Vec::new();
        let RunRate { runs, later } = self;
        later.retain(|(task_id, path)| {
            let run = runs.get_mut(task_id);
            let Some(step) = run.and_then(|run| run.steps.get_mut(path)) else {
                return false;
            };
            if now < step.at + COUNTS_PAUSE {
                return step.later.is_some();
            }
            let Some(info) = step.later.take() else {
                return false;
            };
            step.at = now;
            due.push(EventKind::Step {
                task_id: *task_id,
                step: info,
            });
            false
        });
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(state: StepState, done: u64) -> EventKind {
        let step = StepInfo {
            path: "read".into(),
            kind: "map".into(),
            state,
            reason: None,
            generation: 0,
            total: Some(9),
            made: 9,
            open: 9 - done,
            done,
            failed: 0,
            cancelled: 0,
            task_id: None,
            started_at: None,
            ended_at: None,
        };
        EventKind::Step {
            task_id: 42,
            step: Box::new(step),
        }
    }

    fn run(state: RunState) -> EventKind {
        EventKind::Run {
            task_id: 42,
            state,
            reason: None,
            name: None,
        }
    }

    #[test]
    fn counts_of_a_step_are_reported_four_times_a_second_and_the_last_ones_in_any_case() {
        let (mut rate, start) = (RunRate::default(), Instant::now());
        let mut published = Vec::new();
        for n in 0..1000 {
            let now = start + Duration::from_millis(n);
            published.extend(rate.pass(vec![step(StepState::Open, n / 200)], now));
            published.extend(rate.due(now));
        }
        assert_eq!(published.len(), 4, "{published:?}");
        assert!(rate.has_later());
        let last = rate.due(start + Duration::from_secs(2));
        assert_eq!(last, [step(StepState::Open, 4)]);
        assert!(!rate.has_later());
    }

    #[test]
    fn changes_of_state_are_reported_at_once_and_repetitions_are_not() {
        let (mut rate, now) = (RunRate::default(), Instant::now());
        let mut pass = |event: EventKind| rate.pass(vec![event], now).len();
        assert_eq!(pass(run(RunState::Open)), 1);
        assert_eq!(pass(run(RunState::Open)), 0);
        assert_eq!(pass(step(StepState::Open, 1)), 1);
        assert_eq!(pass(step(StepState::Open, 2)), 0);
        assert_eq!(pass(step(StepState::Done, 9)), 1);
        assert_eq!(pass(run(RunState::Paused)), 1);
        assert_eq!(pass(run(RunState::Done)), 1);
        assert!(rate.runs.is_empty());
        let (later, n) = (now + 2 * IDLE, RUNS as i64);
        for task_id in 0..=n {
            let mut event = step(StepState::Open, 1);
            if let EventKind::Step { task_id: id, .. } = &mut event {
                *id = task_id;
            }
            rate.pass(vec![event], now);
        }
        rate.pass(vec![step(StepState::Open, 1)], later);
        let mut other = step(StepState::Open, 1);
        if let EventKind::Step { task_id, .. } = &mut other {
            *task_id = n + 1;
        }
        rate.pass(vec![other], later);
        assert_eq!(rate.runs.len(), 2, "those that were heard of lately");
    }

    #[test]
    fn an_ended_step_is_not_followed_by_counts_from_before() {
        let (mut rate, now) = (RunRate::default(), Instant::now());
        rate.pass(vec![step(StepState::Open, 1)], now);
        rate.pass(vec![step(StepState::Open, 2)], now);
        rate.pass(vec![step(StepState::Done, 9)], now);
        assert!(rate.due(now + COUNTS_PAUSE).is_empty());
    }
}
