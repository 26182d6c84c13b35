//! The rules of ending a program and what it started, without processes and without a clock.
//!
//! ```text
//! running ──program ended──▶ lingering ──linger──▶ terminating ──linger──▶ killing ──10 s──▶ given up
//!    └──────────── stop ordered or hub dead ──────────▶ ┘ (grace)
//! ```
//!
//! Whatever the phase, all is over when no child is left; [`super::watch`] sees that.

use std::time::Duration;

use super::Arguments;

/// How long SIGKILL is repeated before what is left is reported as alive.
pub(crate) const GIVE_UP: Duration = Duration::from_secs(10);
/// Between two rounds of SIGKILL when no death wakes us earlier: orphans of the killed appear only then.
const ROUND: Duration = Duration::from_millis(5);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum EndingPhase {
    Running,
    Lingering { until: Duration },
    Terminating { until: Duration },
    Killing { until: Duration },
}

/// What is to be done now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum EndingStep {
    /// Wait for the next event, at most so long.
    Wait(Option<Duration>),
    /// Send SIGTERM to all, then ask again.
    Terminate,
    /// Send SIGKILL to all, then wait for the next event, at most so long.
    Kill(Duration),
    /// What is left cannot be ended.
    GiveUp,
}

/// The state of one ending. Times are since the start of the run.
#[derive(Debug)]
pub(super) struct EndingMachine {
    phase: EndingPhase,
    grace: Duration,
    linger: Duration,
    /// A SIGTERM is due.
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

    /// The program itself ended.
    pub(super) fn program_ended(&mut self, now: Duration) {
        match self.phase {
            EndingPhase::Running => {
                let until = now + self.linger;
                self.phase = EndingPhase::Lingering { until };
            }
            // What it left has become visible to us only now, and has a right to a SIGTERM too.
            EndingPhase::Terminating { .. } => self.due = true,
            EndingPhase::Lingering { .. } | EndingPhase::Killing { .. } => {}
        }
    }

    /// The hub ordered the end, or is dead.
    pub(super) fn stop(&mut self, now: Duration) {
        match self.phase {
            EndingPhase::Running => self.terminate(now + self.grace),
            EndingPhase::Lingering { .. } => self.terminate(now + self.linger),
            EndingPhase::Terminating { .. } | EndingPhase::Killing { .. } => {}
        }
    }

    /// Whether processes that end now end because of us.
    pub(super) const fn is_ending(&self) -> bool {
        matches!(
            self.phase,
            EndingPhase::Terminating { .. } | EndingPhase::Killing { .. }
        )
    }

    /// What to do at this time.
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
    fn what_a_program_leaves_may_linger_then_is_ended() {
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
