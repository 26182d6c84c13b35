//! Whether an ack is taken: the fencing rules.

use crate::row::{Flags, TaskRow};
use crate::sql::attempt::AttemptEnd;
use kirosu_protocol::verbs::ack::{Ack, AckStatus};
use kirosu_protocol::{Error, ErrorCode, FailureClass, Fence, Status, TaskId};

/// The outcome an ack writes into its attempt.
pub(crate) fn outcome(ack: &Ack) -> &'static str {
    match ack.status {
        AckStatus::Done => "done",
        AckStatus::Failed => class(ack).as_str(),
    }
}

/// The class of a failed ack.
pub(crate) fn class(ack: &Ack) -> FailureClass {
    ack.class.unwrap_or(FailureClass::ProviderError)
}

/// Whether the ack is for the live lease and in time: the common case, decided by the hot row alone.
pub(crate) fn is_for_live_lease(row: &TaskRow, ack: &Ack, strict_expiry: bool, now: i64) -> bool {
    row.state == Status::Leased
        && ack.fence.is_none_or(|fence| fence == row.fence)
        && ack
            .worker_id
            .as_deref()
            .is_none_or(|worker| row.worker.as_deref() == Some(worker))
        && !(strict_expiry && row.lease_until.is_some_and(|until| until < now))
}

/// What an ack that is not for a live lease is.
#[derive(Debug, PartialEq)]
pub(crate) enum Late {
    /// It says what was said and taken before.
    Again(Fence),
    /// Its lease was lost, but nobody had the task since: the work counts.
    Take,
    /// It is refused.
    Refuse(Error),
}

/// Decides over an ack that is not for a live lease. `attempt` is the ended attempt of the ack's fence, or of the
/// newest fence when the ack names none.
pub(crate) fn late(
    row: &TaskRow,
    ack: &Ack,
    attempt: Option<&AttemptEnd>,
    strict_expiry: bool,
) -> Late {
    let foreign = ack.worker_id.as_deref().is_some_and(|worker| {
        let holder = attempt.map_or(row.worker.as_deref(), |a| a.worker.as_deref());
        holder != Some(worker)
    });
    if foreign || (ack.fence.is_none() && row.state == Status::Leased) {
        return Late::Refuse(stale(row, ack));
    }
    if attempt.is_some_and(|a| a.outcome == outcome(ack)) {
        return Late::Again(ack.fence.unwrap_or(row.fence));
    }
    match ack.fence {
        Some(fence)
            if fence == row.fence
                && row.flags.has(Flags::LOST)
                && !row.state.is_final()
                && !strict_expiry =>
        {
            Late::Take
        }
        Some(_) => Late::Refuse(stale(row, ack)),
        None => Late::Refuse(Error::new(
            ErrorCode::WrongState,
            format!(
                "cannot ack task {}: it is {}, not leased",
                row.id, row.state
            ),
        )),
    }
}

/// The refusal of a `done` that does not say that the task's `accept` clause was checked: a worker that knows nothing
/// of such clauses must not make it done.
pub(crate) fn not_checked(row: &TaskRow, ack: &Ack) -> Option<Error> {
    let unchecked = ack.status == AckStatus::Done && !ack.accepted;
    (unchecked && row.flags.has(Flags::HAS_ACCEPT)).then(|| {
        Error::invalid_params(format!(
            "cannot ack task {} as done: it has an `accept` clause; check it and say `accepted`: true, or ack it as failed with class not_accepted",
            row.id
        ))
    })
}

/// The farthest ahead that an ack may put its task off: no limit of a service and no window of a budget is longer.
const RETRY_AHEAD_MS: i64 = 366 * 86_400_000;

/// The refusal of an ack that would park its task for years.
pub(crate) fn too_far(ack: &Ack, now: i64) -> Option<Error> {
    let at = ack.retry_at_ms?;
    (at > now.saturating_add(RETRY_AHEAD_MS)).then(|| {
        Error::invalid_params(format!(
            "invalid params: `retry_at` of task {} must be at most 366 days ahead (got {}); leave it out where the time is not known",
            ack.task_id,
            at / 1000
        ))
    })
}

/// The refusal of one whose lease is no longer its own.
pub(crate) fn stale(row: &TaskRow, ack: &Ack) -> Error {
    stale_lease("ack", row, ack.fence)
}

/// The refusal of one whose lease is no longer its own, for any verb.
pub(crate) fn stale_lease(verb: &str, row: &TaskRow, fence: Option<Fence>) -> Error {
    let whose = match fence {
        Some(fence) => format!("lease {fence}"),
        None => "that worker's lease".to_owned(),
    };
    Error::new(
        ErrorCode::StaleLease,
        format!(
            "cannot {verb} task {}: {whose} is over (the task is {}, its newest lease is {}); drop this run",
            row.id, row.state, row.fence
        ),
    )
    .with_data(serde_json::json!({ "task_id": row.id, "status": row.state, "fence": row.fence }))
}

/// The refusal of one that holds a task which the store was put back to before.
pub(crate) fn lost_task(verb: &str, task: TaskId) -> Error {
    let message = format!(
        "cannot {verb} task {task}: the store was put back from a backup or an older copy that does not have it; drop this run"
    );
    Error::new(ErrorCode::StaleLease, message).with_data(serde_json::json!({ "task_id": task }))
}
