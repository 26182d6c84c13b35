//! The commands of the writer: one variant per change. Commands that belong together share a file.

mod access;
mod ack;
mod approve;
mod cancel;
pub(crate) mod children;
mod continues;
mod decide_permission;
mod depend;
mod due;
pub(crate) mod enqueue;
mod finish;
pub(crate) mod large_batch;
mod request_permission;
pub(crate) use finish::dependency_ended;
mod handoff;
pub(crate) mod holder;
pub(crate) mod lease;
pub(crate) mod long_text;
mod lost;
mod notify;
mod pause;
mod prune;
mod reserve;
mod retry;
mod schedule;
mod shift;
mod usage;
mod wait_children;

use crate::core::{CommandResult, Core};
use crate::credentials::Credential;
use crate::outcome::Outcome;
use crate::parked::ParkId;
use crate::plans::PlanOrder;
use crate::schedules::ScheduleCommand;
use crate::web_sessions::WebSession;
use kirosu_protocol::{
    AccessScope, Ack, AskParams, Budget, Fence, LeaseParams, NewTask, NoticeData, NoticeKind,
    PermissionId, ReserveParams, TaskId, Verdict,
};
use std::sync::Arc;

pub use access::AccessRecords;
pub use children::run_is_over;
pub use large_batch::{BatchId, BatchPart, DependencyPart, MANY_DEPENDENCIES};
pub use lease::leased_bytes;
pub use long_text::{LongTask, NewLongText, TextId, TextPiece, long_ack, long_answer};
pub use notify::{NOTICES_PER_TARGET, TakeNotices};

/// A placeholder for the fence of the task's live lease. No lease has this fence.
pub const LIVE_LEASE: Fence = -1;

/// A change, or a query of the counters. The commands of a batch take effect in order.
#[derive(Clone, Debug, PartialEq)]
pub enum Command {
    /// Adds a task. Answer: [`Outcome::Enqueued`].
    Enqueue(Box<NewTask>),
    /// Adds all tasks or none. Answer: [`Outcome::Batch`].
    EnqueueBatch(Vec<NewTask>),
    /// Checks and stores a part of a large batch, whose tasks [`MakePart`](Command::MakePart) makes later. The batch exists
    /// once its last part is stored; until then a crash leaves nothing of it. Answer: `Ok`. After a refusal the caller
    /// sends [`DropBatch`](Command::DropBatch).
    StagePart(BatchPart),
    /// Stores some dependencies of a task of a large batch that is stored as a whole and has more than
    /// [`MANY_DEPENDENCIES`]. Those that no such command has stored are stored with the task. Answer: `Ok`.
    InsertDependencies(DependencyPart),
    /// Makes the tasks of a part of a large batch that is stored as a whole. The caller sends it again until it succeeds.
    /// Answer: [`Outcome::Batch`] for the tasks of the part, or `Ok` if they were made before.
    MakePart(BatchPart),
    /// Deletes what is stored of a large batch that was refused. Answer: `Ok`.
    DropBatch(BatchId),
    /// Reads the dependencies of a large request ahead, and marks them: the command that adds the task finds them in memory.
    /// Answer: `Ok`.
    PrepareDependencies(Vec<TaskId>),
    /// Announces the pieces of long texts: [`StagePiece`](Command::StagePiece) stores them, and a command after that stores the
    /// row that refers to them. Refused if that command will be. Answer: `Ok`. After a refusal of any of these commands the
    /// caller sends [`DropText`](Command::DropText).
    OpenText(NewLongText),
    /// Stores a piece of a long text. Answer: `Ok`.
    StagePiece(TextPiece),
    /// As `Ack`, with the beginnings of the texts.
    LongAck {
        /// The ack.
        ack: Box<Ack>,
        /// The rest of its texts.
        text: TextId,
    },
    /// As `Answer`, with the beginning of the text.
    LongAnswer {
        /// The task.
        task: TaskId,
        /// The beginning of the result.
        beginning: String,
        /// The person who answered.
        by: Option<String>,
        /// The rest of the result.
        text: TextId,
    },
    /// The pieces of a text are not needed, unless a row refers to them. Answer: `Ok`.
    DropText(TextId),
    /// Takes tasks, or waits for some. Answer: [`Outcome::Leased`] (possibly empty) or [`Outcome::Parked`].
    Lease {
        /// The parameters of the request.
        ask: LeaseParams,
        /// The session to which the leases belong; leases without one do not end with a session.
        session: Option<String>,
        /// The id under which a request with `ask.wait_ms > 0` is parked when nothing is ready. `None` means that an
        /// empty list is the answer instead.
        park: Option<ParkId>,
        /// [`leased_bytes`] of the tasks that earlier parts of the same request have taken: the limit of bytes is that
        /// of the request.
        spent: usize,
    },
    /// Removes a parked request, as its wait has ended or its connection has closed. Unknown ids are ignored. Answer:
    /// `Ok`.
    Unpark(ParkId),
    /// Reports the end of a run. The hub fills in the fence if the connection holds the lease. Answer:
    /// [`Outcome::Acked`].
    Ack(Box<Ack>),
    /// Reports the ends of several runs, each answered on its own. Answer: [`Outcome::Acks`].
    Acks(Vec<Ack>),
    /// Extends a lease. Answer: [`Outcome::Extended`].
    Heartbeat {
        /// The task.
        task: TaskId,
        /// The lease's fence.
        fence: Fence,
        /// Milliseconds from now. `None` means the duration that the lease request named.
        lease_ms: Option<u64>,
    },
    /// The run of a task is about to end as `parked`, to wait for the task's children. Answer: [`Outcome::WaitsChildren`].
    WaitChildren {
        /// The task.
        task: TaskId,
        /// The lease's fence.
        fence: Fence,
    },
    /// A `Heartbeat`, `Release`, `Progress`, `Output` or `WaitChildren` of a holder that names a worker, or no fence. It is refused
    /// unless that worker holds the lease. Answer: that of the command.
    AsHolder {
        /// The worker that claims the lease. `None` means whichever worker holds it.
        worker: Option<String>,
        /// The command. The fence [`LIVE_LEASE`] is replaced by that of the task's live lease.
        command: Box<Command>,
    },
    /// A `Cancel`, `Retry`, `Schedule`, or `Enqueue` of a task that continues another, by a client whose key is limited. It is
    /// refused with `forbidden` unless the task, or that of the schedule, is within the limits. Answer: that of the command.
    InScope {
        /// The limits.
        scope: Arc<AccessScope>,
        /// The command.
        command: Box<Command>,
    },
    /// Stores the newest report of progress of a running task. Answer: `Ok`.
    Progress {
        /// The task.
        task: TaskId,
        /// The lease's fence.
        fence: Fence,
        /// The report.
        data: serde_json::Value,
    },
    /// Stores a chunk of a run's output. A chunk that is sent twice is stored once; output beyond the limit is cut with
    /// a mark. Answer: `Ok`.
    Output {
        /// The task.
        task: TaskId,
        /// The lease's fence.
        fence: Fence,
        /// The chunk's number within the attempt, from 0. `None` means the next one.
        chunk: Option<u64>,
        /// The text.
        text: String,
    },
    /// Reserves budget for a run. Answer: [`Outcome::Reserved`].
    Reserve(Box<ReserveParams>),
    /// Returns a lease; the attempt does not count. Answer: `Ok`.
    Release {
        /// The task.
        task: TaskId,
        /// The lease's fence.
        fence: Fence,
        /// Milliseconds before the task may be leased again; 0 means at once.
        delay_ms: u64,
        /// The reason, shown to people.
        reason: Option<String>,
    },
    /// Ends the leases of a session, as many as fit into a short commit. Answer: [`Outcome::Ended`]; while `more` is
    /// true, the caller sends the command again.
    ReleaseSession {
        /// The session.
        session: String,
        /// `true`: the session was lost, so its attempts count and `on_lost` decides. `false`: it stopped gracefully,
        /// so its leases are returned and the attempts do not count.
        counted: bool,
    },
    /// Treats leases past their deadline as lost, in the order of their deadlines, as if each were noticed on time. Answer:
    /// [`Outcome::Ended`].
    ExpireDue {
        /// At most this many; `more` in the answer shows whether some are left.
        limit: u32,
    },
    /// Moves the deadlines of all live leases after the wall clock was set; with very many leases, this and further
    /// batches do so. It must be the first command of its batch, whose time is the new one already. Scheduled tasks
    /// (`run_at`) remain bound to the wall clock. Answer: `Ok`.
    ShiftLeases {
        /// Milliseconds by which the clock was set; negative means back, 0 changes nothing.
        by_ms: i64,
    },
    /// Queues scheduled tasks that are due. Answer: [`Outcome::Counted`].
    PromoteDue {
        /// At most this many; `more` in the answer shows whether some are left.
        limit: u32,
    },
    /// Ends an unfinished task. A leased task is cancelled at once, and its fence is refused from then on. Repeating it
    /// is harmless. Answer: [`Outcome::Ended`] with the lease that ended, if there was one.
    Cancel {
        /// The task.
        task: TaskId,
        /// The person or client that cancels.
        by: Option<String>,
        /// The reason, shown to people.
        reason: Option<String>,
    },
    /// Queues a failed or cancelled task again, with attempts counted from 0. Dependents that failed because of it wait
    /// for it again. A task whose dependencies have failed, were cancelled or are pruned fails again at once. Answer:
    /// [`Outcome::Retried`].
    Retry {
        /// The task.
        task: TaskId,
    },
    /// Queues all failed tasks again, or those of one queue, except those whose dependencies have failed. Answer:
    /// [`Outcome::Counted`], or [`Outcome::Begun`] with the count in a later batch.
    RetryFailed {
        /// The queue. `None` means all queues.
        queue: Option<String>,
    },
    /// Approves a `human` task, or lets a task that awaits approval run. Answer: `Ok` or [`Outcome::DecidedBefore`].
    Approve {
        /// The task.
        task: TaskId,
        /// The task's fence at the time of the prompt to which the decision belongs. `None` means its present prompt.
        fence: Option<Fence>,
        /// The person who decided.
        by: Option<String>,
        /// The person's comment.
        comment: Option<String>,
        /// The amount by which a budget of the task is raised; `None`: used up ones by their first limit.
        raise: Option<Budget>,
        /// Whether only a `human` task may be approved.
        only_human: bool,
    },
    /// Sets the result of a `human` task. The same answer again is harmless. Answer: `Ok`.
    Answer {
        /// The task.
        task: TaskId,
        /// The result.
        text: String,
        /// The person who answered.
        by: Option<String>,
    },
    /// Rejects a `human` task or one that awaits approval: it fails. Answer: `Ok` or [`Outcome::DecidedBefore`].
    Reject {
        /// The task.
        task: TaskId,
        /// The task's fence at the time of the prompt to which the decision belongs. `None` means its present prompt.
        fence: Option<Fence>,
        /// The reason, shown to people.
        reason: Option<String>,
        /// The person who decided.
        by: Option<String>,
    },
    /// Asks whether a running agent may use a tool. Answer: [`Outcome::Permission`].
    RequestPermission(Box<AskParams>),
    /// Decides a permission request. Answer: `Ok`.
    DecidePermission {
        /// The permission request.
        approval: PermissionId,
        /// The verdict.
        verdict: Verdict,
        /// The person who decided.
        by: Option<String>,
        /// The reason or comment.
        reason: Option<String>,
        /// The chosen option, by id or name.
        option: Option<String>,
    },
    /// Expires permission requests that have passed their deadline. Answer: [`Outcome::Counted`].
    ExpirePermissions {
        /// At most this many; `more` in the answer shows whether some are left.
        limit: u32,
    },
    /// Stops leasing tasks of a queue, durably. `None` means all queues, also those to come. Answer:
    /// [`Outcome::Paused`].
    Pause(Option<String>),
    /// Leases tasks of a queue again. `None` means all queues; while all are paused, resuming one has no effect on it.
    /// Answer: [`Outcome::Paused`].
    Resume(Option<String>),
    /// Deletes finished tasks that ended before a time; the counters still count them. Answer: [`Outcome::Counted`];
    /// while `more` is true, the caller sends the command again.
    Prune {
        /// Unix milliseconds.
        before_ms: i64,
        /// At most this many tasks are examined.
        limit: u32,
    },
    /// Adds a credential. Refused if its name is in use. Answer: `Ok`.
    AddCredential(Box<Credential>),
    /// Ends the validity of a credential by its name. Repeating it is harmless. Answer: `Ok`.
    RevokeCredential(String),
    /// Adds the session of a browser. Those that have expired end, and the oldest of its key if it has too many. Answer: `Ok`.
    AddWebSession(Box<WebSession>),
    /// Ends the session of a browser by the hash of its secret. Repeating it is harmless. Answer: `Ok`.
    EndWebSession(String),
    /// Stores entries of the audit trail and uses of credentials that the caller has gathered. Answer: `Ok`.
    Record(Box<AccessRecords>),
    /// Deletes entries of the audit trail from before a time, and the credentials that ended before it. Answer:
    /// [`Outcome::Counted`]; while `more` is true, the caller sends the command again.
    PruneAudit {
        /// Unix milliseconds.
        before_ms: i64,
        /// At most this many entries.
        limit: u32,
    },
    /// Changes runs of plans.
    Plan(Box<PlanOrder>),
    /// Changes schedules.
    Schedule(Box<ScheduleCommand>),
    /// Fires schedules that are due. Answer: [`Outcome::Counted`], with the number of tasks that were added.
    FireSchedules {
        /// At most this many; `more` in the answer shows whether some are left.
        limit: u32,
    },
    /// Adds an event for targets of notifications that is no change of the store. Answer: `Ok`.
    AddNotice {
        /// The kind.
        kind: NoticeKind,
        /// Its content.
        data: Box<NoticeData>,
    },
    /// Adds a test for the target of this name. Answer: [`Outcome::Noticed`].
    TestTarget(String),
    /// Records deliveries to a target, and reads its next events. Answer: [`Outcome::Notices`].
    TakeNotices(Box<TakeNotices>),
    /// Drops events for targets from before a time, and those beyond [`NOTICES_PER_TARGET`]. Answer: [`Outcome::Counted`];
    /// while `more` is true, the caller sends the command again.
    PruneNotices {
        /// Unix milliseconds.
        before_ms: i64,
        /// At most this many events per target.
        limit: u32,
    },
    /// Reads the counters. Answer: [`Outcome::Stats`].
    Stats,
}

impl Core {
    /// Carries out one command, in memory and within the batch's transaction.
    pub(crate) fn execute(&mut self, command: &Command) -> CommandResult<Outcome> {
        Ok(match command {
            Command::Enqueue(new) => Outcome::Enqueued(self.enqueue(new)?),
            Command::EnqueueBatch(batch) => Outcome::Batch(self.enqueue_batch(batch)?),
            Command::StagePart(part) => self.stage_part(part)?,
            Command::InsertDependencies(part) => self.stage_dependencies(part)?,
            Command::MakePart(part) => self.make_part(part)?,
            Command::DropBatch(batch) => self.drop_batch(*batch)?,
            Command::PrepareDependencies(ids) => self.prepare_dependencies(ids)?,
            Command::OpenText(new) => self.open_text(new)?,
            Command::StagePiece(piece) => self.stage_piece(piece)?,
            Command::LongAck { ack, text } => Outcome::Acked(self.ack(ack, Some(*text))?),
            Command::LongAnswer {
                task,
                beginning,
                by,
                text,
            } => self.answer(*task, beginning, by.as_deref(), Some(*text))?,
            Command::DropText(text) => self.drop_text(*text)?,
            Command::Lease {
                ask,
                session,
                park,
                spent,
            } => self.lease(ask, session.as_deref(), *park, *spent)?,
            Command::Unpark(park) => {
                self.parked.remove(*park);
                Outcome::Ok
            }
            Command::Ack(ack) => Outcome::Acked(self.ack(ack, None)?),
            Command::Acks(acks) => Outcome::Acks(self.acks(acks)?),
            Command::Heartbeat {
                task,
                fence,
                lease_ms,
            } => self.heartbeat(*task, *fence, *lease_ms)?,
            Command::WaitChildren { task, fence } => self.wait_children(*task, *fence)?,
            Command::InScope { scope, command } => self.in_scope(scope, command)?,
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
                raise,
                only_human,
            } => {
                let (by, comment) = (by.as_deref(), comment.as_deref());
                self.approve(*task, *fence, (by, comment), *raise, *only_human)?
            }
            Command::Answer { task, text, by } => self.answer(*task, text, by.as_deref(), None)?,
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
            Command::AddCredential(new) => self.add_credential(new)?,
            Command::RevokeCredential(name) => self.revoke_credential(name)?,
            Command::AddWebSession(new) => self.add_web_session(new)?,
            Command::EndWebSession(hash) => self.end_web_session(hash)?,
            Command::Record(records) => self.record(records)?,
            Command::PruneAudit { before_ms, limit } => self.prune_audit(*before_ms, *limit)?,
            Command::Plan(command) => self.plan(command)?,
            Command::Schedule(command) => self.schedule(command)?,
            Command::FireSchedules { limit } => self.fire_schedules(*limit)?,
            Command::AddNotice { kind, data } => self.add_notice(*kind, data),
            Command::TestTarget(name) => self.test_target(name)?,
            Command::TakeNotices(take) => self.take_notices(take)?,
            Command::PruneNotices { before_ms, limit } => self.prune_notices(*before_ms, *limit)?,
            Command::Stats => Outcome::Stats(self.counters.stats(&self.lanes, self.now())),
        })
    }
}
