//! The rules for ending a program and its descendants, without processes and without a clock.
//!
//! ```text
//! running ──program ended──▶ lingering ──linger──▶ terminating ──linger──▶ killing ──10 s──▶ given up
//!    └──────────── stop ordered or hub dead ──────────▶ ┘ (grace)
//! ```
//!
//! In every phase the run is over when no child is left, which [`super::watch`] detects.

use std::time::Duration;

use super::Arguments;

/// Time for which SIGKILL is repeated before the remaining processes are reported as alive.
pub(crate) const GIVE_UP: Duration = Duration::from_secs(10);
/// Time between two rounds of SIGKILL without a death: orphans of killed processes appear only then.
const ROUND: Duration = Duration::from_millis(5);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum EndingPhase {
    Running,
    Lingering { until: Duration },
    Terminating { until: Duration },
    Killing { until: Duration },
}

/// The next action.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum EndingStep {
    /// Wait for the next event, at most this long. `None` means without a limit.
    Wait(Option<Duration>),
    /// Send SIGTERM to all children, then ask again.
    Terminate,
    /// Send SIGKILL to all children, then wait for the next event, at most this long.
    Kill(Duration),
    /// The remaining processes cannot be ended.
    GiveUp,
}

/// The state of an ending. Times count from the start of the run.
#[derive(Debug)]
pub(super) struct EndingMachine {
    phase: EndingPhase,
    grace: Duration,
    linger: Duration,
    /// Whether a SIGTERM is due.
    due: bool,
}

impl EndingMachine {
    pub(super) const fn new(arguments: &Arguments) -> Self {
        Self {
            phase: EndingPhase::Running,
            grace: arguments.grace,
            linger: arguments.linger,
            due: false,
        }
    }

    /// Notes that the program itself ended.
    pub(super) fn program_ended(&mut self, now: Duration) {
        match self.phase {
            EndingPhase::Running => {
                let until = now + self.linger;
                self.phase = EndingPhase::Lingering { until };
            }
            // Its orphans become visible only now, and must get a SIGTERM too.
            EndingPhase::Terminating { .. } => self.due = true,
            EndingPhase::Lingering { .. } | EndingPhase::Killing { .. } => {}
        }
    }

    /// Notes that the hub ordered the end, or is dead.
    pub(super) fn stop(&mut self, now: Duration) {
        match self.phase {
            EndingPhase::Running => self.terminate(now + self.grace),
            EndingPhase::Lingering { .. } => self.terminate(now + self.linger),
            EndingPhase::Terminating { .. } | EndingPhase::Killing { .. } => {}
        }
    }

    /// Whether the runner is ending processes now.
    pub(super) const fn is_ending(&self) -> bool {
        matches!(
            self.phase,
            EndingPhase::Terminating { .. } | EndingPhase::Killing { .. }
        )
    }

    /// The action at this time.
    pub(super) fn step(&mut self, now: Duration) -> EndingStep {
        match self.phase {
            EndingPhase::Lingering { until } if now >= until => self.terminate(now + self.linger),
            EndingPhase::Terminating { until } if now >= until => {
                self.due = false;
                self.phase = EndingPhase::Killing {
                    until: now + GIVE_UP,
                };
            }
            _ => {}
        }
        if std::mem::take(&mut self.due) {
            return EndingStep::Terminate;
        }
        match self.phase {
            EndingPhase::Running => EndingStep::Wait(None),
            EndingPhase::Lingering { until } | EndingPhase::Terminating { until } => {
                EndingStep::Wait(Some(until.saturating_sub(now)))
            }
            EndingPhase::Killing { until } if now >= until => EndingStep::GiveUp,
            EndingPhase::Killing { .. } => EndingStep::Kill(ROUND),
        }
    }

    fn terminate(&mut self, until: Duration) {
        self.phase = EndingPhase::Terminating { until };
        self.due = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    fn machine() -> EndingMachine {
        EndingMachine::new(&Arguments {
            grace: ms(2000),
            stop: rustix::process::Signal::TERM,
            open_files: None,
            confinement: crate::containment::Confinement::default(),
            linger: ms(250),
            program: "x".into(),
            rest: Vec::new(),
        })
    }

    #[test]
    fn a_stop_is_term_then_grace_then_kill_then_given_up() {
        let mut it = machine();
        assert_eq!(it.step(ms(5)), EndingStep::Wait(None));
        it.stop(ms(10));
        it.stop(ms(11));
        assert_eq!(it.step(ms(11)), EndingStep::Terminate);
        assert_eq!(it.step(ms(11)), EndingStep::Wait(Some(ms(1999))));
        assert_eq!(it.step(ms(2010)), EndingStep::Kill(ROUND));
        it.stop(ms(2011));
        it.program_ended(ms(2011));
        assert_eq!(it.step(ms(12_009)), EndingStep::Kill(ROUND));
        assert_eq!(it.step(ms(12_010)), EndingStep::GiveUp);
    }

    #[test]
    fn leftovers_may_linger_and_are_then_ended() {
        let mut it = machine();
        it.program_ended(ms(100));
        assert_eq!(it.step(ms(100)), EndingStep::Wait(Some(ms(250))));
        assert!(!it.is_ending());
        assert_eq!(it.step(ms(350)), EndingStep::Terminate);
        assert!(it.is_ending());
        assert_eq!(it.step(ms(350)), EndingStep::Wait(Some(ms(250))));
        assert_eq!(it.step(ms(600)), EndingStep::Kill(ROUND));
    }

    #[test]
    fn orphans_that_appear_during_the_grace_get_their_own_term() {
        let mut it = machine();
        it.stop(ms(0));
        assert_eq!(it.step(ms(0)), EndingStep::Terminate);
        it.program_ended(ms(20));
        assert_eq!(it.step(ms(20)), EndingStep::Terminate);
        assert_eq!(it.step(ms(20)), EndingStep::Wait(Some(ms(1980))));
    }
}
