//! What the writer answers.

use crate::parked::ParkId;
use crate::work::WorkId;
use kirosu_protocol::verbs::reserve::ReserveAnswer;
use kirosu_protocol::{
    Error, EventKind, Fence, PermissionId, PermissionState, Stats, Status, Task, TaskId,
};

/// A task that was made, or found by its idempotency key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Enqueued {
    /// The task.
    pub task_id: TaskId,
    /// Whether an earlier enqueue with the same idempotency key had made it.
    pub existed: bool,
    /// Where the task stands now.
    pub status: Status,
}

/// An ack that was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Acked {
    /// The task.
    pub task_id: TaskId,
    /// Where the task stands now (a failed attempt may have been scheduled again).
    pub status: Status,
    /// The fence the ack was taken for.
    pub fence: Fence,
    /// False when the same ack had been taken before.
    pub newly: bool,
}

/// Where a tool question stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PermissionAnswer {
    /// Its number.
    pub approval_id: PermissionId,
    /// Where it stands.
    pub state: PermissionState,
    /// Why, where a person said it.
    pub reason: Option<String>,
    /// Who decided.
    pub by: Option<String>,
    /// The rule that decided.
    pub rule: Option<String>,
    /// The id of the option that was chosen, where there are options.
    pub option: Option<String>,
}

/// A lease that ended without an ack; its holder wants to hear of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndedLease {
    /// The task.
    pub task_id: TaskId,
    /// The fence that is dead now (a late ack may still be taken until the next lease, unless the task was cancelled).
    pub fence: Fence,
    /// Who held it.
    pub worker_id: Option<String>,
    /// The session it belonged to.
    pub session: Option<String>,
    /// Where the task stands now.
    pub status: Status,
    /// Why, where a person said it.
    pub reason: Option<String>,
}

/// The answer to one command.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// It is done and durable.
    Ok,
    /// To `Enqueue`.
    Enqueued(Enqueued),
    /// To `EnqueueBatch`, in the order asked.
    Batch(Vec<Enqueued>),
    /// To `Lease`: the tasks, best first; empty when nothing is ready.
    Leased(Vec<Task>),
    /// To `Lease`: it waits, and is answered through [`Applied::woken`] (of this batch or a later one).
    Parked,
    /// To `Ack`.
    Acked(Acked),
    /// To `Acks`, in the order asked.
    Acks(Vec<Result<Acked, Error>>),
    /// To `Reserve`.
    Reserved(Box<ReserveAnswer>),
    /// To `Heartbeat`.
    Extended {
        /// Unix milliseconds until which the lease holds now.
        lease_until_ms: i64,
    },
    /// To `Cancel`, `ReleaseSession`, `ExpireDue`: the leases that ended.
    Ended {
        /// Each ended lease.
        leases: Vec<EndedLease>,
        /// Whether the command's limit left some for another command.
        more: bool,
    },
    /// To `Ask`.
    Permission(PermissionAnswer),
    /// To `Retry`.
    Retried {
        /// Where the task stands now.
        status: Status,
        /// Why it failed again at once, if so.
        error: Option<String>,
    },
    /// To `RetryFailed`, where one commit is too short: it goes on in further batches, and its answer comes through
    /// [`Applied::finished`] of a later one.
    Begun(WorkId),
    /// To `Approve` and `Reject`: the same was said before, about a question that is over; nothing was decided now.
    DecidedBefore,
    /// To `RetryFailed`, `PromoteDue`, `Prune`, `ExpirePermissions`: how many were touched.
    Counted {
        /// How many.
        count: u64,
        /// Whether the command's limit left some for another command.
        more: bool,
    },
    /// To `Pause` and `Resume`: what is paused now; `*` first stands for all.
    Paused(Vec<String>),
    /// To `Stats`.
    Stats(Stats),
}

/// What became of a batch. By the time a caller sees it, everything in it is committed.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Applied {
    /// One answer a command, in the batch's order.
    pub outcomes: Vec<Result<Outcome, Error>>,
    /// Parked requests that got tasks, with at least one task each. They are parked no longer.
    pub woken: Vec<(ParkId, Vec<Task>)>,
    /// Answers to commands that were `Begun` in an earlier batch.
    pub finished: Vec<(WorkId, Outcome)>,
    /// What changed, in order. `RetryFailed` tells of the first 1000 tasks only.
    pub changes: Vec<EventKind>,
}
