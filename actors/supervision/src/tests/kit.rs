//! Actors that fail on demand, and helpers to build trees.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use actix::{
    Actor, Addr, AsyncContext as _, Context, Handler, Message, StreamHandler, WrapFuture as _,
};
use futures_util::stream;

use crate::{
    BackoffPolicy, ChildContext, ChildSpec, ChildStatus, Clock, ExitReason, Intensity, Mailbox,
    Root, StopPolicy, SupervisorSpec, mailbox, testkit,
};

/// Events in their order. Shared by all actors of a test.
#[derive(Clone, Default)]
pub(crate) struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    pub(crate) fn add(&self, line: impl Into<String>) {
        self.0.lock().unwrap().push(line.into());
    }

    pub(crate) fn lines(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }

    pub(crate) fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap())
    }

    pub(crate) fn count(&self, line: &str) -> usize {
        self.lines().iter().filter(|known| *known == line).count()
    }
}

/// The mailbox where the first incarnation of a [`Worker`] panics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    Handler,
    Timer,
    Interval,
    Stream,
    Started,
    Spawned,
    ContextWait,
    Notified,
    Stopping,
    Stopped,
    HandlerAndDrop,
    HandlerAndSpawnedDrop,
    Factory,
}

/// Reaction to an order to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum StopBehavior {
    #[default]
    Plain,
    /// Ends this long after the order.
    After(Duration),
    /// Never ends.
    Ignore,
}

pub(crate) struct Worker {
    pub(crate) child: ChildContext,
    pub(crate) log: Log,
    pub(crate) fault: Option<Fault>,
    pub(crate) stop: StopBehavior,
}

crate::supervised!(Worker);

/// Panics in its drop.
struct PanicOnDrop;

impl Drop for PanicOnDrop {
    fn drop(&mut self) {
        panic!("dropped");
    }
}

pub(crate) struct Poke;
pub(crate) struct Fail(pub(crate) &'static str);
pub(crate) struct Finish;
pub(crate) struct Note(pub(crate) u32);
pub(crate) struct Which;

impl Message for Poke {
    type Result = ();
}
impl Message for Fail {
    type Result = ();
}
impl Message for Finish {
    type Result = ();
}
impl Message for Note {
    type Result = ();
}
impl Message for Which {
    type Result = u32;
}

impl Worker {
    fn log_event(&self, event: &str) {
        self.log.add(format!("{} {event}", self.child.id()));
    }
}

impl Actor for Worker {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        assert!(self.fault != Some(Fault::Started), "started");
        match self.stop {
            StopBehavior::Plain => {}
            StopBehavior::After(delay) => self.child.on_stop(ctx, move |worker, ctx| {
                worker.log_event("asked");
                ctx.run_later(delay, |worker, ctx| worker.child.finish(ctx));
            }),
            StopBehavior::Ignore => self
                .child
                .on_stop(ctx, |worker, _| worker.log_event("asked")),
        }
        self.log_event("started");
    }

    fn stopping(&mut self, _: &mut Context<Self>) -> actix::Running {
        assert!(self.fault != Some(Fault::Stopping), "stopping");
        actix::Running::Stop
    }

    fn stopped(&mut self, _: &mut Context<Self>) {
        assert!(self.fault != Some(Fault::Stopped), "stopped");
        self.log_event("stopped");
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.log_event("dropped");
        if self.fault == Some(Fault::HandlerAndDrop) {
            panic!("drop");
        }
    }
}

/// Causes the fault.
impl Handler<Poke> for Worker {
    type Result = ();

    fn handle(&mut self, _: Poke, ctx: &mut Context<Self>) {
        let soon = Duration::from_millis(1);
        match self.fault {
            Some(Fault::Timer) => {
                ctx.run_later(soon, |_, _| panic!("timer"));
            }
            Some(Fault::Interval) => {
                ctx.run_interval(soon, |_, _| panic!("interval"));
            }
            Some(Fault::Stream) => {
                ctx.add_stream(stream::iter([1_u32]));
            }
            Some(Fault::Spawned) => {
                ctx.spawn(async { panic!("spawned") }.into_actor(self));
            }
            Some(Fault::ContextWait) => {
                ctx.wait(async { panic!("waiting") }.into_actor(self));
            }
            Some(Fault::Notified) => ctx.notify(Fail("notified")),
            Some(Fault::HandlerAndSpawnedDrop) => {
                let grenade = PanicOnDrop;
                let held = async move {
                    std::future::pending::<()>().await;
                    drop(grenade);
                };
                ctx.spawn(held.into_actor(self));
                ctx.run_later(soon, |_, _| panic!("handler"));
            }
            Some(Fault::Stopping | Fault::Stopped) => self.child.finish(ctx),
            Some(_) => panic!("handler"),
            None => {
                self.child.handled();
                self.log_event("poked");
            }
        }
    }
}

impl Handler<Fail> for Worker {
    type Result = ();

    fn handle(&mut self, fail: Fail, ctx: &mut Context<Self>) {
        assert!(self.fault != Some(Fault::Notified), "notified");
        self.child.fail(ctx, fail.0);
    }
}

impl Handler<Finish> for Worker {
    type Result = ();

    fn handle(&mut self, _: Finish, ctx: &mut Context<Self>) {
        self.child.finish(ctx);
    }
}

impl Handler<Note> for Worker {
    type Result = ();

    fn handle(&mut self, note: Note, _: &mut Context<Self>) {
        self.log_event(&format!("note {}", note.0));
    }
}

impl Handler<Which> for Worker {
    type Result = u32;

    fn handle(&mut self, _: Which, _: &mut Context<Self>) -> u32 {
        self.child.incarnation()
    }
}

impl StreamHandler<u32> for Worker {
    fn handle(&mut self, _: u32, _: &mut Context<Self>) {
        panic!("stream");
    }
}

/// A factory of workers. Incarnations before `until` have the fault.
pub(crate) fn factory(
    log: &Log,
    fault: Option<Fault>,
    until: u32,
    stop: StopBehavior,
) -> impl FnMut(&ChildContext) -> Worker + Send + use<> {
    let log = log.clone();
    move |child| {
        let fault = fault.filter(|_| child.incarnation() < until);
        assert!(fault != Some(Fault::Factory), "factory");
        Worker {
            child: child.clone(),
            log: log.clone(),
            fault,
            stop,
        }
    }
}

pub(crate) fn worker(id: &str, log: &Log) -> (ChildSpec, Addr<Worker>) {
    with_stop(id, log, StopBehavior::Plain)
}

pub(crate) fn with_stop(id: &str, log: &Log, stop: StopBehavior) -> (ChildSpec, Addr<Worker>) {
    let (mailbox, addr): (Mailbox<Worker>, _) = mailbox();
    let spec = ChildSpec::new(id, mailbox, factory(log, None, 0, stop))
        .backoff(BackoffPolicy::immediate());
    (spec, addr)
}

pub(crate) fn faulty(id: &str, log: &Log, fault: Fault, until: u32) -> (ChildSpec, Addr<Worker>) {
    let (mailbox, addr): (Mailbox<Worker>, _) = mailbox();
    let spec = ChildSpec::new(
        id,
        mailbox,
        factory(log, Some(fault), until, StopBehavior::Plain),
    )
    .backoff(steady(50))
    .stop(StopPolicy::Grace(Duration::from_secs(1)));
    (spec, addr)
}

/// A constant delay of `ms`.
pub(crate) fn steady(ms: u64) -> BackoffPolicy {
    BackoffPolicy {
        initial: Duration::from_millis(ms),
        max: Duration::from_millis(ms),
        factor: 1.0,
        jitter: 0.0,
        healthy_after: Duration::from_secs(60),
    }
}

pub(crate) fn often(restarts: u32) -> Intensity {
    Intensity {
        restarts,
        period: Duration::from_secs(60),
    }
}

pub(crate) fn root(spec: SupervisorSpec) -> Root {
    Root::start(spec, Clock::test(1_000_000))
}

pub(crate) async fn state_is(root: &Root, path: &str, state: ChildStatus) {
    let tree = root.tree();
    testkit::eventually(&format!("{path} is {state:?}"), || {
        tree.snapshot_at(path)
            .is_some_and(|node| node.state == state)
    })
    .await;
}

pub(crate) fn last_exit(root: &Root, path: &str) -> Option<ExitReason> {
    root.tree()
        .snapshot_at(path)
        .and_then(|node| node.last_exit)
}

/// Runs a test with a log. A leaked child fails the test.
pub(crate) fn run<F, T>(test: F)
where
    F: FnOnce(Log) -> T,
    T: Future<Output = ()>,
{
    testkit::run(test(Log::default()));
}
