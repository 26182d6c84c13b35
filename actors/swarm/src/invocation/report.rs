//! Turns the end of a run into a report for the hub, and a symptom for the pool.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use kirosu_protocol::task::{FailureClass, Usage};
use kirosu_protocol::{Ack, HeldLease};
use kirosu_providers::{FailureKind as Class, RunFailure, RunResult};

use crate::pool::health::RunSymptom;
use crate::pool::slot::NOT_STARTED_DELAY;
use crate::prices::Prices;
use crate::run_end::RunEnd;

/// Delay before a task can be leased again that was released because the provider is missing.
const MISSING_DELAY: Duration = Duration::from_secs(3);

/// Whether a failed run counts as an attempt of its task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Costs {
    /// It was not started or did nothing: the lease goes back.
    Nothing,
    /// It counts.
    Attempt,
}

/// Returns the end of the lease, and the symptom for the pool. `own`: the run was on the pool's own provider.
/// `checked`: a run that went well meets the task's `accept` clause.
pub(crate) fn read(
    lease: HeldLease,
    own: bool,
    checked: bool,
    costs: Costs,
    outcome: RunResult,
) -> (RunEnd, RunSymptom) {
    match outcome {
        Ok(finished) => {
            let mut ack = Ack::done(lease.task_id, Some(lease.fence), finished.text);
            ack.usage = finished.usage.as_ref().map(Usage::from);
            ack.accepted = checked;
            (RunEnd::ack(ack), RunSymptom::Fine)
        }
        // A fault of the machine, with any provider.
        Err(failure) if failure.kind == Class::Shortage && costs == Costs::Nothing => {
            let end = not_started(&failure.message);
            (end, RunSymptom::Short(failure.message))
        }
        // The account is parked until its service can be reached; other accounts may run the task meanwhile.
        Err(failure) if failure.kind == Class::Network && costs == Costs::Nothing => (
            RunEnd::release(&failure.message, Duration::ZERO),
            RunSymptom::Fine,
        ),
        Err(failure)
            if costs == Costs::Nothing
                && matches!(failure.kind, Class::ProviderError | Class::Crashed) =>
        {
            (not_started(&failure.message), RunSymptom::Fine)
        }
        // A fault of another provider concerns only the task.
        Err(failure) if !own && failure.kind == Class::Missing => {
            let end = fail(lease, FailureClass::Missing, &failure.message);
            (end, RunSymptom::Fine)
        }
        Err(failure) => {
            let (end, symptom) = failed(lease, failure);
            (end, if own { symptom } else { RunSymptom::Fine })
        }
    }
}

fn failed(lease: HeldLease, failure: RunFailure) -> (RunEnd, RunSymptom) {
    let message = failure.message;
    let used = failure.usage.as_ref().map(Usage::from);
    let ack = |class| {
        let mut ack = failure_of(lease, class, &message);
        ack.usage.clone_from(&used);
        ack
    };
    let plain = |class| RunEnd::ack(ack(class));
    match failure.kind {
        Class::Cancelled => (
            RunEnd::Cancelled(Box::new(ack(FailureClass::Cancelled))),
            RunSymptom::Fine,
        ),
        Class::Missing => (give_back(&message), RunSymptom::Missing(message)),
        Class::RateLimited { until } => {
            let mut ack = ack(FailureClass::RateLimited);
            ack.retry_at_ms = until.and_then(unix_ms);
            (RunEnd::ack(ack), RunSymptom::Fine)
        }
        // The answer stays with the attempt for a person to judge: a retry would be paid again. Of a run that waits for
        // children it is what the run has said so far.
        Class::Unchecked | Class::NotAccepted | Class::Parked => {
            let mut ack = ack(failure.kind.class());
            ack.result = Some(failure.output);
            (RunEnd::ack(ack), RunSymptom::Fine)
        }
        kind => (plain(kind.class()), RunSymptom::Fine),
    }
}

/// Sets the provider that ran it, for the hub's statistics.
pub(crate) fn signed(mut end: RunEnd, provider: &str) -> RunEnd {
    if let Some(ack) = end.ack_mut() {
        ack.provider = Some(provider.to_owned());
    }
    end
}

/// Sets the cost if the provider did not state it and the model has a price.
pub(crate) fn priced(mut end: RunEnd, prices: &Prices, model: Option<&str>) -> RunEnd {
    if let Some(ack) = end.ack_mut()
        && let Some(usage) = &mut ack.usage
    {
        prices.fill_in(model, usage);
    }
    end
}

/// A failure of the task.
pub(crate) fn fail(lease: HeldLease, class: FailureClass, message: &str) -> RunEnd {
    RunEnd::ack(failure_of(lease, class, message))
}

/// Releases the lease because the pool cannot run anything.
pub(crate) fn give_back(reason: &str) -> RunEnd {
    RunEnd::release(reason, MISSING_DELAY)
}

/// Releases the lease because the run could not be started.
pub(crate) fn not_started(reason: &str) -> RunEnd {
    RunEnd::release(reason, NOT_STARTED_DELAY)
}

pub(super) fn failure_of(lease: HeldLease, class: FailureClass, message: &str) -> Ack {
    Ack::failed(lease.task_id, Some(lease.fence), class, message)
}

/// Unix milliseconds; `None` before 1970.
pub(super) fn unix_ms(at: SystemTime) -> Option<i64> {
    let since = at.duration_since(UNIX_EPOCH).ok()?;
    i64::try_from(since.as_millis()).ok()
}
