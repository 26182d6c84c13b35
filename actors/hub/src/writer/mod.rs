//! The writer: the one actor that changes the store.
//!
//! It applies the commands that wait in its mailbox as one commit and then answers them, so that one sync of the disk serves
//! all requests that arrived during the last one. It adds no delay to form larger commits. The cost of a commit is bounded
//! (`cost`); a larger request is carried out in parts (`queue`). Commands of one caller keep their order.

mod clock_jump;
mod context;
mod cost;
mod handlers;
pub mod messages;
mod queue;
mod reply;

use crate::bus::Bus;
use crate::caller::{Notify, PendingReply};
use crate::clock::now_ms;
use crate::conductor::Conductor;
use crate::hub::HubShared;
use crate::leases::{Leases, Rebuild};
use crate::measure::Commits;
use crate::reaper::{NextDeadline, Reaper};
use crate::tuning::Tuning;
use actix::prelude::*;
use clock_jump::ClockReading;
use context::{CommandContext, ParkedRequests};
use kirosu_protocol::NoticeKind;
use kirosu_store::{
    BatchId, Command, OpenError, Outcome, Principal, Store, StoreOptions, TextId, WorkId,
};
use kirosu_supervision::{ChildContext, supervised};
use messages::Submit;
use queue::{CommandQueue, NewIds, Taken};
use reply::CommitBatch;
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::oneshot;
use tokio::task::yield_now;

/// Pause before a part of a stored batch that failed is tried again.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Data that each incarnation of the writer starts from.
#[derive(Clone)]
pub struct WriterFactory {
    /// Options of the store; the factory replaces `now_ms` at each start.
    pub store: StoreOptions,
    /// The rules in force, which replace those in `store`.
    pub(crate) tuning: Tuning,
    /// The store that was opened before the tree started. The first incarnation takes it.
    pub opened: Arc<Mutex<Option<Store>>>,
    /// Receives events.
    pub bus: Addr<Bus>,
    /// Receives changes of leases.
    pub leases: Addr<Leases>,
    /// Receives the next deadline.
    pub reaper: Addr<Reaper>,
    /// Learns of the runs of plans in which something has changed.
    pub(crate) conductor: Addr<Conductor>,
    /// Whether leasing has stopped. It survives a restart of the writer.
    pub draining: Arc<AtomicBool>,
    /// State that it shares with the connections.
    pub(crate) shared: HubShared,
}

impl WriterFactory {
    fn open(&self, now_ms: i64) -> Result<Store, OpenError> {
        let opened = self
            .opened
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        match opened {
            Some(store) => Ok(store),
            None => Store::open(&StoreOptions {
                now_ms,
                ..self.tuning.get().of_store(&self.store)
            }),
        }
    }
}

impl WriterFactory {
    /// Takes over the keys and the sessions of browsers of the store, and ends what waits under those that have ended now.
    fn take_keys(&self, store: &Store) {
        let revoked = self.shared.keys.replace(store.credentials());
        for key in &revoked {
            tracing::info!(name = &*key.name, "a key was revoked");
        }
        let has_logged_out = self.shared.web_sessions.replace(store.web_sessions());
        if has_logged_out || !revoked.is_empty() {
            self.shared.connections.broadcast(&Notify::KeysRevoked);
        }
    }
}

/// Whether a command may change the keys of clients or the sessions of browsers.
fn changes_keys(command: &Command) -> bool {
    matches!(
        command,
        Command::AddCredential(_)
            | Command::RevokeCredential(_)
            | Command::PruneAudit { .. }
            | Command::AddWebSession(_)
            | Command::EndWebSession(_)
    )
}

/// The principal of each command of a commit. `shifts`: the first command is the writer's own.
fn principals(taken: &[Taken], shifts: bool) -> Vec<Option<Arc<Principal>>> {
    let mut by = vec![None; usize::from(shifts)];
    for taken in taken {
        let (caller, commands) = match taken {
            Taken::Whole(reply) => (reply.caller(), reply.numbers().len()),
            Taken::Parts(entry, parts) => (entry.caller(), parts.len()),
        };
        by.extend(std::iter::repeat_n(&caller.by, commands).cloned());
    }
    by
}

/// The actor that changes the store.
pub struct Writer {
    child: ChildContext,
    factory: WriterFactory,
    /// `None` before the start has succeeded, and after the stop.
    store: Option<Store>,
    queue: CommandQueue,
    /// Pending [`messages::Settle`] requests, each with the number of the last submission that it waits for.
    settling: Vec<(u64, oneshot::Sender<()>)>,
    /// Whether a flush is scheduled.
    flush_scheduled: bool,
    /// Whether failed parts of batches are to be tried again after a pause.
    retry_scheduled: bool,
    /// Whether the last commit had more than one command, or left commands for the next.
    crowded: bool,
    parked: ParkedRequests,
    /// Replies to commands whose work continues in later commits.
    works: HashMap<WorkId, PendingReply>,
    /// Unix milliseconds of the store's next deadline.
    deadline: Option<i64>,
    /// The deadline that was last sent to the reaper.
    sent_deadline: Option<i64>,
    commits: Commits,
    /// Both clocks at the last commit.
    clocks: ClockReading,
    /// Milliseconds by which the wall clock was set and which the store has not added to its deadlines yet.
    clock_shift_ms: i64,
    /// Whether a commit is scheduled for refusals and uses of keys.
    record_scheduled: bool,
    /// Whether an operator asked for the drain.
    drain_is_asked: bool,
    /// Whether the event that the drained hub runs no task any more is stored.
    has_noted_drained: bool,
}

supervised!(Writer);

impl Writer {
    /// A writer that opens its store when it starts.
    pub fn new(child: ChildContext, factory: WriterFactory) -> Writer {
        Writer {
            clocks: ClockReading::new(now_ms(&child), child.clock().now()),
            clock_shift_ms: 0,
            record_scheduled: false,
            drain_is_asked: false,
            has_noted_drained: false,
            child,
            factory,
            store: None,
            queue: CommandQueue::default(),
            settling: Vec::new(),
            flush_scheduled: false,
            retry_scheduled: false,
            crowded: false,
            parked: ParkedRequests::default(),
            works: HashMap::new(),
            deadline: None,
            sent_deadline: None,
            commits: Commits::default(),
        }
    }

    fn now_ms(&self) -> i64 {
        now_ms(&self.child)
    }

    /// Returns the time of a commit in Unix milliseconds, and notes by how much the wall clock was set since the last one.
    fn check_clock(&mut self) -> i64 {
        let now_ms = self.now_ms();
        let jump = self.clocks.update(now_ms, self.child.clock().now());
        if jump != 0 {
            self.clock_shift_ms = self.clock_shift_ms.saturating_add(jump);
            tracing::warn!(
                seconds = jump as f64 / 1000.0,
                "the wall clock was set, or the machine slept; the deadlines of live leases follow"
            );
        }
        now_ms
    }

    /// Schedules a commit for when the messages of this turn are handled. If the last commit had several commands or left
    /// some, the flush first yields to the event loop once: requests that other clients have sent meanwhile then join this
    /// commit. A lone request does not pay for that turn.
    fn schedule_flush(&mut self, ctx: &mut Context<Self>) {
        if self.queue.has_failed() && !self.retry_scheduled {
            self.retry_scheduled = true;
            ctx.run_later(RETRY_AFTER, |writer, ctx| {
                writer.retry_scheduled = false;
                writer.queue.retry();
                writer.schedule_flush(ctx);
            });
        }
        if self.flush_scheduled || self.queue.is_empty() {
            return;
        }
        self.flush_scheduled = true;
        let crowded = self.crowded;
        let turn = async move {
            if crowded {
                yield_now().await;
            }
        };
        ctx.spawn(turn.into_actor(self).map(|(), writer, ctx| {
            writer.flush_scheduled = false;
            writer.flush();
            writer.schedule_flush(ctx);
        }));
    }

    /// Keeps a submission until the next commit.
    fn receive(&mut self, submit: Submit, ctx: &mut Context<Self>) {
        self.queue.push(submit, &mut self.store);
        self.schedule_flush(ctx);
    }

    /// Applies the waiting commands as one commit, then answers them.
    fn flush(&mut self) {
        let now_ms = self.check_clock();
        let (taken, mut batch) = self.queue.take();
        let records = match self.store {
            Some(_) => self.factory.shared.access_log.take(),
            None => None,
        };
        let is_drained = self.is_drained();
        let has_targets = self.store.as_ref().is_some_and(Store::has_new_targets);
        let is_idle = batch.is_empty() && self.clock_shift_ms == 0 && records.is_none();
        if is_idle && !is_drained && !has_targets {
            return;
        }
        let contexts: Vec<CommandContext> = batch.iter().map(CommandContext::of).collect();
        let withheld = self.withhold_leases_while_draining(&mut batch);
        let Some(store) = self.store.as_mut() else {
            return;
        };
        // The deadlines move in the same commit and before everything else in it: a lease must not expire by the new time and
        // the old deadline.
        let shifts = self.clock_shift_ms != 0;
        if shifts {
            let by_ms = self.clock_shift_ms;
            batch.insert(0, Command::ShiftLeases { by_ms });
        }
        let mut by = principals(&taken, shifts);
        if let Some(records) = &records {
            batch.push(Command::Record(Box::new(records.clone())));
            by.resize(batch.len(), None);
        }
        if is_drained {
            batch.push(Command::AddNotice {
                kind: NoticeKind::Drained,
                data: Box::default(),
            });
            by.resize(batch.len(), None);
        }
        let changes_keys = batch.iter().any(changes_keys);
        let (began, size) = (Instant::now(), batch.len());
        // Durable when it returns: answers and events follow the effect, never the other way round.
        let mut applied = store.apply_by(now_ms, batch, &by);
        if changes_keys {
            // Before the answers: after that of a revocation no client uses the key.
            self.factory.take_keys(store);
        }
        if is_drained {
            self.has_noted_drained = applied.outcomes.pop().is_some_and(|it| it.is_ok());
        }
        if let Some(newest) = applied.noticed {
            self.factory.shared.notices.send_replace(newest);
        }
        if let Some(records) = records
            && let Some(Err(error)) = applied.outcomes.pop()
        {
            tracing::error!(%error, "entries of the audit trail could not be stored; trying again with the next commit");
            self.factory.shared.access_log.put_back(records);
        }
        let deadline = store.next_deadline();
        self.commits.observe(began.elapsed(), size);
        // If the shift failed (the disk took nothing), the next commit tries it again.
        if shifts && applied.outcomes.remove(0).is_ok() {
            self.clock_shift_ms = 0;
        }
        let batch = CommitBatch {
            taken,
            contexts,
            withheld,
        };
        self.reply(batch, applied);
        self.crowded = size > 1 || !self.queue.is_empty();
        self.resolve_settled();
        self.deadline = deadline;
        if !is_drained && self.is_drained() {
            // The last task has ended with this commit.
            self.flush();
        }
        // A later deadline is not sent: the reaper then wakes too early and requests the next one, which costs less than a message per
        // commit. An earlier one must reach it.
        if let Some(at) = deadline
            && self.sent_deadline.is_none_or(|sent| at < sent)
        {
            self.send_deadline();
        }
    }

    /// Resolves the [`messages::Settle`] requests whose submissions are committed.
    fn resolve_settled(&mut self) {
        if self.settling.is_empty() {
            return;
        }
        let first = self.queue.first_arrival().unwrap_or(u64::MAX);
        for (_, waits) in self.settling.extract_if(.., |(last, _)| *last < first) {
            let _ = waits.send(());
        }
    }

    /// While draining, replaces each lease command by a cheap query, and returns the outcomes to answer instead: no tasks, or
    /// parked. Parked requests end with their wait or with the process.
    fn withhold_leases_while_draining(&self, batch: &mut [Command]) -> Vec<Option<Outcome>> {
        if !self.draining() {
            return Vec::new();
        }
        let withhold = |command: &mut Command| match command {
            Command::Lease { park, .. } => {
                let outcome = if park.is_some() {
                    Outcome::Parked
                } else {
                    Outcome::Leased(Vec::new())
                };
                *command = Command::Stats;
                Some(outcome)
            }
            _ => None,
        };
        batch.iter_mut().map(withhold).collect()
    }

    fn draining(&self) -> bool {
        self.factory.draining.load(Ordering::Relaxed)
    }

    /// Whether an operator asked the hub to drain, no task is running any more, and no event says so yet.
    fn is_drained(&self) -> bool {
        let is_at_rest = |store: &Store| store.running() == 0;
        let is_due = self.drain_is_asked && !self.has_noted_drained;
        is_due && self.store.as_ref().is_some_and(is_at_rest)
    }

    /// Applies all waiting commands and closes the store.
    fn finish(&mut self, ctx: &mut Context<Self>) {
        while !self.queue.is_empty() && self.store.is_some() {
            self.flush();
        }
        // The last refusals and uses of keys.
        self.flush();
        if let Some(Err(error)) = self.store.take().map(Store::close) {
            tracing::error!(%error, "the store could not be closed in good order; nothing that was answered is lost");
        }
        self.child.finish(ctx);
    }

    fn send_deadline(&mut self) {
        self.sent_deadline = self.deadline;
        self.factory.reaper.do_send(NextDeadline(self.deadline));
    }

    fn send_leases(&mut self) {
        let Some(store) = self.store.as_mut() else {
            return;
        };
        match store.live_leases(None) {
            Ok(live) => self.factory.leases.do_send(Rebuild(live)),
            Err(error) => {
                tracing::error!(%error, "the live leases could not be read; their sessions end when they expire")
            }
        }
    }
}

/// Without a store no command is carried out.
impl NewIds for Option<Store> {
    fn batch(&mut self) -> BatchId {
        self.as_mut().map_or(0, Store::new_batch)
    }

    fn text(&mut self) -> TextId {
        self.as_mut().map_or(0, Store::new_text)
    }
}

impl Actor for Writer {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        self.queue.give_back = Some(Arc::new(ctx.address().recipient()));
        self.child.on_stop(ctx, |writer, ctx| {
            writer.finish(ctx);
        });
        match self.factory.open(self.now_ms()) {
            Ok(store) => {
                self.factory.take_keys(&store);
                self.deadline = store.next_deadline();
                self.send_deadline();
                self.store = Some(store);
                self.send_leases();
                // The rows of targets of notifications follow the settings.
                self.flush();
            }
            Err(error) => self.child.fail(ctx, error.to_string()),
        }
    }
}

impl Handler<Submit> for Writer {
    type Result = ();

    fn handle(&mut self, submit: Submit, ctx: &mut Self::Context) {
        self.child.handled();
        self.receive(submit, ctx);
    }
}
