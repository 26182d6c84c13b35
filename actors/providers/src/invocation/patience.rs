//! Limits for programs that do not exit: those that reported their end, and those that wait by themselves.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

use crate::output::{Outlook, ServiceWait};

/// Silence after which a program that reported its end is ended.
const END_PATIENCE: Duration = Duration::from_secs(10);
/// The time from the reported end, in any case, without further work.
const END_LONGEST: Duration = Duration::from_secs(60);
/// The silence after work that followed the reported end: some programs continue after a first result.
const MORE_PATIENCE: Duration = Duration::from_secs(60);
/// The time from the last reported end, in any case, with further work.
const MORE_LONGEST: Duration = Duration::from_secs(600);
/// The longest pause for which a program may wait by itself before it calls its service again. During the pause it occupies
/// a session, and its account's limit is not known.
pub(crate) const WAIT_PATIENCE: Duration = Duration::from_secs(60);
/// Time for a program that announced a longer pause to exit by itself: some only quote their service, and fail.
const SECOND_THOUGHTS: Duration = Duration::from_secs(2);
/// Time of repeated attempts after which one more failure ends the program.
const RETRIES_PATIENCE: Duration = Duration::from_secs(90);
/// Silence after a pause, for programs that repeat their request by themselves: the model may be working.
const ANSWER_PATIENCE: Duration = Duration::from_secs(120);

/// The reason for which a program gets no more time.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum PatienceEnd {
    /// It reported its end and did not exit.
    Stays,
    /// It waits by itself for longer than it may.
    Waits(ServiceWait),
}

/// The last known activity of a program, with its start.
#[derive(Debug, Default)]
pub(crate) struct ExitPatience {
    state: Mutex<ProgramActivity>,
    changed: Notify,
}

#[derive(Debug, Default)]
enum ProgramActivity {
    #[default]
    Works,
    /// A tool runs.
    Calls,
    Ended {
        since: Instant,
        /// The time of the last output that counts.
        last: Instant,
        then: AfterEnd,
    },
    Waits {
        since: Instant,
        /// The start of the last announced pause.
        last: Instant,
        wait: ServiceWait,
        /// All errors so far are of unknown kind: they count only when they are repeated.
        is_vague: bool,
    },
}

/// The activity after a reported end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum AfterEnd {
    /// No work followed.
    Nothing,
    Work,
    /// The call of a tool, which may still run.
    Call,
}

impl ExitPatience {
    /// Notes the activity that stdout shows.
    pub(crate) fn stdout(&self, outlook: Outlook) {
        let now = Instant::now();
        let mut state = self.lock();
        match (&mut *state, outlook) {
            (
                ProgramActivity::Ended {
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
            (
                ProgramActivity::Ended { last, then, .. },
                outlook @ (Outlook::Works | Outlook::Calls),
            ) => {
                *last = now;
                *then = match outlook {
                    Outlook::Calls => AfterEnd::Call,
                    _ => AfterEnd::Work,
                };
            }
            (_, Outlook::Ended) => {
                *state = ProgramActivity::Ended {
                    since: now,
                    last: now,
                    then: AfterEnd::Nothing,
                }
            }
            (ProgramActivity::Ended { .. }, _) | (_, Outlook::Unchanged) => return,
            (_, Outlook::Works) => *state = ProgramActivity::Works,
            (_, Outlook::Calls) => *state = ProgramActivity::Calls,
            (_, Outlook::Waits(wait) | Outlook::Stuck(wait)) => waits(&mut state, wait, false, now),
            (_, Outlook::Errs(wait)) => waits(&mut state, wait, true, now),
        }
        drop(state);
        self.changed.notify_one();
    }

    /// Notes the activity that stderr shows. stderr never reports the end.
    pub(crate) fn stderr(&self, outlook: Outlook) {
        let mut state = self.lock();
        let (wait, is_vague) = match (&*state, outlook) {
            (ProgramActivity::Ended { .. }, _) => return,
            // The line may come from the tool.
            (ProgramActivity::Calls, Outlook::Stuck(_) | Outlook::Errs(_)) => return,
            (_, Outlook::Waits(wait) | Outlook::Stuck(wait)) => (wait, false),
            (_, Outlook::Errs(wait)) => (wait, true),
            _ => return,
        };
        waits(&mut state, wait, is_vague, Instant::now());
        drop(state);
        self.changed.notify_one();
    }

    /// Resolves when the program gets no more time. Cancel safe.
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

    /// The wait that the program last reported, if it still waits.
    pub(crate) fn waiting(&self) -> Option<ServiceWait> {
        match &*self.lock() {
            ProgramActivity::Waits {
                wait,
                is_vague: false,
                ..
            } => Some(wait.clone()),
            _ => None,
        }
    }

    fn next(&self) -> Option<(Instant, PatienceEnd)> {
        Some(match &*self.lock() {
            ProgramActivity::Works | ProgramActivity::Calls => return None,
            ProgramActivity::Ended { since, last, then } => {
                let deadline = match then {
                    AfterEnd::Nothing => (*last + END_PATIENCE).min(*since + END_LONGEST),
                    AfterEnd::Work => (*last + MORE_PATIENCE).min(*since + MORE_LONGEST),
                    AfterEnd::Call => *since + MORE_LONGEST,
                };
                (deadline, PatienceEnd::Stays)
            }
            ProgramActivity::Waits {
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

    fn lock(&self) -> MutexGuard<'_, ProgramActivity> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Enters a wait. Waits without work between them count as one. An error of unknown kind keeps the known cause and restarts
/// the time.
fn waits(state: &mut ProgramActivity, wait: ServiceWait, is_vague: bool, now: Instant) {
    let (since, known) = match state {
        ProgramActivity::Waits {
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
    *state = ProgramActivity::Waits {
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
    async fn a_program_may_run_for_10_s_after_its_end() {
        let patience = ExitPatience::default();
        patience.stdout(Outlook::Ended);
        assert_eq!(after(&patience).await, (PatienceEnd::Stays, 10));
        // Further output restarts the time.
        let patience = ExitPatience::default();
        patience.stdout(Outlook::Ended);
        tokio::time::sleep(Duration::from_secs(8)).await;
        patience.stdout(Outlook::Unchanged);
        patience.stderr(Outlook::Unchanged);
        assert_eq!(after(&patience).await, (PatienceEnd::Stays, 10));
    }

    /// Seconds until the end of a program that prints this every second after its reported end.
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
    async fn no_output_extends_the_time_after_the_end_without_bound() {
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
        // A second reported end after more work restarts the time.
        let patience = ExitPatience::default();
        patience.stdout(Outlook::Ended);
        patience.stdout(Outlook::Works);
        tokio::time::sleep(Duration::from_secs(50)).await;
        patience.stdout(Outlook::Ended);
        assert_eq!(after(&patience).await, (PatienceEnd::Stays, 10));
    }

    #[tokio::test(start_paused = true)]
    async fn an_error_on_stderr_has_no_effect_while_a_tool_runs() {
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
    async fn short_waits_are_allowed() {
        for (length, seconds) in [(Some(3600), 2), (Some(45), 165), (None, 60)] {
            let patience = ExitPatience::default();
            patience.stderr(wait(length));
            let (over, waited) = after(&patience).await;
            assert!(matches!(over, PatienceEnd::Waits(_)));
            assert_eq!(waited, seconds, "{length:?}");
        }
        // A repeated report does not extend it.
        let patience = ExitPatience::default();
        patience.stdout(wait(None));
        tokio::time::sleep(Duration::from_secs(50)).await;
        patience.stdout(wait(None));
        assert_eq!(after(&patience).await.1, 10);
    }

    /// Seconds until the end of a program that reports this every second. `None` where it is not ended within an hour.
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
    async fn endless_retries_are_ended() {
        let Outlook::Waits(vague) = wait(None) else {
            return;
        };
        assert_eq!(endless(wait(Some(1))).await, Some(90));
        assert_eq!(endless(Outlook::Errs(vague.clone())).await, Some(90));
        assert_eq!(endless(Outlook::Works).await, None);
        // A program that recovers has the model's full time after its last pause.
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
        // A single error of unknown kind has no effect.
        patience.stdout(Outlook::Errs(vague));
        let over = tokio::time::timeout(Duration::from_secs(3600), patience.over());
        assert!(over.await.is_err());
        assert_eq!(patience.waiting(), None);
    }
}
