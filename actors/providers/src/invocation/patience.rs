//! Patience with programs that do not exit: those that have said their end, and those that wait by themselves.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

use crate::output::{Outlook, Wait};

/// How long a program that has said how it ended may stay without printing anything more. Every further frame begins the
/// time anew: some go on after a first result.
pub(crate) const END_PATIENCE: Duration = Duration::from_secs(10);
/// The longest pause that a program may take by itself before it asks its service again. Meanwhile it holds a session,
/// and its account is not known to be at its limit.
pub(crate) const WAIT_PATIENCE: Duration = Duration::from_secs(60);
/// The time to end by itself for a program that names a longer pause: some only quote their service, and fail.
const SECOND_THOUGHTS: Duration = Duration::from_secs(2);
/// All of its shorter pauses together, as long as nothing comes of them.
const WAITS_PATIENCE: Duration = Duration::from_secs(600);

/// Why a program is not given more time.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Over {
    /// It has said how it ended, and stays.
    Stays,
    /// It waits by itself for longer than it may.
    Waits(Wait),
}

/// What a program was last seen doing, and since when.
#[derive(Debug, Default)]
pub(crate) struct Patience {
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Debug, Default)]
enum State {
    #[default]
    Works,
    Ended {
        last: Instant,
    },
    Waits {
        since: Instant,
        /// The pause that it named began then.
        last: Instant,
        wait: Wait,
    },
}

impl Patience {
    /// The program printed something on stdout.
    pub(crate) fn stdout(&self, outlook: Outlook) {
        let now = Instant::now();
        let mut state = self.lock();
        match (&mut *state, outlook) {
            (State::Ended { last }, Outlook::Unchanged) => *last = now,
            (_, Outlook::Unchanged) => return,
            (_, Outlook::Works) => *state = State::Works,
            (_, Outlook::Ended) => *state = State::Ended { last: now },
            (_, Outlook::Waits(wait)) => waits(&mut state, wait, now),
        }
        drop(state);
        self.changed.notify_one();
    }

    /// The program printed something on stderr, which is never its end.
    pub(crate) fn stderr(&self, outlook: Outlook) {
        let mut state = self.lock();
        let Outlook::Waits(wait) = outlook else {
            return;
        };
        if matches!(*state, State::Ended { .. }) {
            return;
        }
        waits(&mut state, wait, Instant::now());
        drop(state);
        self.changed.notify_one();
    }

    /// Resolves when the program is given no more time. Cancel safe.
    pub(crate) async fn over(&self) -> Over {
        loop {
            let changed = self.changed.notified();
            let Some((deadline, over)) = self.next() else {
                changed.await;
                continue;
            };
            tokio::select! {
                biased;
                () = changed => {}
                () = sleep_until(deadline) => return over,
            }
        }
    }

    /// What the program was waiting for when it was looked at last.
    pub(super) fn waiting(&self) -> Option<Wait> {
        match &*self.lock() {
            State::Waits { wait, .. } => Some(wait.clone()),
            _ => None,
        }
    }

    fn next(&self) -> Option<(Instant, Over)> {
        Some(match &*self.lock() {
            State::Works => return None,
            State::Ended { last } => (*last + END_PATIENCE, Over::Stays),
            State::Waits { since, last, wait } => {
                let deadline = match wait.length {
                    Some(length) if length > WAIT_PATIENCE => *last + SECOND_THOUGHTS,
                    Some(_) => *since + WAITS_PATIENCE,
                    None => *since + WAIT_PATIENCE,
                };
                (deadline, Over::Waits(wait.clone()))
            }
        })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Waits that follow one another without any work between them are one.
fn waits(state: &mut State, wait: Wait, now: Instant) {
    let since = match state {
        State::Waits { since, .. } => *since,
        _ => now,
    };
    *state = State::Waits {
        since,
        last: now,
        wait,
    };
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::FailureClass;

    fn wait(length: Option<u64>) -> Outlook {
        Outlook::Waits(Wait {
            class: FailureClass::Network,
            length: length.map(Duration::from_secs),
            message: "waits".to_owned(),
        })
    }

    async fn after(patience: &Patience) -> (Over, u64) {
        let begin = Instant::now();
        let over = patience.over().await;
        (over, begin.elapsed().as_secs())
    }

    #[tokio::test(start_paused = true)]
    async fn a_program_that_said_its_end_may_stay_for_a_while() {
        let patience = Patience::default();
        patience.stdout(Outlook::Ended);
        assert_eq!(after(&patience).await, (Over::Stays, 10));
        // Whatever it prints begins the time anew, and work takes the end back.
        patience.stdout(Outlook::Ended);
        tokio::time::sleep(Duration::from_secs(8)).await;
        patience.stdout(Outlook::Unchanged);
        patience.stderr(Outlook::Unchanged);
        assert_eq!(after(&patience).await, (Over::Stays, 10));
        patience.stdout(Outlook::Works);
        let over = tokio::time::timeout(Duration::from_secs(3600), patience.over());
        assert!(over.await.is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn a_program_may_wait_shortly() {
        for (length, seconds) in [(Some(3600), 2), (Some(45), 600), (None, 60)] {
            let patience = Patience::default();
            patience.stderr(wait(length));
            let (over, waited) = after(&patience).await;
            assert!(matches!(over, Over::Waits(_)));
            assert_eq!(waited, seconds, "{length:?}");
        }
        // Saying it again does not prolong it.
        let patience = Patience::default();
        patience.stdout(wait(None));
        tokio::time::sleep(Duration::from_secs(50)).await;
        patience.stdout(wait(None));
        assert_eq!(after(&patience).await.1, 10);
    }
}
