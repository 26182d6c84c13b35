//! The state transitions of a task, each a change of its row.

use super::policy::NextState;
use crate::row::{Flags, TaskRow};
use kirosu_protocol::{Fence, Status};
use std::sync::Arc;

/// The state of a task that is held back by its own conditions only: it awaits approval, waits for dependencies or its
/// time, or is queued.
pub(crate) fn waiting_state(row: &TaskRow, now: i64) -> Status {
    if row.flags.has(Flags::NEEDS_APPROVAL) && !row.flags.has(Flags::APPROVED) {
        Status::AwaitingApproval
    } else if row.blocked_by > 0 {
        Status::Blocked
    } else if row.run_at.is_some_and(|at| at > now) {
        Status::Scheduled
    } else {
        Status::Queued
    }
}

/// The fence of the next lease or prompt: above all earlier fences of the task, also those of a past that a restored
/// store does not know.
fn next_fence(row: &TaskRow, fence_base: Fence) -> Fence {
    row.fence.max(fence_base) + 1
}

/// The holder of a lease.
#[derive(Clone)]
pub(crate) struct LeaseHolder {
    /// The name of the worker.
    pub worker: Arc<str>,
    /// Its session.
    pub session: Option<Arc<str>>,
    /// Its key, if that has the role `work`.
    pub key: Option<Arc<str>>,
}

/// Leases the task. The fence grows, so that no earlier holder can change the task.
pub(crate) fn lease(
    row: &mut TaskRow,
    holder: LeaseHolder,
    lease_ms: i64,
    (fence_base, now): (Fence, i64),
) {
    row.state = Status::Leased;
    row.fence = next_fence(row, fence_base);
    row.attempts += 1;
    row.leased_at = Some(now);
    row.lease_ms = Some(lease_ms);
    row.lease_until = Some(now + lease_ms);
    row.worker = Some(holder.worker);
    row.session = holder.session;
    row.leased_by = holder.key;
    row.flags
        .clear(Flags::RESULT_IN_ATTEMPT | Flags::RESULT_IN_NOTE | Flags::RETRIED | Flags::LOST);
    row.flags.clear(Flags::WAITS_CHILDREN);
    row.updated_at = now;
}

/// Ends the lease; its worker stays in the row.
fn end_lease(row: &mut TaskRow, now: i64) {
    row.lease_until = None;
    row.session = None;
    row.flags.clear(Flags::LOST);
    row.updated_at = now;
}

/// Ends the task.
pub(crate) fn finish(row: &mut TaskRow, status: Status, result_flag: i64, now: i64) {
    end_lease(row, now);
    row.state = status;
    // A task that never ran keeps its scheduled time; `retry` does not bring it forward.
    row.run_at = row.run_at.filter(|_| row.leased_at.is_none());
    row.finished_at = Some(now);
    row.flags
        .clear(Flags::RESULT_IN_ATTEMPT | Flags::RESULT_IN_NOTE | Flags::RETRIED | Flags::GAVE_UP);
    row.flags.clear(Flags::WAITS_CHILDREN);
    row.flags.set(result_flag);
}

/// Fails the task because of a dependency.
pub(crate) fn give_up(row: &mut TaskRow, now: i64) {
    finish(row, Status::Failed, Flags::RESULT_IN_NOTE, now);
    row.flags.set(Flags::GAVE_UP);
}

/// Applies the policy after an attempt that did not succeed.
pub(crate) fn attempt_failed(row: &mut TaskRow, next: NextState, now: i64) {
    match next {
        NextState::Dead => finish(row, Status::Failed, Flags::RESULT_IN_ATTEMPT, now),
        NextState::Again => {
            end_lease(row, now);
            row.state = Status::Queued;
        }
        NextState::At { run_at, counted } => {
            end_lease(row, now);
            row.state = Status::Scheduled;
            row.run_at = Some(run_at);
            row.flags.set(Flags::RESULT_IN_ATTEMPT);
            if !counted {
                row.attempts = row.attempts.saturating_sub(1);
            }
        }
        NextState::Ask => {
            end_lease(row, now);
            row.state = Status::AwaitingApproval;
            row.flags.clear(Flags::APPROVED);
            row.flags.set(Flags::RESULT_IN_ATTEMPT);
        }
    }
}

/// Ends the attempt, which does not count: the task waits for this many children. Its lease may have been lost before: then the
/// report of its end, which was late, undoes what the loss has made of the task.
pub(crate) fn park(row: &mut TaskRow, unfinished: u32, now: i64) {
    end_lease(row, now);
    row.attempts = row.attempts.saturating_sub(1);
    row.flags.clear(Flags::WAITS_CHILDREN);
    row.flags.set(Flags::WAITED_CHILDREN);
    row.blocked_by = unfinished;
    row.run_at = None;
    row.state = waiting_state(row, now);
}

/// Returns the lease; the attempt does not count.
pub(crate) fn give_back(row: &mut TaskRow, delay_ms: i64, now: i64) {
    end_lease(row, now);
    row.flags.clear(Flags::WAITS_CHILDREN);
    row.attempts = row.attempts.saturating_sub(1);
    if delay_ms > 0 {
        row.state = Status::Scheduled;
        row.run_at = Some(now + delay_ms);
    } else {
        row.state = Status::Queued;
    }
}

/// Returns a finished task to the state after its enqueue; the rows of its attempts stay. A task that prompts a person
/// again gets a new fence, so that a decision about the earlier prompt, which names the old fence, does not answer this
/// one.
pub(crate) fn retry(row: &mut TaskRow, is_human: bool, (fence_base, now): (Fence, i64)) {
    end_lease(row, now);
    row.attempts = 0;
    row.worker = None;
    row.finished_at = None;
    row.flags
        .clear(Flags::RESULT_IN_ATTEMPT | Flags::RESULT_IN_NOTE | Flags::REJECTED | Flags::GAVE_UP);
    row.flags.set(Flags::RETRIED);
    row.state = waiting_state(row, now);
    if is_human || row.state == Status::AwaitingApproval {
        row.fence = next_fence(row, fence_base);
    }
}

/// A person lets the task run.
pub(crate) fn approve(row: &mut TaskRow, now: i64) {
    row.flags.set(Flags::APPROVED);
    row.updated_at = now;
    row.state = waiting_state(row, now);
}
