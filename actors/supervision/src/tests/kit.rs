//! Actors that misbehave on demand, and a few words to build trees with.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use actix::{
    Actor, Addr, AsyncContext as _, Context, Handler, Message, StreamHandler, WrapFuture as _,
};
use futures_util::stream;

use crate::{
    BackoffPolicy, ChildContext, ChildSpec, Clock, ExitReason, Intensity, Mailbox, Root, State,
    Stop, SupervisorSpec, mailbox, testkit,
};

/// What happened, in order. Shared by all actors of a test.
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

/// Where the first incarnation of a [`Worker`] panics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trouble {
    Handler,
    Timer,
    Interval,
    Stream,
    Started,
    Spawned,
    Waiting,
    Notified,
    Stopping,
    Stopped,
    HandlerAndDrop,
    HandlerAndSpawnedDrop,
    Factory,
}

/// What to do with a stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Manners {
    #[default]
    Plain,
    /// Ends this long after it was asked.
    After(Duration),
    /// Hears it, and never ends.
    Deaf,
}

pub(crate) struct Worker {
    pub(crate) child: ChildContext,
    pub(crate) log: Log,
    pub(crate) trouble: Option<Trouble>,
    pub(crate) manners: Manners,
}

crate::supervised!(Worker);

/// A value whose drop panics.
struct Grenade;

impl Drop for Grenade {
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
    fn say(&self, what: &str) {
        self.log.add(format!("{} {what}", self.child.id()));
    }
}

impl Actor for Worker {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        assert!(self.trouble != Some(Trouble::Started), "started");
        match self.manners {
            Manners::Plain => {}
            Manners::After(delay) => self.child.on_stop(ctx, move |worker, ctx| {
                worker.say("asked");
                ctx.run_later(delay, |worker, ctx| worker.child.finish(ctx));
            }),
            Manners::Deaf => self.child.on_stop(ctx, |worker, _| worker.say("asked")),
        }
        self.say("started");
    }

    fn stopping(&mut self, _: &mut Context<Self>) -> actix::Running {
        assert!(self.trouble != Some(Trouble::Stopping), "stopping");
        actix::Running::Stop
    }

    fn stopped(&mut self, _: &mut Context<Self>) {
        assert!(self.trouble != Some(Trouble::Stopped), "stopped");
        self.say("stopped");
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.say("dropped");
        if self.trouble == Some(Trouble::HandlerAndDrop) {
            panic!("drop");
        }
    }
}

/// Makes the trouble happen.
impl Handler<Poke> for Worker {
    type Result = ();

    fn handle(&mut self, _: Poke, ctx: &mut Context<Self>) {
        let soon = Duration::from_millis(1);
        match self.trouble {
            Some(Trouble::Timer) => {
                ctx.run_later(soon, |_, _| panic!("timer"));
            }
            Some(Trouble::Interval) => {
                ctx.run_interval(soon, |_, _| panic!("interval"));
            }
            Some(Trouble::Stream) => {
                ctx.add_stream(stream::iter([1_u32]));
            }
            Some(Trouble::Spawned) => {
                ctx.spawn(async { panic!("spawned") }.into_actor(self));
            }
            Some(Trouble::Waiting) => {
                ctx.wait(async { panic!("waiting") }.into_actor(self));
            }
            Some(Trouble::Notified) => ctx.notify(Fail("notified")),
            Some(Trouble::HandlerAndSpawnedDrop) => {
                let grenade = Grenade;
                let held = async move {
                    std::future::pending::<()>().await;
                    drop(grenade);
                };
                ctx.spawn(held.into_actor(self));
                ctx.run_later(soon, |_, _| panic!("handler"));
            }
            Some(Trouble::Stopping | Trouble::Stopped) => self.child.finish(ctx),
            Some(_) => panic!("handler"),
            None => {
                self.child.handled();
                self.say("poked");
            }
        }
    }
}

impl Handler<Fail> for Worker {
    type Result = ();

    fn handle(&mut self, fail: Fail, ctx: &mut Context<Self>) {
        assert!(self.trouble != Some(Trouble::Notified), "notified");
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
        self.say(&format!("note {}", note.0));
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

/// A factory of workers; `trouble` befalls those before incarnation `until`.
pub(crate) fn recipe(
    log: &Log,
    trouble: Option<Trouble>,
    until: u32,
    manners: Manners,
) -> impl FnMut(&ChildContext) -> Worker + Send + use<> {
    let log = log.clone();
    move |child| {
        let trouble = trouble.filter(|_| child.incarnation() < until);
        assert!(trouble != Some(Trouble::Factory), "factory");
        Worker {
            child: child.clone(),
            log: log.clone(),
            trouble,
            manners,
        }
    }
}

pub(crate) fn quiet(id: &str, log: &Log) -> (ChildSpec, Addr<Worker>) {
    mannered(id, log, Manners::Plain)
}

pub(crate) fn mannered(id: &str, log: &Log, manners: Manners) -> (ChildSpec, Addr<Worker>) {
    let (place, addr): (Mailbox<Worker>, _) = mailbox();
    let spec = ChildSpec::new(id, place, recipe(log, None, 0, manners))
        .backoff(BackoffPolicy::immediate());
    (spec, addr)
}

pub(crate) fn troubled(
    id: &str,
    log: &Log,
    trouble: Trouble,
    until: u32,
) -> (ChildSpec, Addr<Worker>) {
    let (place, addr): (Mailbox<Worker>, _) = mailbox();
    let spec = ChildSpec::new(id, place, recipe(log, Some(trouble), until, Manners::Plain))
        .backoff(steady(50))
        .stop(Stop::Grace(Duration::from_secs(1)));
    (spec, addr)
}

/// A backoff of always `ms`.
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

pub(crate) async fn state_is(root: &Root, path: &str, state: State) {
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

/// Runs a test with a log, and fails it on a leak.
pub(crate) fn run<F, T>(test: F)
where
    F: FnOnce(Log) -> T,
    T: Future<Output = ()>,
{
    testkit::run(test(Log::default()));
}
