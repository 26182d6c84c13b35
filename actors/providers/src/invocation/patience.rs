//! Patience with programs that do not exit: those that have said their end, and those that wait by themselves.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

use crate::output::{Outlook, ServiceWait};

/// How long a program that has said how it ended may stay without printing anything more.
const END_PATIENCE: Duration = Duration::from_secs(10);
/// The same in all, whatever it prints that is no work.
const END_LONGEST: Duration = Duration::from_secs(60);
/// Some programs go on after a first result. How long one may be silent after work that followed its end.
const MORE_PATIENCE: Duration = Duration::from_secs(60);
/// The same in all, from the end that it said last.
const MORE_LONGEST: Duration = Duration::from_secs(600);
/// The longest pause that a program may take by itself before it asks its service again. Meanwhile it holds a session,
/// and its account is not known to be at its limit.
pub(crate) const WAIT_PATIENCE: Duration = Duration::from_secs(60);
/// The time to end by itself for a program that names a longer pause: some only quote their service, and fail.
const SECOND_THOUGHTS: Duration = Duration::from_secs(2);
/// A program that has asked its service again and again for so long, and reports one more failure, does not come on.
const RETRIES_PATIENCE: Duration = Duration::from_secs(90);
/// The silence after a pause of a program that asks again by itself: its model may be at work.
const ANSWER_PATIENCE: Duration = Duration::from_secs(120);

/// Why a program is not given more time.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum PatienceEnd {
    /// It has said how it ended, and stays.
    Stays,
    /// It waits by itself for longer than it may.
    Waits(ServiceWait),
}

/// The last known activity of a program, and its begin.
#[derive(Debug, Default)]
pub(crate) struct ExitPatience {
    state: Mutex<Activity>,
    changed: Notify,
}

#[derive(Debug, Default)]
enum Activity {
    #[default]
    Works,
    /// A tool runs.
    Calls,
    Ended {
        since: Instant,
        /// It printed something then that counts.
        last: Instant,
        then: AfterEnd,
    },
    Waits {
        since: Instant,
        /// The pause that it named began then.
        last: Instant,
        wait: ServiceWait,
        /// Errors of no known kind alone: they mean something only where they go on.
        is_vague: bool,
    },
}

/// What came after the end that a program said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum AfterEnd {
    /// No work.
    Nothing,
    Work,
    /// The call of a tool, which may still run.
    Call,
}

impl ExitPatience {
    /// The program printed something on stdout.
    pub(crate) fn stdout(&self, outlook: Outlook) {
        let now = Instant::now();
        let mut state = self.lock();
        match (&mut *state, outlook) {
            (
                Activity::Ended {
                    last,
                    then: AfterEnd::Nothing,
                    ..
                },
                Outlook::Unchanged
                | Outlook::Waits(_)
                | Outlook::Stuck(_)
                | Outlook::Errs(_)
                | Outlook::Ended,
            ) => *last = now,
            (Activity::Ended { last, then, .. }, outlook @ (Outlook::Works | Outlook::Calls)) => {
                *last = now;
                *then = match outlook {
                    Outlook::Calls => AfterEnd::Call,
                    _ => AfterEnd::Work,
                };
            }
            (_, Outlook::Ended) => {
                *state = Activity::Ended {
                    since: now,
                    last: now,
                    then: AfterEnd::Nothing,
                }
            }
            (Activity::Ended { .. }, _) | (_, Outlook::Unchanged) => return,
            (_, Outlook::Works) => *state = Activity::Works,
            (_, Outlook::Calls) => *state = Activity::Calls,
            (_, Outlook::Waits(wait) | Outlook::Stuck(wait)) => waits(&mut state, wait, false, now),
            (_, Outlook::Errs(wait)) => waits(&mut state, wait, true, now),
        }
        drop(state);
        self.changed.notify_one();
    }

    /// The program printed something on stderr, which is never its end.
    pub(crate) fn stderr(&self, outlook: Outlook) {
        let mut state = self.lock();
        let (wait, is_vague) = match (&*state, outlook) {
            (Activity::Ended { .. }, _) => return,
            // It may be the tool's word.
            (Activity::Calls, Outlook::Stuck(_) | Outlook::Errs(_)) => return,
            (_, Outlook::Waits(wait) | Outlook::Stuck(wait)) => (wait, false),
            (_, Outlook::Errs(wait)) => (wait, true),
            _ => return,
        };
        waits(&mut state, wait, is_vague, Instant::now());
        drop(state);
        self.changed.notify_one();
    }

    /// Resolves when the program is given no more time. Cancel safe.
    pub(crate) async fn over(&self) -> PatienceEnd {
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

    /// The cause of the program's wait at the last look.
    pub(crate) fn waiting(&self) -> Option<ServiceWait> {
        match &*self.lock() {
            Activity::Waits {
                wait,
                is_vague: false,
                ..
            } => Some(wait.clone()),
            _ => None,
        }
    }

    fn next(&self) -> Option<(Instant, PatienceEnd)> {
        Some(match &*self.lock() {
            Activity::Works | Activity::Calls => return None,
            Activity::Ended { since, last, then } => {
                let deadline = match then {
                    AfterEnd::Nothing => (*last + END_PATIENCE).min(*since + END_LONGEST),
                    AfterEnd::Work => (*last + MORE_PATIENCE).min(*since + MORE_LONGEST),
                    AfterEnd::Call => *since + MORE_LONGEST,
                };
                (deadline, PatienceEnd::Stays)
            }
            Activity::Waits {
                since,
                last,
                wait,
                is_vague,
            } => {
                let deadline = match wait.length {
                    Some(length) if length > WAIT_PATIENCE => *last + SECOND_THOUGHTS,
                    _ if *last >= *since + RETRIES_PATIENCE => *last,
                    _ if *is_vague => return None,
                    length if wait.is_retry => *last + length.unwrap_or_default() + ANSWER_PATIENCE,
                    _ => *since + WAIT_PATIENCE,
                };
                (deadline, PatienceEnd::Waits(wait.clone()))
            }
        })
    }

    fn lock(&self) -> MutexGuard<'_, Activity> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Waits that follow one another without any work between them are one. An error of no known kind among them changes
/// nothing but the time.
fn waits(state: &mut Activity, wait: ServiceWait, is_vague: bool, now: Instant) {
    let (since, known) = match state {
        Activity::Waits {
            since,
            wait,
            is_vague: was_vague,
            ..
        } => (
            *since,
            Some(wait.clone()).filter(|_| !*was_vague && is_vague),
        ),
        _ => (now, None),
    };
    *state = Activity::Waits {
        since,
        last: now,
        is_vague: is_vague && known.is_none(),
        wait: known.unwrap_or(wait),
    };
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::FailureKind;

    fn wait(length: Option<u64>) -> Outlook {
        Outlook::Waits(ServiceWait {
            class: FailureKind::Network,
            length: length.map(Duration::from_secs),
            is_retry: length.is_some(),
            message: "waits".to_owned(),
        })
    }

    async fn after(patience: &ExitPatience) -> (PatienceEnd, u64) {
        let begin = Instant::now();
        let over = patience.over().await;
        (over, begin.elapsed().as_secs())
    }

    #[tokio::test(start_paused = true)]
    async fn a_program_that_said_its_end_may_stay_for_a_while() {
        let patience = ExitPatience::default();
        patience.stdout(Outlook::Ended);
        assert_eq!(after(&patience).await, (PatienceEnd::Stays, 10));
        // What it prints begins the time anew.
        let patience = ExitPatience::default();
        patience.stdout(Outlook::Ended);
        tokio::time::sleep(Duration::from_secs(8)).await;
        patience.stdout(Outlook::Unchanged);
        patience.stderr(Outlook::Unchanged);
        assert_eq!(after(&patience).await, (PatienceEnd::Stays, 10));
    }

    /// How long a program lasts that prints this every second after its end.
    async fn chatter(outlook: Outlook) -> u64 {
        let begin = Instant::now();
        let patience = ExitPatience::default();
        patience.stdout(Outlook::Ended);
        let chatter = async {
            loop {
                tokio::time::sleep(Duration::from_secs(1)).await;
                patience.stdout(outlook.clone());
            }
        };
        tokio::select! {
            over = patience.over() => assert_eq!(over, PatienceEnd::Stays),
            () = chatter => {}
        }
        begin.elapsed().as_secs()
    }

    #[tokio::test(start_paused = true)]
    async fn no_output_keeps_a_program_for_ever_that_said_its_end() {
        assert_eq!(chatter(Outlook::Unchanged).await, 60);
        assert_eq!(chatter(Outlook::Ended).await, 60);
        assert_eq!(chatter(wait(Some(30))).await, 60);
        assert_eq!(chatter(Outlook::Works).await, 600);
        for (outlook, seconds) in [(Outlook::Works, 60), (Outlook::Calls, 600)] {
            let patience = ExitPatience::default();
            patience.stdout(Outlook::Ended);
            patience.stdout(outlook);
            assert_eq!(after(&patience).await, (PatienceEnd::Stays, seconds));
        }
        // A further end after more work begins the time anew.
        let patience = ExitPatience::default();
        patience.stdout(Outlook::Ended);
        patience.stdout(Outlook::Works);
        tokio::time::sleep(Duration::from_secs(50)).await;
        patience.stdout(Outlook::Ended);
        assert_eq!(after(&patience).await, (PatienceEnd::Stays, 10));
    }

    #[tokio::test(start_paused = true)]
    async fn an_error_on_stderr_says_nothing_while_a_tool_runs() {
        let patience = ExitPatience::default();
        patience.stdout(Outlook::Calls);
        let Outlook::Waits(limit) = wait(None) else {
            return;
        };
        patience.stderr(Outlook::Stuck(limit.clone()));
        let over = tokio::time::timeout(Duration::from_secs(3600), patience.over());
        assert!(over.await.is_err());
        patience.stdout(Outlook::Works);
        patience.stderr(Outlook::Stuck(limit));
        assert_eq!(after(&patience).await.1, 60);
    }

    #[tokio::test(start_paused = true)]
    async fn a_program_may_wait_shortly() {
        for (length, seconds) in [(Some(3600), 2), (Some(45), 165), (None, 60)] {
            let patience = ExitPatience::default();
            patience.stderr(wait(length));
            let (over, waited) = after(&patience).await;
            assert!(matches!(over, PatienceEnd::Waits(_)));
            assert_eq!(waited, seconds, "{length:?}");
        }
        // Saying it again does not prolong it.
        let patience = ExitPatience::default();
        patience.stdout(wait(None));
        tokio::time::sleep(Duration::from_secs(50)).await;
        patience.stdout(wait(None));
        assert_eq!(after(&patience).await.1, 10);
    }

    /// How long a program lasts that reports this every second.
    async fn endless(outlook: Outlook) -> Option<u64> {
        let begin = Instant::now();
        let patience = ExitPatience::default();
        let chatter = async {
            for _ in 0..3600 {
                patience.stdout(outlook.clone());
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        };
        tokio::select! {
            over = patience.over() => {
                assert!(matches!(over, PatienceEnd::Waits(_)));
                Some(begin.elapsed().as_secs())
            }
            () = chatter => None,
        }
    }

    #[tokio::test(start_paused = true)]
    async fn asking_again_without_end_has_an_end() {
        let Outlook::Waits(vague) = wait(None) else {
            return;
        };
        assert_eq!(endless(wait(Some(1))).await, Some(90));
        assert_eq!(endless(Outlook::Errs(vague.clone())).await, Some(90));
        assert_eq!(endless(Outlook::Works).await, None);
        // One that recovers has all the time of its model after the last pause.
        let patience = ExitPatience::default();
        for _ in 0..8 {
            patience.stdout(wait(Some(10)));
            tokio::time::sleep(Duration::from_secs(10)).await;
        }
        let over = tokio::time::timeout(Duration::from_secs(100), patience.over());
        assert!(over.await.is_err());
        patience.stdout(Outlook::Works);
        let over = tokio::time::timeout(Duration::from_secs(3600), patience.over());
        assert!(over.await.is_err());
        // An error of no known kind means nothing alone.
        patience.stdout(Outlook::Errs(vague));
        let over = tokio::time::timeout(Duration::from_secs(3600), patience.over());
        assert!(over.await.is_err());
        assert_eq!(patience.waiting(), None);
    }
}
