//! The session: the agent as an actor. It carries out what its machine decides.

pub(crate) mod calls;
mod leases;
mod lines;
pub(crate) mod link;
pub(crate) mod machine;
mod runs;
mod signals;

use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;
use kirosu_protocol::notice::Notice;
use kirosu_protocol::verbs::hello::HeldLease;
use kirosu_supervision::{BackoffPolicy, ChildContext, Delays, supervised};
use tokio::sync::{mpsc, oneshot};
use tracing::{Instrument, Span};

use crate::lane::{Pass, Seat, Turn};
use crate::pool::Pool;
use crate::pool::leave::Leave;
use crate::workspace::Place;
use link::{Introduction, Line};
use machine::{Action, Cause, Event, Machine};
use signals::Signal;

/// Pauses before a report is sent again.
const RETELL: BackoffPolicy = BackoffPolicy {
    initial: Duration::from_millis(100),
    max: Duration::from_secs(5),
    factor: 2.0,
    jitter: 0.2,
    healthy_after: Duration::ZERO,
};

/// Pauses after the hub refused a lease (it drains, it is full, its key is another).
const REFUSED: BackoffPolicy = BackoffPolicy {
    initial: Duration::from_millis(500),
    max: Duration::from_secs(30),
    factor: 2.0,
    jitter: 0.2,
    healthy_after: Duration::ZERO,
};

/// Crashes the session that gets it: its actor panics.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Crash;

/// The run under way, as its session holds it.
struct Run {
    lease: HeldLease,
    /// Dropped or told, it ends the invocation.
    leash: Option<oneshot::Sender<Cause>>,
    /// How often the lease is extended.
    beats: SpawnHandle,
    /// Somebody cancelled it: whoever retries the task wants another conversation.
    unwanted: bool,
}

/// The actor.
pub(crate) struct Session {
    child: ChildContext,
    pool: Arc<Pool>,
    index: u32,
    machine: Machine,
    who: Introduction,
    worker_id: String,
    line: Option<Line>,
    /// Lines opened so far; those after the first resume the session and reconnect by themselves.
    lines: u32,
    run: Option<Run>,
    /// Which life of this session it is, to what it keeps of the provider.
    life: u64,
    /// Its place before the lanes of the provider.
    seat: Seat,
    /// Where it hears of turns; taken when it starts.
    turns: Option<mpsc::UnboundedReceiver<Turn>>,
    /// It stands in the line, or has a turn.
    queued: bool,
    /// Leave for the run of what was leased just now.
    pass: Option<Pass>,
    /// Leave of its pool, from the question for a task to the end of its run.
    leave: Option<Leave>,
    /// Where the run worked whose end the hub is being told.
    place: Option<Place>,
    refused: Delays,
    retells: Delays,
    /// Why the last lease was refused, so that the log has it once.
    refusal: Option<String>,
    /// Pause before the next lease, after one that failed.
    pause: Duration,
    /// Names the session on every line that it logs.
    span: Span,
}

supervised!(Session);

impl Session {
    /// The session of this number in the pool.
    pub(crate) fn new(child: &ChildContext, pool: &Arc<Pool>, index: u32) -> Self {
        let common = &pool.common;
        let session = format!("{}/{}/{index}", common.instance, pool.name);
        let worker_id = format!("{}-{index}@{}", pool.name, common.host);
        let who = Introduction {
            endpoint: common.endpoint.clone(),
            key: common.key.clone(),
            session_id: session.clone(),
            name: worker_id.clone(),
        };
        // Of the highest level, so that it is there whatever level is logged.
        let span = tracing::error_span!("session", session, pool = %pool.name, worker = worker_id);
        let (seat, turns) = common.lanes.session();
        Self {
            child: child.clone(),
            pool: pool.clone(),
            index,
            machine: Machine::new(),
            who,
            worker_id,
            line: None,
            lines: 0,
            run: None,
            life: pool.lives.begin(index),
            seat,
            turns: Some(turns),
            queued: false,
            pass: None,
            leave: None,
            place: None,
            refused: REFUSED.delays(),
            retells: RETELL.delays(),
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
        if self.queued && !self.machine.is_hunting() {
            self.queued = false;
            self.seat.leave();
        }
        if !self.machine.is_hunting() && self.machine.running().is_none() {
            self.leave = None;
        }
    }

    fn act(&mut self, action: Action, ctx: &mut Context<Self>) {
        match action {
            Action::Queue => self.queue(ctx),
            Action::Lease(turn) => self.lease(turn, ctx),
            Action::Pause => self.tell_later(self.pause, Event::Rested, ctx),
            Action::Run(task) => self.start(*task, ctx),
            Action::Beat(lease) => self.beat(lease, ctx),
            Action::Cancel(cause) => self.cancel(cause),
            Action::Tell(lease, report) => self.report(lease, report, ctx),
            Action::PauseTelling(lease) => {
                let pause = self.retells.next().unwrap_or(RETELL.max);
                self.tell_later(pause, Event::RetellDue(lease), ctx);
            }
            Action::ReleaseStray(lease) => {
                if let Some(line) = &self.line {
                    let release = calls::release_stray(line.client(), lease);
                    tokio::spawn(release.instrument(self.span.clone()));
                }
            }
            Action::StartDrain => {
                tracing::info!(state = self.machine.word(), drain = ?self.pool.common.drain, "stopping; the task under way may end");
                self.tell_later(self.pool.common.drain, Event::Overdue, ctx);
            }
            Action::Check => self.check(ctx),
            Action::Finish => {
                self.hang_up();
                let closed = self.pool.lives.close(self.index).into_actor(self);
                ctx.spawn(closed.map(|(), session, ctx| session.child.finish(ctx)));
            }
        }
    }

    fn tell_later(&self, after: Duration, event: Event, ctx: &mut Context<Self>) {
        ctx.run_later(after, move |session, ctx| session.on(event, ctx));
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.hang_up();
        self.pool.lives.end(self.index, self.life);
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
        ctx.add_stream(signals::hurry(self.pool.common.watch_hurry()));
        self.open_line(ctx);
    }
}

impl StreamHandler<Signal> for Session {
    fn handle(&mut self, signal: Signal, ctx: &mut Context<Self>) {
        match signal {
            // News of a line that has been replaced.
            Signal::Link { number, .. } if number != self.lines => {}
            Signal::Link { state, .. } => self.link_changed(state, ctx),
            Signal::Health(ready) => self.on(Event::Ready(ready), ctx),
            // It may wait for a provider that is no longer the pool's.
            Signal::Options if self.machine.is_waiting() => {
                self.seat.leave();
                self.queue(ctx);
            }
            Signal::Options => {}
            Signal::Room if self.machine.is_waiting() && self.leave.is_none() => self.queue(ctx),
            Signal::Room => {}
            Signal::Turn(turn) => self.on(Event::Turn(turn), ctx),
            Signal::Hurry => self.on(Event::Overdue, ctx),
            Signal::Notice(Notice::Cancel { task_id, fence, .. }) => {
                self.on(
                    Event::Revoked(HeldLease { task_id, fence }, Cause::Asked),
                    ctx,
                );
            }
            Signal::Notice(Notice::LeaseLost { task_id, fence, .. }) => {
                self.on(
                    Event::Revoked(HeldLease { task_id, fence }, Cause::Lost),
                    ctx,
                );
            }
            Signal::Notice(_) => {}
        }
    }

    /// The default would stop the actor at the end of any stream.
    fn finished(&mut self, _: &mut Context<Self>) {}
}

impl Handler<Crash> for Session {
    type Result = ();

    fn handle(&mut self, _: Crash, _: &mut Context<Self>) {
        panic!("crashed on purpose");
    }
}
