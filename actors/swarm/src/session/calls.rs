//! The session's calls to the hub, with each answer mapped to an event.

use std::time::Duration;

use kirosu_protocol::client::{CallError, Client};
use kirosu_protocol::task::{FailureClass, TYPE_HUMAN, TYPE_PYTHON};
use kirosu_protocol::{
    AckParams, AckStatus, ErrorCode, HeartbeatParams, HeldLease, LeaseParams, ReleaseParams,
    Status, millis,
};

use crate::options::PoolOptions;
use crate::run_end::LeaseReport;
use crate::session::machine::{HeartbeatResult, ReportResult, StrayCause};

/// How long a lease is parked before it is sent again.
const PARKED: Duration = Duration::from_secs(45);

/// Delay before a task can be leased again whose lease could not be read: without it the task would go round at once.
const UNREADABLE_DELAY: Duration = Duration::from_secs(60);

/// Parameters of the lease request of a pool with these options.
pub(crate) fn lease_params(options: &PoolOptions, worker_id: &str) -> LeaseParams {
    let mut exclude_types = vec![TYPE_HUMAN.to_owned()];
    if !options.runs_python() {
        exclude_types.push(TYPE_PYTHON.to_owned());
    }
    LeaseParams {
        lease_ms: Some(millis(options.lease)),
        wait_ms: millis(PARKED),
        queues: options.queues(),
        types: options.types.clone(),
        exclude_types,
        ..LeaseParams::one(worker_id)
    }
}

/// Extends a lease.
pub(crate) async fn heartbeat(
    client: Client,
    lease: HeldLease,
    length: Duration,
) -> HeartbeatResult {
    let params = HeartbeatParams {
        task_id: lease.task_id,
        fence: Some(lease.fence),
        worker_id: None,
        lease_ms: Some(millis(length)),
    };
    match client.request(&params).await {
        Ok(_) => HeartbeatResult::Alive,
        // The notice of the cancel may have been missed.
        Err(CallError::Refused(error)) if is_cancelled(&error) => HeartbeatResult::Cancel,
        Err(CallError::Refused(error)) => match error.code {
            ErrorCode::StaleLease | ErrorCode::UnknownTask | ErrorCode::WrongState => {
                HeartbeatResult::Stale
            }
            _ => {
                tracing::warn!(task_id = lease.task_id, fence = lease.fence, %error, "the hub refused a heartbeat");
                HeartbeatResult::Unknown
            }
        },
        Err(error) => {
            tracing::debug!(task_id = lease.task_id, fence = lease.fence, %error, "a heartbeat has no answer");
            if let CallError::Timeout { .. } = error {
                client.reconnect();
            }
            HeartbeatResult::Unknown
        }
    }
}

/// Whether a refusal says that the task was cancelled.
fn is_cancelled(refusal: &kirosu_protocol::Error) -> bool {
    let status = refusal.data.as_ref().and_then(|data| data.get("status"));
    refusal.code == ErrorCode::StaleLease
        && status.and_then(|status| status.as_str()) == Some(Status::Cancelled.as_str())
}

/// Whether a refusal says that the run has asked to wait for the children of its task.
fn waits_children(refusal: &kirosu_protocol::Error) -> bool {
    let waits = refusal
        .data
        .as_ref()
        .and_then(|data| data.get("waits_children"));
    waits.and_then(serde_json::Value::as_bool) == Some(true)
}

/// Sends the hub the end of a lease. The second value is true when the hub has taken an ack after which no run goes on in the
/// folder: `done`, or one of a run that waits for children and has no conversation.
pub(crate) async fn send_report(
    client: Client,
    lease: HeldLease,
    report: LeaseReport,
) -> (ReportResult, bool) {
    let (outcome, done) = match report {
        LeaseReport::Ack(ack) => {
            let parked = ack.class == Some(FailureClass::Parked);
            let done = ack.status == AckStatus::Done || (parked && ack.conversation.is_none());
            (client.request(&AckParams::one(*ack)).await.map(drop), done)
        }
        LeaseReport::Release { reason, delay } => {
            let params = release_params(lease, reason, delay);
            (client.request(&params).await.map(drop), false)
        }
    };
    match outcome {
        Ok(()) => (ReportResult::Answered, done),
        Err(error) => (result_of(&client, lease, error), false),
    }
}

fn result_of(client: &Client, lease: HeldLease, error: CallError) -> ReportResult {
    let HeldLease { task_id, fence } = lease;
    match error {
        CallError::Refused(error) => match error.code {
            ErrorCode::WrongState if waits_children(&error) => ReportResult::WaitsChildren,
            ErrorCode::StaleLease | ErrorCode::UnknownTask | ErrorCode::WrongState => {
                tracing::info!(task_id, fence, %error, "the hub no longer needs the run's report");
                ReportResult::Answered
            }
            ErrorCode::TooLarge | ErrorCode::InvalidParams | ErrorCode::Unsupported => {
                tracing::warn!(task_id, fence, %error, "the hub refused the report of a run");
                ReportResult::Unfit(error.message)
            }
            _ => {
                tracing::warn!(task_id, fence, %error, "the hub could not take the report of a run; it is sent again");
                ReportResult::Unknown
            }
        },
        CallError::BadAnswer { .. } => {
            // The report took effect; only its answer is of another version.
            tracing::warn!(task_id, fence, %error, "the answer to a report cannot be read");
            ReportResult::Answered
        }
        error => {
            tracing::debug!(task_id, fence, %error, "a report has no answer; it is sent again");
            if let CallError::Timeout { .. } = error {
                client.reconnect();
            }
            ReportResult::Unknown
        }
    }
}

/// Releases a lease that the session does not know. If that fails, the lease expires.
pub(crate) async fn release_stray(client: Client, lease: HeldLease, cause: StrayCause) {
    let HeldLease { task_id, fence } = lease;
    let (reason, delay) = match cause {
        StrayCause::Lost => ("the session does not know this lease", Duration::ZERO),
        StrayCause::Unreadable => ("the session cannot read this lease", UNREADABLE_DELAY),
    };
    let params = release_params(lease, reason.to_owned(), delay);
    match client.request(&params).await {
        Ok(_) => tracing::info!(task_id, fence, "released a lease: {reason}"),
        Err(error) => {
            tracing::warn!(task_id, fence, %error, "cannot release a lease: {reason}");
        }
    }
}

fn release_params(lease: HeldLease, reason: String, delay: Duration) -> ReleaseParams {
    ReleaseParams {
        task_id: lease.task_id,
        fence: Some(lease.fence),
        worker_id: None,
        reason: Some(reason),
        delay_ms: millis(delay),
    }
}
