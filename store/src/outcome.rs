//! The answers of the writer.

use crate::parked::ParkId;
use crate::plans::PlanOutcome;
use crate::work::WorkId;
use kirosu_protocol::{
    AskAnswer, Error, EventKind, Fence, NoticeInfo, ReserveAnswer, SourceId, Stats, Status, Task,
    TaskId, WaitChildrenAnswer,
};

/// A task that was added, or found by its idempotency key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EnqueuedTask {
    /// The task.
    pub task_id: TaskId,
    /// Whether an earlier enqueue with the same idempotency key has added it.
    pub existed: bool,
    /// The task's present status.
    pub status: Status,
}

/// An accepted ack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Acked {
    /// The task.
    pub task_id: TaskId,
    /// The task's present status; a failed attempt may have been scheduled again.
    pub status: Status,
    /// The fence of the ended lease.
    pub fence: Fence,
    /// False when the same ack was accepted before.
    pub newly: bool,
}

/// A lease that ended without an ack. The hub notifies its holder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndedLease {
    /// The task.
    pub task_id: TaskId,
    /// Its fence. A late ack is accepted until the next lease, unless the task was cancelled.
    pub fence: Fence,
    /// The worker that held it.
    pub worker_id: Option<String>,
    /// The session to which it belonged.
    pub session: Option<String>,
    /// The task's present status.
    pub status: Status,
    /// The reason that a person gave.
    pub reason: Option<String>,
}

/// The answer to one command.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// The command is carried out and durable.
    Ok,
    /// To `Enqueue`.
    Enqueued(EnqueuedTask),
    /// To `EnqueueBatch` and `MakePart`, in the order of the request.
    Batch(Vec<EnqueuedTask>),
    /// To `Lease`: the tasks, best first; empty when nothing is ready.
    Leased(Vec<Task>),
    /// To `Lease`: the request waits. Its answer comes in [`Applied::woken`] of this batch or a later one.
    Parked,
    /// To `Ack`.
    Acked(Acked),
    /// To `Acks`, in the order of the request.
    Acks(Vec<Result<Acked, Error>>),
    /// To `Reserve`.
    Reserved(Box<ReserveAnswer>),
    /// To `Heartbeat`.
    Extended {
        /// The new deadline in Unix milliseconds.
        lease_until_ms: i64,
        /// Whether the run is to end as `parked`.
        waits_children: bool,
    },
    /// To `WaitChildren`.
    WaitsChildren(WaitChildrenAnswer),
    /// To `Cancel`, `ReleaseSession` and `ExpireDue`.
    Ended {
        /// The leases that ended.
        leases: Vec<EndedLease>,
        /// Whether the limit left some for another command.
        more: bool,
    },
    /// To `RequestPermission`.
    Permission(AskAnswer),
    /// To `Retry`.
    Retried {
        /// The task's present status.
        status: Status,
        /// The error of a task that failed again at once.
        error: Option<String>,
    },
    /// To `RetryFailed` when one commit is too short: the answer comes in [`Applied::finished`] of a later batch.
    Begun(WorkId),
    /// To `Approve` and `Reject`: the request repeats a decision about an earlier prompt, and nothing was decided now.
    DecidedBefore,
    /// To `RetryFailed`, `PromoteDue`, `Prune`, `ExpirePermissions` and `FireSchedules`.
    Counted {
        /// The number of changed tasks or requests.
        count: u64,
        /// Whether the limit left some for another command.
        more: bool,
    },
    /// To `Pause` and `Resume`: the paused queues; a leading `*` means all queues.
    Paused(Vec<String>),
    /// To `Plan`.
    Plan(PlanOutcome),
    /// To `Plan` that adds items: the source, and the number of its items.
    Source(SourceId, i64),
    /// To `Schedule` that adds one.
    Scheduled {
        /// Its name.
        name: String,
        /// Unix milliseconds of the next firing. `None` means that it is finished.
        next_ms: Option<i64>,
    },
    /// To `TakeNotices`.
    Notices {
        /// The next events for the target, oldest first.
        notices: Vec<NoticeInfo>,
        /// The number of the newest event for any target.
        known: i64,
    },
    /// To `TestTarget`: the number of the event.
    Noticed(i64),
    /// To `Stats`.
    Stats(Stats),
}

/// The result of a batch. When the caller receives it, everything in it is committed.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Applied {
    /// One answer per command, in the order of the batch.
    pub outcomes: Vec<Result<Outcome, Error>>,
    /// Parked requests with the tasks that they got, at least one each. They are not parked any more.
    pub woken: Vec<(ParkId, Vec<Task>)>,
    /// Answers to commands of earlier batches that were answered with `Begun`.
    pub finished: Vec<(WorkId, Outcome)>,
    /// Leases that ended because the tasks' parents did.
    pub ended: Vec<EndedLease>,
    /// Runs of plans about which something is to be decided: queued ones, and those in which something has changed. 0 means any
    /// that are queued.
    pub plans: Vec<TaskId>,
    /// The number of the newest event for targets of notifications, if the batch has stored any.
    pub noticed: Option<i64>,
    /// Events in their order. `RetryFailed` reports the first 1000 tasks only.
    pub changes: Vec<EventKind>,
}

impl Applied {
    /// Adds the result of the batch that followed.
    pub(crate) fn extend(&mut self, next: Applied) {
        let Applied {
            outcomes,
            woken,
            finished,
            ended,
            plans,
            noticed,
            changes,
        } = next;
        self.outcomes.extend(outcomes);
        self.woken.extend(woken);
        self.finished.extend(finished);
        self.ended.extend(ended);
        self.plans.extend(plans);
        self.noticed = noticed.or(self.noticed);
        self.changes.extend(changes);
    }
}
