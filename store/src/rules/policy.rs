//! The policy after an attempt that did not succeed, as a table.

use super::backoff;
use kirosu_protocol::{FailureClass, OnLost, RetryPolicy, TaskId};

/// The input of the decision.
#[derive(Clone, Copy, Debug)]
pub(crate) struct EndedAttempt<'a> {
    pub task: TaskId,
    pub class: FailureClass,
    /// Counted attempts, this one included.
    pub attempts: u32,
    pub max_attempts: Option<u32>,
    pub retry: &'a RetryPolicy,
    /// The share by which delays are shortened, 0 to 1.
    pub jitter: f64,
    pub on_lost: OnLost,
    /// Unix milliseconds before which the provider refuses a retry, if known.
    pub retry_at: Option<i64>,
    pub now: i64,
}

/// The next state of the task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NextState {
    /// Queued again at once.
    Again,
    /// Scheduled; `counted` is true if the attempt counts.
    At { run_at: i64, counted: bool },
    /// A person decides.
    Ask,
    /// Failed until a person retries it.
    Dead,
}

/// Attempts of a task without `max_attempts` whose runs crash.
const CRASHES: u32 = 3;

/// The treatment of a class of failure.
enum Treatment {
    Retry,
    Crash,
    Park,
    Ask,
    Budget,
    Dead,
    Lost,
}

fn treatment(class: FailureClass) -> Treatment {
    match class {
        FailureClass::ProviderError
        | FailureClass::Timeout
        | FailureClass::OutOfMemory
        | FailureClass::NotAccepted => Treatment::Retry,
        FailureClass::Crashed => Treatment::Crash,
        FailureClass::RateLimited => Treatment::Park,
        // Another run has the same result until a person has logged in or installed the program.
        FailureClass::AuthRequired | FailureClass::Missing => Treatment::Ask,
        // The task waits for children then; nothing is left for this table to decide.
        FailureClass::Parked
        | FailureClass::Cancelled
        | FailureClass::BadInput
        | FailureClass::RefusedByPolicy => Treatment::Dead,
        FailureClass::BudgetExhausted => Treatment::Budget,
        FailureClass::Lost => Treatment::Lost,
    }
}

/// Decides on an attempt that did not succeed.
pub(crate) fn after_attempt(ended: &EndedAttempt<'_>) -> NextState {
    let spent = ended.max_attempts.is_some_and(|max| ended.attempts >= max);
    match treatment(ended.class) {
        Treatment::Dead => NextState::Dead,
        Treatment::Ask => NextState::Ask,
        // A budget with a window fills again, so the task waits. But a task that exhausts each window would never end,
        // and only a person can raise its own budget.
        Treatment::Budget => match ended.retry_at {
            Some(run_at) if ended.attempts < ended.max_attempts.unwrap_or(CRASHES) => {
                NextState::At {
                    run_at: run_at.max(ended.now),
                    counted: true,
                }
            }
            _ => NextState::Ask,
        },
        // The task is not the cause: the attempt does not count, and no retry policy is needed.
        Treatment::Park => NextState::At {
            run_at: ended.retry_at.unwrap_or(0).max(ended.now + delay(ended)),
            counted: false,
        },
        // A client that asks for no retry expects the failure at once.
        Treatment::Retry if ended.max_attempts.is_none() || spent => NextState::Dead,
        Treatment::Retry => NextState::At {
            run_at: ended.now + delay(ended),
            counted: true,
        },
        // The run crashed, so the task itself has not failed. But the task may be what crashes its runs, so the
        // attempts are limited.
        Treatment::Crash => match ended.on_lost {
            OnLost::Fail => NextState::Dead,
            OnLost::Ask => NextState::Ask,
            OnLost::Retry if ended.attempts >= ended.max_attempts.unwrap_or(CRASHES) => {
                NextState::Dead
            }
            OnLost::Retry => NextState::At {
                run_at: ended.now + delay(ended),
                counted: true,
            },
        },
        Treatment::Lost => match ended.on_lost {
            OnLost::Fail => NextState::Dead,
            OnLost::Ask => NextState::Ask,
            OnLost::Retry if spent => NextState::Dead,
            OnLost::Retry => NextState::Again,
        },
    }
}

fn delay(ended: &EndedAttempt<'_>) -> i64 {
    match ended.retry_at {
        Some(at) if at > ended.now => at - ended.now,
        _ => backoff::delay_ms(ended.retry, ended.jitter, ended.task, ended.attempts),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn next(class: FailureClass, max_attempts: Option<u32>, attempts: u32) -> NextState {
        let retry = RetryPolicy {
            initial_ms: 1000,
            max_ms: 1000,
            factor: 1.0,
        };
        after_attempt(&EndedAttempt {
            task: 1,
            class,
            attempts,
            max_attempts,
            retry: &retry,
            jitter: 0.0,
            on_lost: OnLost::Retry,
            retry_at: Some(9_000),
            now: 5_000,
        })
    }

    #[test]
    fn each_class_has_its_treatment() {
        for class in FailureClass::ALL {
            let plain = next(class, None, 1);
            let retried = next(class, Some(2), 1);
            let spent = next(class, Some(2), 2);
            let again = NextState::At {
                run_at: 9_000,
                counted: true,
            };
            let expected = match class {
                FailureClass::ProviderError
                | FailureClass::Timeout
                | FailureClass::OutOfMemory
                | FailureClass::NotAccepted => (NextState::Dead, again, NextState::Dead),
                FailureClass::Crashed => (again, again, NextState::Dead),
                FailureClass::RateLimited => {
                    let parked = NextState::At {
                        run_at: 9_000,
                        counted: false,
                    };
                    (parked, parked, parked)
                }
                FailureClass::AuthRequired | FailureClass::Missing => {
                    (NextState::Ask, NextState::Ask, NextState::Ask)
                }
                FailureClass::BudgetExhausted => (again, again, NextState::Ask),
                FailureClass::Cancelled
                | FailureClass::BadInput
                | FailureClass::RefusedByPolicy
                | FailureClass::Parked => (NextState::Dead, NextState::Dead, NextState::Dead),
                FailureClass::Lost => (NextState::Again, NextState::Again, NextState::Dead),
            };
            assert_eq!((plain, retried, spent), expected, "{class:?}");
        }
    }

    #[test]
    fn crashes_are_not_retried_for_ever() {
        assert_eq!(next(FailureClass::Crashed, None, CRASHES), NextState::Dead);
    }
}
