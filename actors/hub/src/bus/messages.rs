//! The messages of the event bus.

use super::kind::Filter;
use super::ring::Line;
use super::watchers::WatchId;
use actix::prelude::*;
use kirosu_protocol::{EventKind, TaskId};

/// Things that happened, in order.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Publish(pub Vec<EventKind>);

/// Asks from which number a new watcher can be sent events: those after a number that it names, or those from now on.
#[derive(Message)]
#[rtype(result = "Stand")]
pub struct Look(pub Option<u64>);

/// The answer to [`Look`].
#[derive(Debug, MessageResponse)]
pub struct Stand {
    /// The newest number at this moment.
    pub newest: u64,
    /// The number after which all events are kept.
    pub from: u64,
    /// How many missed events are gone.
    pub lost: u64,
}

/// Begins a watch of the events after a number: the watcher is sent a piece of those that are kept, and, when these are all, each
/// event that comes.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Watch {
    /// The watcher; one watch a connection and tag.
    pub id: WatchId,
    /// The events that it wants.
    pub filter: Filter,
    /// The last number seen.
    pub from: u64,
    /// The watcher's own number for this request: it comes back with the events.
    pub turn: u64,
    /// Where events go.
    pub to: Recipient<Events>,
}

/// Begins a wait for the ends of tasks.
#[derive(Message)]
#[rtype(result = "()")]
pub struct WaitFor {
    /// The wait; one a connection and tag.
    pub id: WatchId,
    /// The tasks.
    pub tasks: Vec<TaskId>,
    /// The recipient of their ends.
    pub to: Recipient<Ended>,
}

/// A watcher or waiter is gone.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Unwatch(pub WatchId);

/// Events for one watch.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Events {
    /// The watch's tag.
    pub tag: u64,
    /// Of the request that these follow from.
    pub turn: u64,
    /// In order of their numbers.
    pub lines: Vec<Line>,
    /// The number up to which these are all.
    pub upto: u64,
    /// Whether some before these are kept no longer.
    pub is_gap: bool,
    /// Whether further events are sent as they come; else they have to be asked for.
    pub follows: bool,
}

/// Ends of tasks, for one wait.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Ended {
    /// The wait's tag.
    pub tag: u64,
    /// The tasks that have ended. `None` after a crash of the bus: ends may have been missed.
    pub tasks: Option<Vec<TaskId>>,
}

/// The tree is known: follow it.
#[derive(Message)]
#[rtype(result = "()")]
pub struct FollowTree;
