//! The writer: the one actor that changes the store.
//!
//! It takes what waits in its mailbox, without an artificial delay, applies all of it as one commit and then answers:
//! one sync of the disk serves everybody who asked meanwhile. Requests of one caller keep their order.

mod clock_jump;
mod context;
mod handlers;
pub mod messages;

use crate::bus::{Bus, Publish};
use crate::leases::{Granted, Leases, LeasesChanged, Rebuild};
use crate::measure::Commits;
use crate::reaper::{NextDeadline, Reaper};
use crate::tuning::Tuning;
use actix::prelude::*;
use clock_jump::ClockReading;
use context::{CommandContext, ParkedRequests, closed_lease, decided, unanswered};
use kirosu_protocol::{EventKind, Task};
use kirosu_store::{Applied, Command, OpenError, Outcome, ParkId, Store, StoreOptions, WorkId};
use kirosu_supervision::{ChildContext, supervised};
use messages::{Answers, PendingReply, Submit};
use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;
use tokio::sync::oneshot;
use tokio::task::yield_now;

/// Most tasks that the commands of one commit are about, so that no answer waits for a queue without end.
const TASKS_A_COMMIT: usize = 4096;

/// Everything a writer needs to start, again and again.
#[derive(Clone)]
pub struct WriterFactory {
    /// How the store is opened; `now_ms` is set anew at each start.
    pub store: StoreOptions,
    /// The rules that may have changed since.
    pub(crate) tuning: Tuning,
    /// A store that was opened before the tree started, for the first incarnation.
    pub opened: Arc<Mutex<Option<Store>>>,
    /// Who is told of events.
    pub bus: Addr<Bus>,
    /// Who keeps the live leases.
    pub leases: Addr<Leases>,
    /// Who watches the deadlines.
    pub reaper: Addr<Reaper>,
    /// Whether leases are held back; outlives the actor.
    pub draining: Arc<AtomicBool>,
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

/// The actor.
pub struct Writer {
    child: ChildContext,
    factory: WriterFactory,
    store: Option<Store>,
    waiting: VecDeque<Submit>,
    /// Submissions received, and those of them that were begun, since this incarnation started.
    received: u64,
    begun: u64,
    /// [`Settle`] requests: how many submissions must have been begun, and who waits.
    settling: Vec<(u64, oneshot::Sender<()>)>,
    flush_asked: bool,
    /// Whether the last commit was of more than one command.
    crowded: bool,
    parks: ParkedRequests,
    /// Answers that are owed until work is done that goes on in further commits.
    works: HashMap<WorkId, PendingReply>,
    deadline: Option<i64>,
    /// The deadline that the reaper sleeps towards.
    told: Option<i64>,
    commits: Commits,
    /// What the clocks showed at the last commit.
    clocks: ClockReading,
    /// By how many milliseconds the wall clock was set, as far as the store does not know of it.
    set_by: i64,
}

supervised!(Writer);

impl Writer {
    /// A writer that opens its store when it starts.
    pub fn new(child: ChildContext, factory: WriterFactory) -> Writer {
        let clock = child.clock();
        let wall_ms = i64::try_from(clock.now_ms()).unwrap_or(i64::MAX);
        Writer {
            clocks: ClockReading::new(wall_ms, clock.now()),
            set_by: 0,
            child,
            factory,
            store: None,
            waiting: VecDeque::new(),
            received: 0,
            begun: 0,
            settling: Vec::new(),
            flush_asked: false,
            crowded: false,
            parks: ParkedRequests::default(),
            works: HashMap::new(),
            deadline: None,
            told: None,
            commits: Commits::default(),
        }
    }

    fn now_ms(&self) -> i64 {
        i64::try_from(self.child.clock().now_ms()).unwrap_or(i64::MAX)
    }

    /// The time for a commit; notes by how much the wall clock was set since the last one.
    fn check_clock(&mut self) -> i64 {
        let now_ms = self.now_ms();
        let jump = self.clocks.again(now_ms, self.child.clock().now());
        if jump != 0 {
            self.set_by = self.set_by.saturating_add(jump);
            tracing::warn!(
                seconds = jump as f64 / 1000.0,
                "the wall clock was set, or the machine slept; the deadlines of live leases follow"
            );
        }
        now_ms
    }

    /// Commits when this turn's messages are handled. Where much is going on, one turn of the event loop comes first, so
    /// that whoever has sent a request meanwhile is in this commit; a lone request need not wait for it.
    fn ask_flush(&mut self, ctx: &mut Context<Self>) {
        if self.flush_asked || self.waiting.is_empty() {
            return;
        }
        self.flush_asked = true;
        let crowded = self.crowded;
        let turn = async move {
            if crowded {
                yield_now().await;
            }
        };
        ctx.spawn(turn.into_actor(self).map(|(), writer, ctx| {
            writer.flush_asked = false;
            writer.flush(ctx);
            writer.ask_flush(ctx);
        }));
    }

    /// Keeps a submission until the next commit.
    fn receive(&mut self, submit: Submit, ctx: &mut Context<Self>) {
        self.received += 1;
        self.waiting.push_back(submit);
        self.ask_flush(ctx);
    }

    /// Takes waiting submissions up to the size of one commit; the last of them in part where that is full.
    fn take_batch(&mut self) -> (Vec<PendingReply>, Vec<Command>) {
        let mut debts = Vec::with_capacity(self.waiting.len());
        let (mut batch, mut tasks) = (Vec::new(), 0);
        while tasks < TASKS_A_COMMIT
            && let Some(submit) = self.waiting.front_mut()
        {
            let fit = submit.fit(&mut tasks, TASKS_A_COMMIT);
            let whole = fit == submit.commands.len();
            let next = match whole {
                true => self.waiting.pop_front(),
                false => Some(submit.take_first(fit)),
            };
            let Some(Submit { mut owed, commands }) = next else {
                break;
            };
            owed.begin();
            self.begun += u64::from(whole);
            batch.extend(commands.into_iter().map(|(_, command)| command));
            debts.push(owed);
        }
        (debts, batch)
    }

    /// Answers those who wait for submissions that are committed now.
    fn answer_settled(&mut self) {
        let begun = self.begun;
        for (_, waits) in self.settling.extract_if(.., |(number, _)| *number <= begun) {
            let _ = waits.send(());
        }
    }

    fn flush(&mut self, ctx: &mut Context<Self>) {
        let now_ms = self.check_clock();
        let (debts, mut batch) = self.take_batch();
        if batch.is_empty() && self.set_by == 0 {
            return;
        }
        self.crowded = batch.len() > 1;
        let noted: Vec<CommandContext> = batch.iter().map(CommandContext::of).collect();
        let held = self.hold_leases_while_draining(&mut batch);
        let Some(store) = self.store.as_mut() else {
            return;
        };
        let shifts = self.set_by != 0;
        if shifts {
            let by_ms = self.set_by;
            batch.insert(0, Command::ShiftLeases { by_ms });
        }
        let (began, size) = (Instant::now(), batch.len());
        let mut applied = store.apply(now_ms, batch);
        let deadline = store.next_deadline();
        self.commits.observe(began.elapsed(), size);
        // Not done (the disk took nothing): the next commit tries again.
        if shifts && applied.outcomes.remove(0).is_ok() {
            self.set_by = 0;
        }
        self.answer(debts, noted, held, applied, ctx);
        self.answer_settled();
        self.deadline = deadline;
        // The reaper may wake too early, never too late; then it asks again.
        if let Some(at) = deadline
            && self.told.is_none_or(|told| at < told)
        {
            self.send_deadline();
        }
    }

    /// While draining no lease is handed out: its command becomes a cheap question, and the request is answered with
    /// no tasks, or parked until its wait is over: draining ends with the process.
    fn hold_leases_while_draining(&self, batch: &mut [Command]) -> Vec<Option<Outcome>> {
        if !self.draining() {
            return Vec::new();
        }
        let hold = |command: &mut Command| match command {
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
        batch.iter_mut().map(hold).collect()
    }

    pub(super) fn draining(&self) -> bool {
        self.factory.draining.load(Ordering::Relaxed)
    }

    fn answer(
        &mut self,
        debts: Vec<PendingReply>,
        noted: Vec<CommandContext>,
        mut held: Vec<Option<Outcome>>,
        applied: Applied,
        ctx: &Context<Self>,
    ) {
        let mut granted = Vec::new();
        let mut ended = Vec::new();
        let mut index = 0;
        let mut outcomes = applied.outcomes.into_iter();
        for mut debt in debts {
            let mut results = Vec::with_capacity(debt.tags().len());
            let mut later = Vec::new();
            let mut leases = false;
            for tag in debt.tags() {
                let mut outcome = outcomes.next().unwrap_or_else(|| Err(unanswered()));
                if let Some(instead) = held.get_mut(index).and_then(Option::take) {
                    outcome = Ok(instead);
                }
                let note = noted.get(index).copied().unwrap_or_default();
                index += 1;
                match &outcome {
                    Ok(Outcome::Begun(work)) => {
                        later.push((*work, *tag));
                        continue;
                    }
                    Ok(Outcome::Parked) => {
                        if let Some(park) = note.park {
                            self.parks.0.insert(park, (debt.caller().clone(), *tag));
                        }
                    }
                    Ok(Outcome::Leased(tasks)) => {
                        leases |= !tasks.is_empty();
                        granted.extend(Granted::of(tasks, debt.caller()));
                    }
                    Ok(Outcome::Ended { leases, .. }) => {
                        ended.extend(leases.iter().cloned().map(|lease| (lease, note.why)));
                    }
                    _ => {}
                }
                results.push(outcome);
            }
            for (work, tag) in later {
                self.works.insert(work, debt.split(tag));
            }
            debt.answer(results.into_iter(), leases.then(|| ctx.address()));
        }
        for (work, outcome) in applied.finished {
            if let Some(debt) = self.works.remove(&work) {
                debt.answer(std::iter::once(Ok(outcome)), None);
            }
        }
        for (park, tasks) in applied.woken {
            granted.extend(self.wake(park, tasks, ctx));
        }
        for park in noted.iter().filter_map(|note| note.unparked) {
            self.parks.0.remove(&park);
        }
        self.tell(granted, ended, applied.changes);
    }

    /// Hands tasks to a parked request.
    fn wake(&mut self, park: ParkId, tasks: Vec<Task>, ctx: &Context<Self>) -> Vec<Granted> {
        let Some((caller, tag)) = self.parks.0.remove(&park) else {
            return Vec::new();
        };
        let granted = Granted::of(&tasks, &caller).collect();
        let answer = vec![(tag, Ok(Outcome::Leased(tasks)))];
        let answer = Answers::with_leases(answer, ctx.address());
        caller.reply.do_send(answer);
        granted
    }

    /// Applies what still waits, and closes the store in good order.
    fn finish(&mut self, ctx: &mut Context<Self>) {
        while !self.waiting.is_empty() && self.store.is_some() {
            self.flush(ctx);
        }
        if let Some(Err(error)) = self.store.take().map(Store::close) {
            tracing::error!(%error, "the store could not be closed in good order; nothing that was answered is lost");
        }
        self.child.finish(ctx);
    }

    fn send_deadline(&mut self) {
        self.told = self.deadline;
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

    fn tell(
        &mut self,
        granted: Vec<Granted>,
        ended: Vec<(kirosu_store::EndedLease, &'static str)>,
        changes: Vec<EventKind>,
    ) {
        let closed: Vec<_> = changes.iter().filter_map(closed_lease).collect();
        let decided: Vec<_> = changes.iter().filter_map(decided).collect();
        if !(granted.is_empty() && ended.is_empty() && closed.is_empty() && decided.is_empty()) {
            self.factory.leases.do_send(LeasesChanged {
                granted,
                closed,
                decided,
                ended,
            });
        }
        if !changes.is_empty() {
            self.factory.bus.do_send(Publish(changes));
        }
    }
}

impl Actor for Writer {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        self.child.on_stop(ctx, |writer, ctx| {
            writer.finish(ctx);
        });
        match self.factory.open(self.now_ms()) {
            Ok(store) => {
                self.deadline = store.next_deadline();
                self.send_deadline();
                self.store = Some(store);
                self.send_leases();
            }
            Err(error) => self.child.fail(ctx, error.to_string()),
        }
    }
}
