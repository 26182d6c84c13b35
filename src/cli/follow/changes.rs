//! Changes of a run's steps, as lines.

use crate::cli::show::run::{counts, headline, question};
use crate::cli::text;
use kirosu_protocol::{RunAnswer, RunState, StepInfo, StepState};
use std::collections::HashMap;
use std::time::{Duration, Instant};

/// The least time between two lines about the counts of a step whose state stays.
const COUNTS_PAUSE: Duration = Duration::from_secs(10);

/// The state of a step that was reported last.
struct ReportedStep {
    state: StepState,
    reason: Option<String>,
    generation: u64,
    counts: Option<String>,
    at: Instant,
}

/// Compares the states of a run.
#[derive(Default)]
pub struct StepChanges {
    steps: HashMap<String, ReportedStep>,
    run: Option<(RunState, Option<String>)>,
}

impl StepChanges {
    /// A line per step whose state, reason or, after a while, counts have changed, and one if the run waits or is paused.
    pub fn of(&mut self, run: &RunAnswer, now: Instant) -> Vec<String> {
        let mut lines: Vec<String> = run
            .steps
            .iter()
            .filter(|step| self.is_new(step, now))
            .map(line)
            .collect();
        let state = (run.state, run.reason.clone());
        if self.run.as_ref() != Some(&state) {
            let is_held = |state| matches!(state, RunState::Waiting | RunState::Paused);
            let was_held = self.run.as_ref().is_some_and(|(state, _)| is_held(*state));
            if is_held(run.state) || (was_held && !run.state.is_final()) {
                lines.push(headline(run));
            }
            self.run = Some(state);
        }
        lines
    }

    fn is_new(&mut self, step: &StepInfo, now: Instant) -> bool {
        let counts = counts(step);
        let is_new = match self.steps.get(&step.path) {
            None => step.state != StepState::Pending,
            Some(known) => {
                let is_same = known.state == step.state
                    && known.reason == step.reason
                    && known.generation == step.generation;
                let is_counted = known.counts != counts
                    && now.saturating_duration_since(known.at) >= COUNTS_PAUSE;
                !is_same || is_counted
            }
        };
        if is_new {
            let known = ReportedStep {
                state: step.state,
                reason: step.reason.clone(),
                generation: step.generation,
                counts,
                at: now,
            };
            self.steps.insert(step.path.clone(), known);
        }
        is_new
    }
}

/// A step as one line: path, state, counts, reason.
pub fn line(step: &StepInfo) -> String {
    let reason = step.reason.as_deref().map(text::one_line);
    let facts: Vec<String> = counts(step)
        .into_iter()
        .chain(reason)
        .chain(question(step))
        .collect();
    let facts = match facts.is_empty() {
        true => String::new(),
        false => format!(" ({})", facts.join("; ")),
    };
    format!("{}: {}{facts}", step.path, step.state)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::show::run::tests::{run, step};

    #[test]
    fn a_change_is_a_line_and_counts_are_reported_now_and_then() {
        let mut changes = StepChanges::default();
        let start = Instant::now();
        let mut read = step("read", "map", StepState::Open);
        (read.total, read.open) = (Some(9), 4);
        let of = |read: &StepInfo| run(vec![read.clone()]);
        assert_eq!(
            changes.of(&of(&read), start),
            ["read: open (0 of 9 done, 4 open)"]
        );
        read.done = 3;
        assert!(changes.of(&of(&read), start).is_empty());
        let later = start + COUNTS_PAUSE;
        assert_eq!(
            changes.of(&of(&read), later),
            ["read: open (3 of 9 done, 4 open)"]
        );
        (read.state, read.reason) = (StepState::Failed, Some("too many".into()));
        (read.open, read.failed) = (0, 6);
        assert_eq!(
            changes.of(&of(&read), later),
            ["read: failed (3 of 9 done, 6 failed; too many)"]
        );
        assert!(changes.of(&of(&read), later).is_empty());
    }

    #[test]
    fn a_run_that_waits_is_reported_and_its_going_on_too() {
        let mut changes = StepChanges::default();
        let mut all = run(vec![step("a", "task", StepState::Pending)]);
        let now = Instant::now();
        assert!(changes.of(&all, now).is_empty());
        (all.state, all.reason) = (RunState::Waiting, Some("breaker".into()));
        assert_eq!(changes.of(&all, now), ["run 42 review: waiting (breaker)"]);
        (all.state, all.reason) = (RunState::Open, None);
        assert_eq!(changes.of(&all, now), ["run 42 review: open"]);
    }
}
