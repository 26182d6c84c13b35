//! The activity of a run, which decides whether a failure counts as an attempt: whether its program started, and
//! whether it did anything.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use kirosu_protocol::TaskId;
use kirosu_providers::{EventSink, FailureKind as Class, RunEvent, RunFailure, RunResult};
use tokio::time::Instant;

use crate::pool::Pool;

/// A run that fails within this time, with nothing done, failed at once.
const AT_ONCE: Duration = Duration::from_secs(10);

/// Watches the events of one run.
pub(super) struct Activity {
    begun: Instant,
    seen: Arc<Seen>,
}

#[derive(Default)]
struct Seen {
    started: AtomicBool,
    worked: AtomicBool,
}

impl Activity {
    pub(super) fn new() -> Self {
        Self {
            begun: Instant::now(),
            seen: Arc::default(),
        }
    }

    /// Returns the sink for the run; notifies the pool when its program starts.
    pub(super) fn watched(&self, sink: &EventSink, pool: &Arc<Pool>) -> EventSink {
        let (seen, pool) = (self.seen.clone(), pool.clone());
        sink.through(move |event| {
            match &event {
                RunEvent::Started { .. } if !seen.started.swap(true, Ordering::Relaxed) => {
                    pool.started();
                }
                RunEvent::Tool { .. } => seen.worked.store(true, Ordering::Relaxed),
                RunEvent::Usage { usage } if usage.output > 0 => {
                    seen.worked.store(true, Ordering::Relaxed);
                }
                _ => {}
            }
            event
        })
    }

    /// Awaits a run, and notifies the pool once the run has not failed at once: it may take hours.
    pub(super) async fn outlasting<T>(&self, pool: &Pool, run: impl Future<Output = T>) -> T {
        let mut run = pin!(run);
        if let Ok(outcome) = tokio::time::timeout(AT_ONCE, run.as_mut()).await {
            return outcome;
        }
        pool.run_worked();
        run.await
    }

    fn has_started(&self) -> bool {
        self.seen.started.load(Ordering::Relaxed)
    }

    /// Whether a failed run did something that the next attempt would do, or pay, again.
    fn did_something(&self, failure: &RunFailure) -> bool {
        let paid = failure.usage.as_ref().is_some_and(|usage| usage.output > 0);
        self.seen.worked.load(Ordering::Relaxed) || paid || !failure.output.trim().is_empty()
    }

    /// Whether the run was not started or did nothing, so that it costs no attempt.
    pub(super) fn costs_nothing(&self, pool: &Pool, task: TaskId, outcome: &RunResult) -> bool {
        let failure = match outcome {
            Ok(_) => {
                pool.excuses.run_worked();
                return false;
            }
            Err(failure) => failure,
        };
        match failure.kind {
            Class::Shortage | Class::Network if self.did_something(failure) => false,
            // Reported by its own program, which might do so for ever.
            Class::Shortage | Class::Network if self.has_started() => pool.excuses.take(task),
            Class::Shortage | Class::Network => true,
            _ => false,
        }
    }

    /// Records the effect of a run on the health of the pool's own provider. Returns true if the breaker was open
    /// already: then this run costs no attempt.
    pub(super) fn apply_to_pool(&self, pool: &Pool, task: TaskId, outcome: &RunResult) -> bool {
        let Err(failure) = outcome else {
            pool.run_worked();
            return false;
        };
        let at_once = self.begun.elapsed() < AT_ONCE && !self.did_something(failure);
        match failure.kind {
            Class::ProviderError | Class::Crashed if at_once => {
                return pool.failed_at_once(task, &failure.message);
            }
            // These concern the account, the machine or a cancel, not the program.
            Class::RateLimited { .. }
            | Class::AuthRequired
            | Class::Network
            | Class::Missing
            | Class::Shortage
            | Class::Cancelled => {}
            _ => pool.run_worked(),
        }
        false
    }
}
