//! The event bus: numbers what happened, keeps the newest, and sends it to watchers.
//!
//! An event is written once, and its line is shared by all who want it. The more there are who watch, the longer events
//! are gathered for them, as what costs is to wake each connection ([`pause`]). A watcher who takes its events too slowly,
//! or comes back and has missed some, asks for them piece by piece: what is kept for watchers is in the ring, and only there.
//!
//! Ring and watchers belong to the recipe, not to the actor: after a crash the next incarnation goes on from where each
//! watcher is.

mod kind;
mod messages;
mod ring;
mod watchers;

pub use kind::Filter;
pub use messages::{Ended, Events, FollowTree, Look, Publish, Stand, Unwatch, WaitFor, Watch};
pub use ring::{Line, Ring};
pub use watchers::{WatchId, Watchers};

use actix::prelude::*;
use futures_util::stream::unfold;
use kind::ended;
use kirosu_protocol::{EventKind, TaskId};
use kirosu_supervision::{ChildChange, ChildContext, ExitReason, Tree, TreeEvent, supervised};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::Instant;

/// Events kept for watchers that come back.
pub const RING_CAPACITY: usize = 16_384;

/// Bytes of events that a watcher is sent at once.
pub const PIECE_BYTES: usize = 256 << 10;

/// Many times what it costs to wake a watcher, so that the waking takes little of the time.
const PAUSE_A_WATCHER: Duration = Duration::from_micros(100);
/// Pauses below this are none.
const SHORTEST_PAUSE: Duration = Duration::from_millis(1);
/// The longest time for which events are gathered.
const LONGEST_PAUSE: Duration = Duration::from_millis(100);

/// Watchers that are sent events in one turn of the event loop: to write to one takes some 15 us, and other requests are
/// served between two turns.
const WATCHERS_PER_TURN: usize = 25;
/// Pause between two such turns.
const TURN: Duration = Duration::from_millis(1);

/// The least time from one sending of events to the next, when so many watch.
fn pause(watchers: usize) -> Duration {
    let watchers = u32::try_from(watchers).unwrap_or(u32::MAX);
    match PAUSE_A_WATCHER.saturating_mul(watchers) {
        short if short < SHORTEST_PAUSE => Duration::ZERO,
        long => long.min(LONGEST_PAUSE),
    }
}

/// The kept events. They belong to the recipe, so they survive a crash of the actor.
pub type SharedRing = Arc<Mutex<Ring>>;

/// The watchers. They belong to the recipe, so they survive a crash of the actor.
pub type SharedWatchers = Arc<Mutex<Watchers<Recipient<Events>, Recipient<Ended>>>>;

/// The tree whose exits and restarts are published, once it is known.
pub type SharedTree = Arc<OnceLock<Tree>>;

/// The actor.
pub struct Bus {
    child: ChildContext,
    ring: SharedRing,
    watchers: SharedWatchers,
    tree: SharedTree,
    follows: bool,
    /// When watchers were sent events last.
    sent: Option<Instant>,
    /// Whether a further sending, or a further turn of one, is scheduled.
    is_due: bool,
}

supervised!(Bus);

fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Bus {
    /// A bus over a ring and watchers that outlive it.
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
            follows: false,
            sent: None,
            is_due: false,
        }
    }

    /// Called at the start and when the tree becomes known: whichever comes second counts.
    fn follow_tree(&mut self, ctx: &mut Context<Self>) {
        if self.follows {
            return;
        }
        let Some(tree) = self.tree.get() else { return };
        self.follows = true;
        ctx.add_stream(unfold(tree.subscribe(), |mut events| async move {
            loop {
                match events.recv().await {
                    Ok(event) => return Some((event, events)),
                    Err(RecvError::Lagged(missed)) => {
                        tracing::debug!(missed, "too many exits and restarts to tell of all");
                    }
                    Err(RecvError::Closed) => return None,
                }
            }
        }));
    }

    fn publish(&mut self, happened: Vec<EventKind>, ctx: &mut Context<Self>) {
        let time = self.child.clock().now_ms() as f64 / 1000.0;
        // That the hub stops has to be out before it does.
        let at_once = happened
            .iter()
            .any(|what| matches!(what, EventKind::Hub { .. }));
        let ends: Vec<TaskId> = happened.iter().filter_map(ended).collect();
        let mut ring = lock(&self.ring);
        for what in happened {
            ring.push(time, what);
        }
        drop(ring);
        let watchers = lock(&self.watchers);
        for (id, tasks) in watchers.waiting_for(&ends) {
            if let Some(to) = watchers.waiter(id) {
                let (tag, tasks) = (id.1, Some(tasks));
                to.do_send(Ended { tag, tasks });
            }
        }
        drop(watchers);
        if at_once {
            self.send_missed(self.newest(), usize::MAX);
        } else if !self.is_due {
            self.send_soon(ctx);
        }
    }

    fn newest(&self) -> u64 {
        lock(&self.ring).newest()
    }

    /// Begins to send watchers what they have not been sent, after the pause that their number asks for.
    fn send_soon(&mut self, ctx: &mut Context<Self>) {
        let pause = pause(lock(&self.watchers).count());
        let wait = self.sent.map_or(Duration::ZERO, |sent| {
            (sent + pause).saturating_duration_since(Instant::now())
        });
        if wait.is_zero() {
            self.send(ctx);
        } else {
            self.later(wait, ctx, Self::send);
        }
    }

    /// Runs a further part of the sending; until then [`Bus::publish`] need not begin one.
    fn later(
        &mut self,
        wait: Duration,
        ctx: &mut Context<Self>,
        part: impl FnOnce(&mut Self, &mut Context<Self>) + 'static,
    ) {
        self.is_due = true;
        ctx.run_later(wait, |bus, ctx| {
            bus.is_due = false;
            part(bus, ctx);
        });
    }

    /// Sends all watchers the events up to the newest one, in turns.
    fn send(&mut self, ctx: &mut Context<Self>) {
        self.sent = Some(Instant::now());
        self.send_upto(self.newest(), ctx);
    }

    fn send_upto(&mut self, upto: u64, ctx: &mut Context<Self>) {
        if !self.send_missed(upto, WATCHERS_PER_TURN) {
            self.later(TURN, ctx, move |bus, ctx| bus.send_upto(upto, ctx));
        } else if self.newest() > upto {
            // Published between two turns.
            self.send_soon(ctx);
        }
    }

    fn send_missed(&mut self, upto: u64, most: usize) -> bool {
        let (mut ring, mut watchers) = (lock(&self.ring), lock(&self.watchers));
        watchers.send_missed(
            &mut ring,
            upto,
            most,
            PIECE_BYTES,
            |id, to, turn, missed, follows| {
                to.do_send(Events {
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
            self.send(ctx);
            for (id, to) in lock(&self.watchers).waiters() {
                let (tag, tasks) = (id.1, None);
                to.do_send(Ended { tag, tasks });
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

    /// The tree ends before the bus does; the default would stop the bus.
    fn finished(&mut self, _: &mut Self::Context) {}
}

impl Handler<Publish> for Bus {
    type Result = ();

    fn handle(&mut self, Publish(happened): Publish, ctx: &mut Self::Context) {
        self.child.handled();
        self.publish(happened, ctx);
    }
}

impl Handler<Look> for Bus {
    type Result = Stand;

    fn handle(&mut self, Look(since): Look, _: &mut Self::Context) -> Stand {
        let ring = lock(&self.ring);
        let newest = ring.newest();
        let (from, lost) = ring.stand(since.unwrap_or(newest));
        Stand { newest, from, lost }
    }
}

impl Handler<Watch> for Bus {
    type Result = ();

    fn handle(&mut self, watch: Watch, _: &mut Self::Context) {
        let (mut ring, mut watchers) = (lock(&self.ring), lock(&self.watchers));
        let missed = ring.after(watch.from, &watch.filter, PIECE_BYTES);
        let (upto, is_gap) = (missed.upto, missed.lost > 0);
        let follows = upto == ring.newest() && !is_gap;
        watch.to.do_send(Events {
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
    fn events_are_gathered_where_many_watch() {
        assert_eq!(pause(0), Duration::ZERO);
        assert_eq!(pause(9), Duration::ZERO);
        assert_eq!(pause(500), Duration::from_millis(50));
        assert_eq!(pause(usize::MAX), LONGEST_PAUSE);
    }
}
