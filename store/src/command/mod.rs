//! What the writer can be told: one variant a verb, one file a verb beside this one.

mod ack;
mod approve;
mod cancel;
mod decide_permission;
mod due;
mod enqueue;
mod finish;
mod request_permission;
pub(crate) use finish::dependency_ended;
pub(crate) mod holder;
pub(crate) mod lease;
mod lost;
mod pause;
mod prune;
mod reserve;
mod retry;
mod shift;
mod usage;

use crate::core::{Core, Reply};
use crate::outcome::Outcome;
use crate::parked::ParkId;
use kirosu_protocol::verbs::ack::Ack;
use kirosu_protocol::verbs::ask::AskParams;
use kirosu_protocol::verbs::enqueue::NewTask;
use kirosu_protocol::verbs::lease::LeaseParams;
use kirosu_protocol::verbs::reserve::ReserveParams;
use kirosu_protocol::{Fence, PermissionId, TaskId, Verdict};

/// In place of a fence: whatever the fence of the task's live lease is. No lease has it.
pub const LIVE_LEASE: Fence = -1;

/// One change (or a question about counters) for the writer. Commands of a batch take effect in order.
#[derive(Clone, Debug, PartialEq)]
pub enum Command {
    /// Make a task. Answer: [`Outcome::Enqueued`].
    Enqueue(Box<NewTask>),
    /// Make all tasks or none. Answer: [`Outcome::Batch`].
    EnqueueBatch(Vec<NewTask>),
    /// Take tasks, or wait for some. Answer: [`Outcome::Leased`] (maybe empty) or
    /// [`Outcome::Parked`].
    Lease {
        /// What the worker asks for.
        ask: LeaseParams,
        /// The session the leases belong to; leases without one are never given back by a lost session.
        session: Option<String>,
        /// With `ask.wait_ms > 0` and nothing ready: the name under which the request is parked.
        /// None: answer an empty list instead.
        park: Option<ParkId>,
    },
    /// Forget a parked request (its wait is over, its connection closed). Unknown ids are fine. Answer: `Ok`.
    Unpark(ParkId),
    /// A run ended; the fence is the one the hub resolved from its connection, where it knows one.
    /// Answer: [`Outcome::Acked`].
    Ack(Ack),
    /// Several ended runs, each answered on its own. Answer: [`Outcome::Acks`].
    Acks(Vec<Ack>),
    /// Extend a lease. Answer: [`Outcome::Extended`].
    Heartbeat {
        /// The task.
        task: TaskId,
        /// The lease's fence.
        fence: Fence,
        /// From now, in milliseconds; none: as long as the lease was asked for.
        lease_ms: Option<u64>,
    },
    /// A `Heartbeat`, `Release`, `Progress` or `Output` of a holder who names itself, or no fence: it is carried out when
    /// the holder is right. Answer: the command's.
    AsHolder {
        /// Who says that it holds the lease; none: whoever does.
        worker: Option<String>,
        /// The command; the fence [`LIVE_LEASE`] stands for that of the task's live lease.
        command: Box<Command>,
    },
    /// Keep the last word of a running task about how far it is. Answer: `Ok`.
    Progress {
        /// The task.
        task: TaskId,
        /// The lease's fence.
        fence: Fence,
        /// What the worker said.
        data: serde_json::Value,
    },
    /// Keep a piece of a run's output; a chunk sent twice is kept once, output over the cap is cut with a mark.
    /// Answer: `Ok`.
    Output {
        /// The task.
        task: TaskId,
        /// The lease's fence.
        fence: Fence,
        /// The chunk's number within the attempt, from 0; none: the next.
        chunk: Option<u64>,
        /// The text.
        text: String,
    },
    /// Reserve for a run of the budgets that it counts against. Answer: [`Outcome::Reserved`].
    Reserve(Box<ReserveParams>),
    /// Give a lease back; the attempt does not count. Answer: `Ok`.
    Release {
        /// The task.
        task: TaskId,
        /// The lease's fence.
        fence: Fence,
        /// Milliseconds before the task may be leased again; 0 for at once.
        delay_ms: u64,
        /// Why, for people.
        reason: Option<String>,
    },
    /// End the leases of a session, as many as fit into a short commit. Answer: [`Outcome::Ended`]; `more` while this should
    /// be sent again.
    ReleaseSession {
        /// The session.
        session: String,
        /// `true`: the session was lost, its attempts count and `on_lost` decides. `false`: it stopped gracefully,
        /// its leases are given back and cost nothing.
        counted: bool,
    },
    /// Treat leases past their deadline as lost. Answer: [`Outcome::Ended`].
    ExpireDue {
        /// At most this many; `more` in the answer says whether some are left.
        limit: u32,
    },
    /// The wall clock was set by so many milliseconds, forward or (negative) back: the deadlines of all live leases move
    /// with it, very many over this and further batches. First in its batch, whose time is already the new one. Tasks that wait for a moment (`run_at`) stay
    /// bound to the wall clock. Answer: `Ok`.
    ShiftLeases {
        /// By how much; 0 changes nothing.
        by_ms: i64,
    },
    /// Queue scheduled tasks whose time has come. Answer: [`Outcome::Counted`].
    PromoteDue {
        /// At most this many; `more` in the answer says whether some are left.
        limit: u32,
    },
    /// End an unfinished task; a leased one is cancelled at once and its fence is dead. Cancelling twice is fine.
    /// Answer: [`Outcome::Ended`] with the lease to tell, if there was one.
    Cancel {
        /// The task.
        task: TaskId,
        /// Who asks for it.
        by: Option<String>,
        /// Why.
        reason: Option<String>,
    },
    /// Queue a failed or cancelled task again, attempts counted from 0. Those that failed for its sake wait for it again. A
    /// task whose dependencies have failed, were cancelled or are gone fails again at once. Answer: [`Outcome::Retried`].
    Retry {
        /// The task.
        task: TaskId,
    },
    /// Queue every failed task again, or those of one queue, but for those whose dependencies stand in their way. Answer:
    /// [`Outcome::Counted`], or [`Outcome::Begun`] and the count later.
    RetryFailed {
        /// The queue; none: all.
        queue: Option<String>,
    },
    /// Answer a `human` task, or let a task that awaits approval run. Answer: `Ok` or [`Outcome::DecidedBefore`].
    Approve {
        /// The task.
        task: TaskId,
        /// The task's fence while it asked the question that is meant. `None`: its present question.
        fence: Option<Fence>,
        /// Who decided.
        by: Option<String>,
        /// What was said with it.
        comment: Option<String>,
    },
    /// Answer a `human` task in words: they are its result. The same answer twice is fine. Answer: `Ok`.
    Answer {
        /// The task.
        task: TaskId,
        /// The answer.
        text: String,
        /// Who answers.
        by: Option<String>,
    },
    /// Refuse a `human` task or one that awaits approval: it fails. Answer: `Ok` or [`Outcome::DecidedBefore`].
    Reject {
        /// The task.
        task: TaskId,
        /// The task's fence while it asked the question that is meant. `None`: its present question.
        fence: Option<Fence>,
        /// Why.
        reason: Option<String>,
        /// Who decided.
        by: Option<String>,
    },
    /// A running agent asks whether a tool may run. Answer: [`Outcome::Permission`].
    RequestPermission(Box<AskParams>),
    /// Answer a tool question. Answer: `Ok`.
    DecidePermission {
        /// The question.
        approval: PermissionId,
        /// Yes or no.
        verdict: Verdict,
        /// Who decided.
        by: Option<String>,
        /// Why, or what was said with it.
        reason: Option<String>,
        /// The option that is chosen, by its id or name.
        option: Option<String>,
    },
    /// Deny tool questions that waited as long as their policy says. Answer: [`Outcome::Counted`].
    ExpirePermissions {
        /// At most this many; `more` in the answer says whether some are left.
        limit: u32,
    },
    /// Stop handing out tasks of a queue, or (none) of all that are and will be, durably. Answer: [`Outcome::Paused`].
    Pause(Option<String>),
    /// Hand out tasks of a queue again, or (none) of all. A queue stays paused while all are. Answer:
    /// [`Outcome::Paused`].
    Resume(Option<String>),
    /// Forget finished tasks that ended before a time; the counters keep them.
    /// Answer: [`Outcome::Counted`] with what was removed; `more` while this should be sent again.
    Prune {
        /// Unix milliseconds: tasks that ended before are removed.
        before_ms: i64,
        /// Look at no more than this many tasks.
        limit: u32,
    },
    /// The counters. Answer: [`Outcome::Stats`].
    Stats,
}

impl Core {
    /// Carries out one command, in memory and within the batch's transaction.
    pub(crate) fn execute(&mut self, command: &Command) -> Reply<Outcome> {
        Ok(match command {
            Command::Enqueue(new) => Outcome::Enqueued(self.enqueue(new)?),
            Command::EnqueueBatch(batch) => Outcome::Batch(self.enqueue_batch(batch)?),
            Command::Lease { ask, session, park } => self.lease(ask, session.as_deref(), *park)?,
            Command::Unpark(park) => {
                self.parked.remove(*park);
                Outcome::Ok
            }
            Command::Ack(ack) => Outcome::Acked(self.ack(ack)?),
            Command::Acks(acks) => Outcome::Acks(self.acks(acks)?),
            Command::Heartbeat {
                task,
                fence,
                lease_ms,
            } => self.heartbeat(*task, *fence, *lease_ms)?,
            Command::AsHolder { worker, command } => self.as_holder(worker.as_deref(), command)?,
            Command::Progress { task, fence, data } => self.progress(*task, *fence, data)?,
            Command::Output {
                task,
                fence,
                chunk,
                text,
            } => self.output(*task, *fence, *chunk, text)?,
            Command::Reserve(ask) => Outcome::Reserved(Box::new(self.reserve(ask)?)),
            Command::Release {
                task,
                fence,
                delay_ms,
                reason,
            } => self.release(*task, *fence, *delay_ms, reason.as_deref())?,
            Command::ReleaseSession { session, counted } => {
                self.release_session(session, *counted)?
            }
            Command::ExpireDue { limit } => self.expire_due(*limit)?,
            Command::ShiftLeases { by_ms } => self.shift_leases(*by_ms)?,
            Command::PromoteDue { limit } => self.promote_due(*limit)?,
            Command::Cancel { task, by, reason } => {
                self.cancel(*task, by.as_deref(), reason.as_deref())?
            }
            Command::Retry { task } => self.retry(*task)?,
            Command::RetryFailed { queue } => self.retry_failed(queue.as_deref())?,
            Command::Approve {
                task,
                fence,
                by,
                comment,
            } => self.approve(*task, *fence, by.as_deref(), comment.as_deref())?,
            Command::Answer { task, text, by } => self.answer(*task, text, by.as_deref())?,
            Command::Reject {
                task,
                fence,
                reason,
                by,
            } => self.reject(*task, *fence, reason.as_deref(), by.as_deref())?,
            Command::RequestPermission(ask) => self.request_permission(ask)?,
            Command::DecidePermission {
                approval,
                verdict,
                by,
                reason,
                option,
            } => self.decide_permission(
                *approval,
                *verdict,
                by.as_deref(),
                reason.as_deref(),
                option.as_deref(),
            )?,
            Command::ExpirePermissions { limit } => self.expire_permissions(*limit)?,
            Command::Pause(queue) => self.pause(queue.as_deref())?,
            Command::Resume(queue) => self.resume(queue.as_deref())?,
            Command::Prune { before_ms, limit } => self.prune(*before_ms, *limit)?,
            Command::Stats => Outcome::Stats(self.counters.stats(&self.lanes, self.now())),
        })
    }
}
