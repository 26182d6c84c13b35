//! The session: the agent as an actor. It carries out what its machine decides.

pub(crate) mod calls;
pub(crate) mod link;
pub(crate) mod machine;
mod signals;

use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;
use kirosu_protocol::client::{CallError, State as LinkState};
use kirosu_protocol::notice::Notice;
use kirosu_protocol::task::{FailureClass, Task};
use kirosu_protocol::verbs::hello::HeldLease;
use kirosu_protocol::verbs::lease::LeaseAsk;
use kirosu_supervision::{BackoffPolicy, ChildContext, Delays, supervised};
use tokio::sync::oneshot;

use crate::invocation::{Ended, Invocation, Work, report};
use crate::pool::Pool;
use crate::workspace::{self, Place};
use link::{Introduction, Line};
use machine::{Action, Cause, End, Event, Machine, Report, Told};
use signals::Signal;

/// Pause after a lease without an answer; the client itself waits for the connection.
const SHORT_PAUSE: Duration = Duration::from_millis(100);
/// Pauses before a report is sent again.
const RETELL: BackoffPolicy = BackoffPolicy {
    initial: Duration::from_millis(100),
    max: Duration::from_secs(5),
    factor: 2.0,
    jitter: 0.2,
    healthy_after: Duration::ZERO,
};
/// How long a leaving session waits to hear what it was granted last.
const CHECK_TIME: Duration = Duration::from_secs(1);

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
    leash: Option<oneshot::Sender<()>>,
    /// How often the lease is extended.
    beats: SpawnHandle,
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
    /// The present line can reconnect by itself.
    resuming: bool,
    run: Option<Run>,
    /// Where the run worked whose end the hub is being told.
    place: Option<Place>,
    refused: Delays,
    retells: Delays,
    /// Why the last lease was refused, so that the log has it once.
    refusal: Option<String>,
    pause: Duration,
}

supervised!(Session);

impl Session {
    /// The session of this number in the pool.
    pub(crate) fn new(child: &ChildContext, pool: &Arc<Pool>, index: u32) -> Self {
        let common = &pool.common;
        let worker_id = format!("{}-{index}@{}", pool.name, common.host);
        let who = Introduction {
            endpoint: common.endpoint.clone(),
            key: common.key.clone(),
            session_id: format!("{}/{}/{index}", common.instance, pool.name),
            name: worker_id.clone(),
            backoff: pool.options().backoff,
        };
        Self {
            child: child.clone(),
            pool: pool.clone(),
            index,
            machine: Machine::new(),
            who,
            worker_id,
            line: None,
            resuming: false,
            run: None,
            place: None,
            refused: REFUSED.delays(),
            retells: RETELL.delays(),
            refusal: None,
            pause: SHORT_PAUSE,
        }
    }

    // --- the machine ---

    fn on(&mut self, event: Event, ctx: &mut Context<Self>) {
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
    }

    fn act(&mut self, action: Action, ctx: &mut Context<Self>) {
        match action {
            Action::Lease => self.lease(ctx),
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
                    tokio::spawn(calls::release_stray(line.client(), lease));
                }
            }
            Action::StartDrain => {
                tracing::info!(session = %self.who.session_id, state = self.machine.word(), drain = ?self.pool.common.drain, "stopping; the task under way may end");
                self.tell_later(self.pool.common.drain, Event::Overdue, ctx);
            }
            Action::Check => {
                if let Some(line) = &self.line {
                    self.check(line.clone(), ctx);
                }
            }
            Action::Finish => {
                self.hang_up();
                self.child.finish(ctx);
            }
        }
    }

    fn tell_later(&self, after: Duration, event: Event, ctx: &mut Context<Self>) {
        ctx.run_later(after, move |session, ctx| session.on(event, ctx));
    }

    // --- the line ---

    /// Opens a line: the first of this incarnation, or its successor.
    fn open_line(&mut self, ctx: &mut Context<Self>) {
        let client = match self.line {
            None => self.who.first(),
            Some(_) => self.who.again(),
        };
        self.resuming = self.line.is_some();
        ctx.add_stream(signals::link(&client, self.resuming));
        ctx.add_stream(signals::notices(&client));
        match &self.line {
            None => self.line = Some(Line::new(client)),
            Some(line) => line.replace(client),
        }
    }

    fn link_changed(&mut self, state: LinkState, ctx: &mut Context<Self>) {
        match state {
            LinkState::Connected(hello) => {
                self.pool.common.hub_found();
                self.on(Event::Connected(hello.leases.clone()), ctx);
            }
            LinkState::Connecting(None) => {}
            LinkState::Connecting(Some(error)) => self.link_broken(&error, ctx),
            LinkState::Closed if !self.resuming => {
                self.on(Event::Disconnected, ctx);
                self.open_line(ctx);
            }
            LinkState::Closed => self.on(Event::Disconnected, ctx),
        }
    }

    fn link_broken(&mut self, error: &CallError, ctx: &mut Context<Self>) {
        // Told by the client of a connection that stood: the next attempt may well succeed.
        let broke = matches!(error, CallError::Unreachable { source, .. } if source.kind() == std::io::ErrorKind::Other || source.kind() == std::io::ErrorKind::UnexpectedEof);
        if broke {
            self.on(Event::Disconnected, ctx);
            return;
        }
        self.pool.common.hub_lost(error);
        self.on(Event::Unreachable, ctx);
    }

    /// Withdraws the parked lease and hears from `hello` what was granted meanwhile.
    fn check(&mut self, line: Line, ctx: &mut Context<Self>) {
        match self.resuming {
            true => line.client().reconnect(),
            // The first line ends with its connection; its successor follows.
            false => line.client().close(),
        }
        self.tell_later(CHECK_TIME, Event::CheckOverdue, ctx);
    }

    /// Ends the line, also for an invocation that still has it: it would come back under this session's name and take
    /// the connection away from the next incarnation.
    fn hang_up(&self) {
        if let Some(line) = &self.line {
            line.client().close();
        }
    }

    // --- leases ---

    fn lease(&mut self, ctx: &mut Context<Self>) {
        let Some(line) = &self.line else { return };
        let ask = calls::lease_ask(&self.pool.options(), &self.worker_id);
        let client = line.client();
        let asked = async move {
            let outcome = client.request::<LeaseAsk>(&ask).await;
            if let Err(CallError::Timeout { .. }) = outcome {
                client.reconnect();
            }
            outcome
        };
        ctx.spawn(asked.into_actor(self).map(|outcome, session, ctx| {
            let event = match outcome {
                Ok(answer) => {
                    session.refused.reset();
                    session.refusal = None;
                    Event::Leased(answer.tasks)
                }
                Err(error) => session.lease_failed(&error),
            };
            session.on(event, ctx);
        }));
    }

    fn lease_failed(&mut self, error: &CallError) -> Event {
        let said = error.refusal().map(|refusal| refusal.message.clone());
        self.pause = match &said {
            Some(_) => self.refused.next().unwrap_or(REFUSED.max),
            None => SHORT_PAUSE,
        };
        match said {
            Some(why) if self.refusal.as_ref() != Some(&why) => {
                tracing::warn!(session = %self.who.session_id, "the hub gives no lease: {why}; asking again");
                self.refusal = Some(why);
            }
            Some(_) => {}
            None => {
                tracing::debug!(session = %self.who.session_id, %error, "a lease has no answer");
            }
        }
        Event::LeaseFailed
    }

    // --- runs ---

    fn start(&mut self, task: Task, ctx: &mut Context<Self>) {
        let lease = HeldLease {
            task_id: task.task_id,
            fence: task.fence,
        };
        let Some(line) = self.line.clone() else {
            return;
        };
        tracing::debug!(session = %self.who.session_id, task = lease.task_id, fence = lease.fence, "runs");
        let (leash, held) = oneshot::channel();
        let (ended, end) = oneshot::channel();
        let mut work = Some(Work {
            pool: self.pool.clone(),
            session: self.index,
            task,
            line,
            leash: held,
            ended,
        });
        let name = format!("{}.{}", lease.task_id, lease.fence);
        let spawned = self
            .pool
            .invocations
            .spawn(name, move |child| Invocation::new(child, work.take()));
        let every = (self.pool.options().lease / 3).max(Duration::from_millis(100));
        let beats = ctx.run_interval(every, |session, ctx| session.on(Event::BeatDue, ctx));
        self.place = None;
        self.run = Some(Run {
            lease,
            leash: Some(leash),
            beats,
        });
        if let Err(error) = spawned {
            tracing::warn!(session = %self.who.session_id, task = lease.task_id, %error, "the run was not started; its lease goes back");
        }
        let not_started = spawned.is_err();
        ctx.spawn(end.into_actor(self).map(move |ended, session, ctx| {
            let end = match ended {
                Ok(Ended { end, place }) => {
                    session.place = place;
                    end
                }
                Err(_) if not_started => report::give_back("the pool starts no runs now"),
                Err(_) => {
                    let why = "the invocation crashed; see the hub's or agent's log";
                    report::fail(lease, FailureClass::Crashed, why)
                }
            };
            session.ended(lease, end, ctx);
        }));
    }

    fn ended(&mut self, lease: HeldLease, end: End, ctx: &mut Context<Self>) {
        self.child.handled();
        self.on(Event::Ended(lease, end), ctx);
    }

    fn cancel(&mut self, cause: Cause) {
        let Some(run) = &mut self.run else { return };
        let HeldLease { task_id, fence } = run.lease;
        let why = match cause {
            Cause::Asked => "somebody asked for it",
            Cause::Lost => "its lease is another's",
            Cause::Drain => "the session stops and the drain is over",
        };
        tracing::info!(task_id, fence, "the run is ended: {why}");
        if let Some(leash) = run.leash.take() {
            let _ = leash.send(());
        }
    }

    fn drop_run(&mut self, ctx: &mut Context<Self>) {
        if let Some(run) = self.run.take() {
            ctx.cancel_future(run.beats);
        }
    }

    fn beat(&mut self, lease: HeldLease, ctx: &mut Context<Self>) {
        let Some(line) = &self.line else { return };
        let beat = calls::beat(line.client(), lease, self.pool.options().lease);
        ctx.spawn(
            beat.into_actor(self)
                .map(move |pulse, session, ctx| session.on(Event::Beat(lease, pulse), ctx)),
        );
    }

    // --- reports ---

    fn report(&mut self, lease: HeldLease, report: Report, ctx: &mut Context<Self>) {
        let Some(line) = &self.line else { return };
        let told = calls::tell(line.client(), lease, report);
        ctx.spawn(
            told.into_actor(self)
                .map(move |(told, done), session, ctx| {
                    if told != Told::Unknown {
                        session.retells.reset();
                    }
                    if done && told == Told::Answered {
                        session.discard();
                    }
                    session.on(Event::Told(lease, told), ctx);
                }),
        );
    }

    /// The hub has the result: the folder that was made for the task is of no more use.
    fn discard(&mut self) {
        if let Some(place) = self.place.take().filter(|place| place.made.is_some()) {
            tokio::task::spawn_blocking(move || workspace::discard(&place));
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.hang_up();
    }
}

impl Actor for Session {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        self.child
            .on_stop(ctx, |session, ctx| session.on(Event::Stop, ctx));
        ctx.add_stream(signals::health(self.pool.watch_health()));
        ctx.add_stream(signals::hurry(self.pool.common.watch_hurry()));
        self.open_line(ctx);
    }
}

impl StreamHandler<Signal> for Session {
    fn handle(&mut self, signal: Signal, ctx: &mut Context<Self>) {
        match signal {
            // News of a line that has been replaced.
            Signal::Link { resuming, .. } if resuming != self.resuming => {}
            Signal::Link { state, .. } => self.link_changed(state, ctx),
            Signal::Health(ready) => self.on(Event::Ready(ready), ctx),
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

    #[allow(clippy::panic)]
    fn handle(&mut self, _: Crash, _: &mut Context<Self>) {
        panic!("crashed on purpose");
    }
}
