//! The fencing rules: whether an ack is accepted.

use crate::core::wrong_state;
use crate::row::{Flags, TaskRow};
use crate::sql::attempt::AttemptEnd;
use kirosu_protocol::{Ack, AckStatus, Error, ErrorCode, FailureClass, Fence, Status, TaskId};

/// The outcome that an ack writes into its attempt.
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

/// Whether the ack is for the live lease and in time: the common case, decided by the row alone.
pub(crate) fn is_for_live_lease(row: &TaskRow, ack: &Ack, strict_expiry: bool, now: i64) -> bool {
    row.state == Status::Leased
        && ack.fence.is_none_or(|fence| fence == row.fence)
        && ack
            .worker_id
            .as_deref()
            .is_none_or(|worker| row.worker.as_deref() == Some(worker))
        && !(strict_expiry && row.lease_until.is_some_and(|until| until < now))
}

/// The rule for an ack that is not for a live lease.
#[derive(Debug, PartialEq)]
pub(crate) enum LateAck {
    /// It repeats an ack that was accepted for this fence.
    Again(Fence),
    /// Its lease was lost, but no other worker has leased the task since: it is accepted.
    Take,
    /// It is refused.
    Refuse(Error),
}

/// Decides on an ack that is not for a live lease. `attempt` is the ended attempt of the ack's fence, or of the newest
/// fence when the ack names none.
pub(crate) fn late(
    row: &TaskRow,
    ack: &Ack,
    attempt: Option<&AttemptEnd>,
    strict_expiry: bool,
) -> LateAck {
    let foreign = ack.worker_id.as_deref().is_some_and(|worker| {
        let holder = attempt.map_or(row.worker.as_deref(), |a| a.worker.as_deref());
        holder != Some(worker)
    });
    if foreign || (ack.fence.is_none() && row.state == Status::Leased) {
        return LateAck::Refuse(stale(row, ack));
    }
    if attempt.is_some_and(|a| a.outcome == outcome(ack)) {
        return LateAck::Again(ack.fence.unwrap_or(row.fence));
    }
    match ack.fence {
        Some(fence)
            if fence == row.fence
                && row.flags.has(Flags::LOST)
                && !row.state.is_final()
                && !strict_expiry =>
        {
            LateAck::Take
        }
        Some(_) => LateAck::Refuse(stale(row, ack)),
        None => LateAck::Refuse(wrong_state("ack", row, "not leased")),
    }
}

/// The refusal of a `done` that does not confirm the task's `accept` clause: a worker that does not know such clauses
/// must not finish the task.
pub(crate) fn not_checked(row: &TaskRow, ack: &Ack) -> Option<Error> {
    let unchecked = ack.status == AckStatus::Done && !ack.accepted;
    (unchecked && row.flags.has(Flags::HAS_ACCEPT)).then(|| {
        Error::invalid_params(format!(
            "cannot ack task {} as done: it has an `accept` clause; check it and set `accepted` to true, or ack it as failed with class not_accepted",
            row.id
        ))
    })
}

/// The maximum time by which an ack may postpone its task: no rate limit and no window of a budget is longer.
const RETRY_AHEAD_MS: i64 = 366 * 86_400_000;

/// The refusal of an ack that would postpone its task for years.
pub(crate) fn too_far(ack: &Ack, now: i64) -> Option<Error> {
    let at = ack.retry_at_ms?;
    (at > now.saturating_add(RETRY_AHEAD_MS)).then(|| {
        Error::invalid_params(format!(
            "invalid params: `retry_at` of task {} must be at most 366 days ahead (got {}); leave it out if the time is unknown",
            ack.task_id,
            at / 1000
        ))
    })
}

/// The refusal of an ack whose lease is over.
pub(crate) fn stale(row: &TaskRow, ack: &Ack) -> Error {
    stale_lease("ack", row, ack.fence)
}

/// The refusal of a verb whose lease is over.
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

/// Whether the newest lease of a task is not that of an agent host with this key. `None`: the client has no such key, and may
/// act for any holder.
pub(crate) fn is_foreign_lease(row: &TaskRow, key: Option<&str>) -> bool {
    key.is_some_and(|key| row.leased_by.as_deref() != Some(key))
}

/// The refusal of an agent host that acts on the lease of another one.
pub(crate) fn foreign_lease(verb: &str, row: &TaskRow) -> Error {
    let message = format!(
        "cannot {verb} task {}: it is leased to a worker with another key; a key of the role `work` acts on its own leases only",
        row.id
    );
    Error::new(ErrorCode::Forbidden, message).with_data(serde_json::json!({ "task_id": row.id }))
}

/// The refusal of a holder whose task is missing since an older copy of the store was put back.
pub(crate) fn lost_task(verb: &str, task: TaskId) -> Error {
    let message = format!(
        "cannot {verb} task {task}: the store was restored from an older copy that does not have it; drop this run"
    );
    Error::new(ErrorCode::StaleLease, message).with_data(serde_json::json!({ "task_id": task }))
}
