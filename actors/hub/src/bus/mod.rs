//! The event bus: numbers events, keeps the newest, and sends them to watchers.
//!
//! An event is serialized once; all watchers share its line. The more watchers there are, the longer the bus gathers events
//! for them, because to wake a connection is what costs ([`pause`]). A watcher that is slow, or that reconnects and has missed
//! events, requests them piece by piece. So only the ring keeps events for watchers.
//!
//! The ring and the watchers belong to the child's factory, not to the actor: after a crash the next incarnation continues at
//! the position of each watcher.

mod kind;
mod messages;
mod ring;
mod run_rate;
mod watchers;

pub use kind::EventFilter;
pub use messages::{
    FindPosition, FollowTree, Publish, RingPosition, Unwatch, WaitFor, WaitedTasksEnded, Watch,
    WatchedEvents,
};
pub use ring::Ring;
pub use watchers::Watchers;

use actix::prelude::*;
use futures_util::stream::unfold;
use kind::ended_task;
use kirosu_protocol::{EventKind, TaskId};
use kirosu_supervision::{ChildChange, ChildContext, ExitReason, Tree, TreeEvent, supervised};
use run_rate::{COUNTS_PAUSE, RunRate};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::Instant;

/// The largest number of events that are kept for watchers that reconnect.
pub const RING_CAPACITY: usize = 16_384;

/// Bytes of events in one piece for a watcher.
pub const PIECE_BYTES: usize = 256 << 10;

/// Pause per watcher. It is many times the cost of waking one, so that waking takes a small part of the time.
const PAUSE_PER_WATCHER: Duration = Duration::from_micros(200);
/// Shorter pauses are left out.
const SHORTEST_PAUSE: Duration = Duration::from_micros(2000);
/// The longest time for which the bus gathers events.
const LONGEST_PAUSE: Duration = Duration::from_millis(200);

/// Watchers that get events in one turn of the event loop. To write to one takes some 15 us; requests are served between two
/// turns.
const WATCHERS_PER_TURN: usize = 25;
/// Pause between two such turns.
const TURN_PAUSE: Duration = Duration::from_millis(1);

/// The time between two rounds of sending events, with this number of watchers.
fn pause(watchers: usize) -> Duration {
    let watchers = u32::try_from(watchers).unwrap_or(u32::MAX);
    match PAUSE_PER_WATCHER.saturating_mul(watchers) {
        short if short < SHORTEST_PAUSE => Duration::ZERO,
        long => long.min(LONGEST_PAUSE),
    }
}

/// The kept events, shared with the child's factory.
pub type SharedRing = Arc<Mutex<Ring>>;

/// The watchers, shared with the child's factory.
pub type SharedWatchers =
    Arc<Mutex<Watchers<Recipient<WatchedEvents>, Recipient<WaitedTasksEnded>>>>;

/// The tree whose exits and restarts are published, once it is known.
pub type SharedTree = Arc<OnceLock<Tree>>;

/// The actor that numbers and sends events.
pub struct Bus {
    child: ChildContext,
    ring: SharedRing,
    watchers: SharedWatchers,
    tree: SharedTree,
    /// Whether the actor has subscribed to the tree.
    follows_tree: bool,
    /// When the last round of sending began.
    sent: Option<Instant>,
    /// Whether a round, or a further turn of one, is scheduled.
    is_scheduled: bool,
    /// The rate of events about runs. After a crash counts that waited are missing until the next ones.
    rate: RunRate,
    /// Whether the events that wait for their time are to be published.
    has_timer: bool,
}

supervised!(Bus);

fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Bus {
    /// A bus over a ring and watchers that survive it.
    pub fn new(
        child: ChildContext,
        ring: SharedRing,
        watchers: SharedWatchers,
        tree: SharedTree,
    ) -> Bus {
        Bus {
            child,
            ring,
            watchers,
            tree,
            follows_tree: false,
            sent: None,
            is_scheduled: false,
            rate: RunRate::default(),
            has_timer: false,
        }
    }

    /// Subscribes to the tree. Called at the start and when the tree becomes known, in either order.
    fn follow_tree(&mut self, ctx: &mut Context<Self>) {
        if self.follows_tree {
            return;
        }
        let Some(tree) = self.tree.get() else { return };
        self.follows_tree = true;
        ctx.add_stream(unfold(tree.subscribe(), |mut events| async move {
            loop {
                match events.recv().await {
                    Ok(event) => return Some((event, events)),
                    Err(RecvError::Lagged(missed)) => {
                        tracing::debug!(
                            missed,
                            "exits and restarts came too fast; some were not published"
                        );
                    }
                    Err(RecvError::Closed) => return None,
                }
            }
        }));
    }

    fn publish(&mut self, events: Vec<EventKind>, ctx: &mut Context<Self>) {
        let time = self.child.clock().now_ms() as f64 / 1000.0;
        // The event that the hub stops must leave before the hub does.
        let at_once = events
            .iter()
            .any(|what| matches!(what, EventKind::Hub { .. }));
        let ends: Vec<TaskId> = events.iter().filter_map(ended_task).collect();
        let mut ring = lock(&self.ring);
        for what in events {
            ring.push(time, what);
        }
        drop(ring);
        // Waits are answered at once: only watchers pay for the gathering of events.
        let watchers = lock(&self.watchers);
        for (id, tasks) in watchers.waiting_for(&ends) {
            if let Some(to) = watchers.waiter(id) {
                let (tag, tasks) = (id.1, Some(tasks));
                to.do_send(WaitedTasksEnded { tag, tasks });
            }
        }
        drop(watchers);
        if at_once {
            self.send_missed(self.newest(), usize::MAX);
        } else if !self.is_scheduled {
            self.send_soon(ctx);
        }
    }

    /// Publishes the events that wait for their time when it has come.
    fn publish_later(&mut self, ctx: &mut Context<Self>) {
        if self.has_timer || !self.rate.has_later() {
            return;
        }
        self.has_timer = true;
        ctx.run_later(COUNTS_PAUSE, |bus, ctx| {
            bus.has_timer = false;
            let due = bus.rate.due(Instant::now());
            bus.publish(due, ctx);
            bus.publish_later(ctx);
        });
    }

    fn newest(&self) -> u64 {
        lock(&self.ring).newest()
    }

    /// Begins a round of sending, after the pause that the number of watchers requires.
    fn send_soon(&mut self, ctx: &mut Context<Self>) {
        let pause = pause(lock(&self.watchers).count());
        let wait = self.sent.map_or(Duration::ZERO, |sent| {
            (sent + pause).saturating_duration_since(Instant::now())
        });
        if wait.is_zero() {
            self.send(ctx);
        } else {
            self.schedule(wait, ctx, Self::send);
        }
    }

    /// Runs a part of a round later. Until then [`Bus::publish`] does not begin a round.
    fn schedule(
        &mut self,
        wait: Duration,
        ctx: &mut Context<Self>,
        part: impl FnOnce(&mut Self, &mut Context<Self>) + 'static,
    ) {
        self.is_scheduled = true;
        ctx.run_later(wait, |bus, ctx| {
            bus.is_scheduled = false;
            part(bus, ctx);
        });
    }

    /// Sends the events up to the newest one to all watchers, in turns.
    fn send(&mut self, ctx: &mut Context<Self>) {
        self.sent = Some(Instant::now());
        self.send_upto(self.newest(), ctx);
    }

    fn send_upto(&mut self, upto: u64, ctx: &mut Context<Self>) {
        if !self.send_missed(upto, WATCHERS_PER_TURN) {
            self.schedule(TURN_PAUSE, ctx, move |bus, ctx| bus.send_upto(upto, ctx));
        } else if self.newest() > upto {
            // More events were published between two turns.
            self.send_soon(ctx);
        }
    }

    /// Sends the events up to number `upto` to at most `limit` watchers. Returns whether all watchers have them.
    fn send_missed(&mut self, upto: u64, limit: usize) -> bool {
        let (mut ring, mut watchers) = (lock(&self.ring), lock(&self.watchers));
        watchers.send_missed(
            &mut ring,
            upto,
            limit,
            PIECE_BYTES,
            |id, to, turn, missed, follows| {
                to.do_send(WatchedEvents {
                    tag: id.1,
                    turn,
                    lines: missed.lines,
                    upto: missed.upto,
                    is_gap: missed.lost > 0,
                    follows,
                });
            },
        )
    }
}

impl Actor for Bus {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        self.follow_tree(ctx);
        if self.child.incarnation() > 0 {
            // The crash may have lost events that were not sent, and ends of tasks.
            self.send(ctx);
            for (id, to) in lock(&self.watchers).waiters() {
                let (tag, tasks) = (id.1, None);
                to.do_send(WaitedTasksEnded { tag, tasks });
            }
        }
    }
}

impl Handler<FollowTree> for Bus {
    type Result = ();

    fn handle(&mut self, _: FollowTree, ctx: &mut Self::Context) {
        self.follow_tree(ctx);
    }
}

impl StreamHandler<TreeEvent> for Bus {
    fn handle(&mut self, event: TreeEvent, ctx: &mut Self::Context) {
        let (state, reason) = match event.change {
            ChildChange::Started { incarnation: 0 } => ("started", String::new()),
            ChildChange::Started { .. } => ("restarted", String::new()),
            ChildChange::Exited {
                reason,
                restart_in_ms: Some(ms),
            } => ("restarting", format!("{reason}; restart in {ms} ms")),
            ChildChange::Exited {
                reason: reason @ ExitReason::GaveUp(_),
                ..
            } => ("gave_up", reason.to_string()),
            ChildChange::Exited { reason, .. } => ("exited", reason.to_string()),
        };
        let what = EventKind::Actor {
            path: event.path,
            state: state.into(),
            reason,
        };
        self.publish(vec![what], ctx);
    }

    /// The default stops the bus when the tree ends, which is before the bus.
    fn finished(&mut self, _: &mut Self::Context) {}
}

impl Handler<Publish> for Bus {
    type Result = ();

    fn handle(&mut self, Publish(events): Publish, ctx: &mut Self::Context) {
        self.child.handled();
        let events = self.rate.pass(events, Instant::now());
        self.publish(events, ctx);
        self.publish_later(ctx);
    }
}

impl Handler<FindPosition> for Bus {
    type Result = RingPosition;

    fn handle(&mut self, FindPosition(since): FindPosition, _: &mut Self::Context) -> RingPosition {
        let ring = lock(&self.ring);
        let newest = ring.newest();
        let (from, lost) = ring.position(since.unwrap_or(newest));
        RingPosition { newest, from, lost }
    }
}

impl Handler<Watch> for Bus {
    type Result = ();

    fn handle(&mut self, watch: Watch, _: &mut Self::Context) {
        let (mut ring, mut watchers) = (lock(&self.ring), lock(&self.watchers));
        let missed = ring.after(watch.from, &watch.filter, PIECE_BYTES);
        let (upto, is_gap) = (missed.upto, missed.lost > 0);
        let follows = upto == ring.newest() && !is_gap;
        watch.to.do_send(WatchedEvents {
            tag: watch.id.1,
            turn: watch.turn,
            lines: missed.lines,
            upto,
            is_gap,
            follows,
        });
        if follows {
            watchers.watch(watch.id, watch.filter, watch.to, watch.turn, upto);
        }
    }
}

impl Handler<WaitFor> for Bus {
    type Result = ();

    fn handle(&mut self, wait: WaitFor, _: &mut Self::Context) {
        lock(&self.watchers).wait(wait.id, wait.tasks, wait.to);
    }
}

impl Handler<Unwatch> for Bus {
    type Result = ();

    fn handle(&mut self, Unwatch(id): Unwatch, _: &mut Self::Context) {
        lock(&self.watchers).remove(id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_gathered_when_there_are_many_watchers() {
        assert_eq!(pause(0), Duration::ZERO);
        assert_eq!(pause(9), Duration::ZERO);
        assert_eq!(pause(500), Duration::from_millis(100));
        assert_eq!(pause(usize::MAX), LONGEST_PAUSE);
    }
}
