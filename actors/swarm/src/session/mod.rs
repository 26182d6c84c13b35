//! The session: the agent as an actor. It carries out the actions of its machine.

pub(crate) mod calls;
mod connection;
mod leases;
pub(crate) mod machine;
mod runs;
mod signals;

use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;
use kirosu_protocol::HeldLease;
use kirosu_protocol::notice::Notice;
use kirosu_supervision::{BackoffPolicy, ChildContext, RestartDelays, supervised};
use tokio::sync::{mpsc, oneshot};
use tracing::{Instrument, Span};

use crate::account::{AccountGate, LeaseTurn, QueueWaiter, RunPass};
use crate::link::{SessionIdentity, SessionLink};
use crate::pool::slot::TaskSlot;
use crate::pool::{CrashSession, Pool};
use crate::run_end::CancelCause;
use crate::workspace::RunFolder;
use machine::{Action, Event, SessionMachine};
use signals::SessionSignal;

/// Pauses before a report is sent again.
const REPORT_DELAYS: BackoffPolicy =
    BackoffPolicy::between(Duration::from_millis(100), Duration::from_secs(5));

/// Pauses after the hub refused a lease, for example because it drains or is full.
const REFUSED: BackoffPolicy =
    BackoffPolicy::between(Duration::from_millis(500), Duration::from_secs(30));

/// The running invocation, as its session holds it.
struct Run {
    lease: HeldLease,
    /// Cancels the invocation when sent or dropped.
    cancel: Option<oneshot::Sender<CancelCause>>,
    /// The timer of heartbeats.
    heartbeats: SpawnHandle,
    /// A person cancelled the run: a retry of the task needs a new conversation.
    unwanted: bool,
    /// Its admission to accounts.
    gate: AccountGate,
    /// The waits of its agent for tasks below its own.
    waits: u32,
}

pub(crate) struct Session {
    child: ChildContext,
    pool: Arc<Pool>,
    index: u32,
    machine: SessionMachine,
    identity: SessionIdentity,
    worker_id: String,
    link: Option<SessionLink>,
    /// Number of clients opened so far; those after the first resume the session.
    links: u32,
    run: Option<Run>,
    /// The start of the hub to which it was connected last.
    hub_boot: Option<String>,
    /// Incarnation of this session, as its live provider session is counted.
    incarnation: u64,
    /// The session's handle on the admission queue.
    waiter: QueueWaiter,
    /// The receiver of turns; taken when the actor starts.
    turns: Option<mpsc::UnboundedReceiver<LeaseTurn>>,
    /// Whether it waits in the admission queue or has a turn.
    queued: bool,
    /// The capacity on the account for the task that was leased just now.
    pass: Option<RunPass>,
    /// Held from the lease request to the end of the run.
    slot: Option<TaskSlot>,
    /// The folder of the run whose report is being sent.
    folder: Option<RunFolder>,
    refused: RestartDelays,
    report_delays: RestartDelays,
    /// Reason of the last refused lease, so that it is logged once.
    refusal: Option<String>,
    /// Pause before the next lease request, after one that failed.
    pause: Duration,
    /// Names the session on every line that it logs.
    span: Span,
}

supervised!(Session);

impl Session {
    /// Creates the session of this number.
    pub(crate) fn new(child: &ChildContext, pool: &Arc<Pool>, index: u32) -> Self {
        let swarm = &pool.swarm;
        let session = format!("{}/{}/{index}", swarm.instance, pool.name);
        let worker_id = format!("{}-{index}@{}", pool.name, swarm.host);
        let identity = SessionIdentity {
            endpoint: swarm.endpoint.clone(),
            key: swarm.key.clone(),
            session_id: session.clone(),
            session_secret: swarm.session_secret.clone(),
            name: worker_id.clone(),
        };
        // Of the highest level, so that it is present at every log level.
        let span = tracing::error_span!("session", session, pool = %pool.name, worker = worker_id);
        let (waiter, turns) = swarm.accounts.session();
        Self {
            child: child.clone(),
            pool: pool.clone(),
            index,
            machine: SessionMachine::new(),
            identity,
            worker_id,
            link: None,
            links: 0,
            run: None,
            hub_boot: None,
            incarnation: pool.live_sessions.begin(index),
            waiter,
            turns: Some(turns),
            queued: false,
            pass: None,
            slot: None,
            folder: None,
            refused: REFUSED.delays(),
            report_delays: REPORT_DELAYS.delays(),
            refusal: None,
            pause: Duration::ZERO,
            span,
        }
    }

    fn on(&mut self, event: Event, ctx: &mut Context<Self>) {
        let span = self.span.clone();
        let _named = span.enter();
        for action in self.machine.on(event) {
            self.act(action, ctx);
        }
        let left = self
            .run
            .as_ref()
            .is_some_and(|run| self.machine.running() != Some(run.lease));
        if left {
            self.drop_run(ctx);
        }
        if self.queued && !self.machine.is_leasing() {
            self.queued = false;
            self.waiter.leave();
        }
        if !self.machine.is_leasing() && self.machine.running().is_none() {
            self.slot = None;
        }
    }

    fn act(&mut self, action: Action, ctx: &mut Context<Self>) {
        match action {
            Action::Queue => self.queue(ctx),
            Action::Lease(turn) => self.lease(turn, ctx),
            Action::Pause => self.send_after(self.pause, Event::PauseOver, ctx),
            Action::Run(task) => self.start(*task, ctx),
            Action::Heartbeat(lease) => self.heartbeat(lease, ctx),
            Action::Cancel(cause) => self.cancel(cause),
            Action::SendReport(lease, report) => self.report(lease, report, ctx),
            Action::PauseReport(lease) => {
                let pause = self.report_delays.next().unwrap_or(REPORT_DELAYS.max);
                self.send_after(pause, Event::ReportDue(lease), ctx);
            }
            Action::ReleaseStray(lease, cause) => {
                if let Some(link) = &self.link {
                    let release = calls::release_stray(link.client(), lease, cause);
                    tokio::spawn(release.instrument(self.span.clone()));
                }
            }
            Action::StartDrain => {
                tracing::info!(state = self.machine.as_str(), drain = ?self.pool.swarm.drain, "stopping; the task under way may end");
                self.send_after(self.pool.swarm.drain, Event::Overdue, ctx);
            }
            Action::Check => self.check(ctx),
            Action::Finish => {
                self.hang_up();
                let closed = self.pool.live_sessions.close(self.index).into_actor(self);
                ctx.spawn(closed.map(|(), session, ctx| session.child.finish(ctx)));
            }
        }
    }

    fn send_after(&self, after: Duration, event: Event, ctx: &mut Context<Self>) {
        ctx.run_later(after, move |session, ctx| session.on(event, ctx));
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // After a crash; otherwise the run is over.
        if let Some(run) = &self.run {
            self.pool.forget_run(self.index, run.waits > 0);
        }
        self.hang_up();
        self.pool.live_sessions.end(self.index, self.incarnation);
    }
}

impl Actor for Session {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        self.child
            .on_stop(ctx, |session, ctx| session.on(Event::Stop, ctx));
        if let Some(turns) = self.turns.take() {
            ctx.add_stream(signals::turns(turns));
        }
        ctx.add_stream(signals::options(self.pool.watch_options()));
        ctx.add_stream(signals::health(self.pool.watch_health()));
        ctx.add_stream(signals::room(self.pool.watch_room()));
        ctx.add_stream(signals::hurry(self.pool.swarm.watch_hurry()));
        self.open_link(ctx);
    }
}

impl StreamHandler<SessionSignal> for Session {
    fn handle(&mut self, signal: SessionSignal, ctx: &mut Context<Self>) {
        match signal {
            // A signal of a client that has been replaced.
            SessionSignal::Link { number, .. } if number != self.links => {}
            SessionSignal::Link { state, .. } => self.link_changed(state, ctx),
            SessionSignal::Health(ready) => self.on(Event::Ready(ready), ctx),
            // It may wait for an account that is no longer the pool's.
            SessionSignal::Options if self.machine.is_waiting() => {
                self.waiter.leave();
                self.queue(ctx);
            }
            SessionSignal::Options => {}
            SessionSignal::Room if self.machine.is_waiting() && self.slot.is_none() => {
                self.queue(ctx)
            }
            SessionSignal::Room => {}
            SessionSignal::Turn(turn) => self.on(Event::Turn(turn), ctx),
            SessionSignal::Hurry => self.on(Event::Overdue, ctx),
            SessionSignal::Notice(Notice::Cancel { task_id, fence, .. }) => {
                self.on(
                    Event::Revoked(HeldLease { task_id, fence }, CancelCause::Requested),
                    ctx,
                );
            }
            SessionSignal::Notice(Notice::LeaseLost { task_id, fence, .. }) => {
                self.on(
                    Event::Revoked(HeldLease { task_id, fence }, CancelCause::Lost),
                    ctx,
                );
            }
            SessionSignal::Notice(Notice::Waiting {
                task_id,
                fence,
                waiting,
            }) => self.run_waits(HeldLease { task_id, fence }, waiting),
            SessionSignal::Notice(_) => {}
        }
    }

    /// The default would stop the actor at the end of any stream.
    fn finished(&mut self, _: &mut Context<Self>) {}
}

impl Handler<CrashSession> for Session {
    type Result = ();

    fn handle(&mut self, _: CrashSession, _: &mut Context<Self>) {
        panic!("crashed on purpose");
    }
}
