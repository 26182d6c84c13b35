//! The event bus: numbers what happened, keeps the newest, and tells watchers.
//!
//! The ring and the watchers belong to the recipe, not to the actor: after a crash the next incarnation sends each
//! watcher the events that it has not been sent.

pub mod ring;
pub mod watchers;

use actix::prelude::*;
use futures_util::stream::unfold;
use kirosu_protocol::{Event, EventKind, TaskId};
use kirosu_supervision::{Change, ChildContext, ExitReason, Tree, TreeEvent, supervised};
use ring::Ring;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use tokio::sync::broadcast::error::RecvError;
use watchers::{WatchId, Watchers};

/// Events kept for watchers that come back.
pub const RING_CAPACITY: usize = 16_384;

/// Things that happened, in order.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Publish(pub Vec<EventKind>);

/// Somebody wants to see events from now on, or from a number on.
#[derive(Message)]
#[rtype(result = "Watched")]
pub struct Watch {
    /// The watcher; one watch a connection and tag.
    pub id: WatchId,
    /// What is of interest.
    pub filter: Filter,
    /// The last number seen; none: from now on.
    pub since: Option<u64>,
    /// Where events go.
    pub to: Recipient<Events>,
}

/// The answer to [`Watch`].
#[derive(Debug, MessageResponse)]
pub struct Watched {
    /// The newest number at this moment.
    pub newest: u64,
    /// What was missed since the number given and is still kept.
    pub missed: Vec<Event>,
    /// How many missed events are gone.
    pub lost: u64,
}

/// A watcher is gone.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Unwatch(pub WatchId);

/// Events for one watch.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Events {
    /// The watch's tag.
    pub tag: u64,
    /// In order of their numbers.
    pub events: Vec<Event>,
    /// Set when events after this number are gone for good: the bus crashed, and its ring kept too few of them.
    pub lost_after: Option<u64>,
}

/// Which events a watcher wants.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Only these tasks' events; empty: all.
    pub tasks: Vec<TaskId>,
    /// Only these kinds (`task`, `output`, ...); empty: all.
    pub kinds: Vec<String>,
    /// Only the ends of tasks (for `wait`).
    pub only_final: bool,
}

impl Filter {
    fn takes(&self, what: &EventKind) -> bool {
        if self.only_final && !matches!(what, EventKind::Task { status, .. } if status.is_final()) {
            return false;
        }
        if !self.kinds.is_empty() && !self.kinds.iter().any(|k| k == kind_name(what)) {
            return false;
        }
        self.tasks.is_empty() || task_of(what).is_some_and(|id| self.tasks.contains(&id))
    }
}

/// The kind's word on the wire.
pub fn kind_name(what: &EventKind) -> &'static str {
    match what {
        EventKind::Task { .. } => "task",
        EventKind::Approval { .. } => "approval",
        EventKind::Progress { .. } => "progress",
        EventKind::Output { .. } => "output",
        EventKind::Session { .. } => "session",
        EventKind::Actor { .. } => "actor",
        EventKind::Queue { .. } => "queue",
        EventKind::Hub { .. } => "hub",
    }
}

fn task_of(what: &EventKind) -> Option<TaskId> {
    match what {
        EventKind::Task { task_id, .. }
        | EventKind::Approval { task_id, .. }
        | EventKind::Progress { task_id, .. }
        | EventKind::Output { task_id, .. } => Some(*task_id),
        _ => None,
    }
}

/// What outlives the actor.
pub type SharedRing = Arc<Mutex<Ring>>;

/// Who watches; outlives the actor, too.
pub type SharedWatchers = Arc<Mutex<Watchers<Recipient<Events>>>>;

/// The tree whose exits and restarts are published, once it is known.
pub type SharedTree = Arc<OnceLock<Tree>>;

/// The tree is known: follow it.
#[derive(Message)]
#[rtype(result = "()")]
pub struct FollowTree;

/// The actor.
pub struct Bus {
    child: ChildContext,
    ring: SharedRing,
    tree: SharedTree,
    follows: bool,
    watchers: SharedWatchers,
}

supervised!(Bus);

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
            tree,
            follows: false,
            watchers,
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

    fn publish(&mut self, happened: Vec<EventKind>) {
        let time = self.child.clock().now_ms() as f64 / 1000.0;
        let mut ring = self.ring.lock().unwrap_or_else(PoisonError::into_inner);
        let mut watchers = self.watchers.lock().unwrap_or_else(PoisonError::into_inner);
        let mut out: HashMap<WatchId, Vec<Event>> = HashMap::new();
        for what in happened {
            let event = ring.push(time, what);
            for id in watchers.of(&event.what) {
                out.entry(id).or_default().push(event.clone());
            }
        }
        let newest = ring.newest();
        drop(ring);
        for (id, events) in out {
            if let Some(to) = watchers.sent(id, newest) {
                to.do_send(Events {
                    tag: id.1,
                    events,
                    lost_after: None,
                });
            }
        }
        watchers.keep(newest, Recipient::connected);
    }

    /// After a crash: sends the watchers what the incarnation before has not.
    fn catch_up(&mut self) {
        let ring = self.ring.lock().unwrap_or_else(PoisonError::into_inner);
        let mut watchers = self.watchers.lock().unwrap_or_else(PoisonError::into_inner);
        for missed in watchers.missed(&ring) {
            if let Some(to) = watchers.sent(missed.id, ring.newest()) {
                to.do_send(Events {
                    tag: missed.id.1,
                    events: missed.events,
                    lost_after: missed.lost_after,
                });
            }
        }
    }
}

impl Actor for Bus {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        if self.child.incarnation() > 0 {
            self.catch_up();
        }
        self.follow_tree(ctx);
    }
}

impl Handler<FollowTree> for Bus {
    type Result = ();

    fn handle(&mut self, _: FollowTree, ctx: &mut Self::Context) {
        self.follow_tree(ctx);
    }
}

impl StreamHandler<TreeEvent> for Bus {
    fn handle(&mut self, event: TreeEvent, _: &mut Self::Context) {
        let (state, reason) = match event.change {
            Change::Started { incarnation: 0 } => ("started", String::new()),
            Change::Started { .. } => ("restarted", String::new()),
            Change::Exited {
                reason,
                restart_in_ms: Some(ms),
            } => ("restarting", format!("{reason}; restart in {ms} ms")),
            Change::Exited {
                reason: reason @ ExitReason::GaveUp(_),
                ..
            } => ("gave_up", reason.to_string()),
            Change::Exited { reason, .. } => ("exited", reason.to_string()),
        };
        self.publish(vec![EventKind::Actor {
            path: event.path,
            state: state.into(),
            reason,
        }]);
    }

    /// The tree ends before the bus does; the default would stop the bus.
    fn finished(&mut self, _: &mut Self::Context) {}
}

impl Handler<Publish> for Bus {
    type Result = ();

    fn handle(&mut self, Publish(happened): Publish, _: &mut Self::Context) {
        self.child.handled();
        self.publish(happened);
    }
}

impl Handler<Watch> for Bus {
    type Result = Watched;

    fn handle(&mut self, watch: Watch, _: &mut Self::Context) -> Watched {
        let ring = self.ring.lock().unwrap_or_else(PoisonError::into_inner);
        let missed = watch.since.map(|since| ring.after(since));
        let (missed, lost) = missed.map_or((Vec::new(), 0), |m| (m.events, m.lost));
        let missed = missed
            .into_iter()
            .filter(|e| watch.filter.takes(&e.what))
            .collect();
        let mut watchers = self.watchers.lock().unwrap_or_else(PoisonError::into_inner);
        watchers.add(watch.id, watch.filter, watch.to, ring.newest());
        Watched {
            newest: ring.newest(),
            missed,
            lost,
        }
    }
}

impl Handler<Unwatch> for Bus {
    type Result = ();

    fn handle(&mut self, Unwatch(id): Unwatch, _: &mut Self::Context) {
        let mut watchers = self.watchers.lock().unwrap_or_else(PoisonError::into_inner);
        watchers.remove(id);
    }
}
