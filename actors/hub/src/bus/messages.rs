//! The messages of the event bus.

use super::kind::EventFilter;
use super::ring::EventLine;
use super::watchers::WatchId;
use actix::prelude::*;
use kirosu_protocol::{EventKind, TaskId};

/// Publishes events, in order.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Publish(pub Vec<EventKind>);

/// Finds the position at which a new watch begins: after the number that it names, or after the newest event (`None`).
#[derive(Message)]
#[rtype(result = "RingPosition")]
pub struct FindPosition(pub Option<u64>);

/// The answer to [`FindPosition`].
#[derive(Debug, MessageResponse)]
pub struct RingPosition {
    /// The number of the newest event.
    pub newest: u64,
    /// The number after which all events are kept.
    pub from: u64,
    /// The number of events after the named one that are no longer kept.
    pub lost: u64,
}

/// Requests events after a number. The bus sends one piece of those that are kept. If that is all of them, it sends further
/// events as they come.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Watch {
    /// The watch: its connection, and the tag of its request.
    pub id: WatchId,
    /// The events that it selects.
    pub filter: EventFilter,
    /// The number of the last event that the watch has.
    pub from: u64,
    /// The watch's own number of this request. The events have it, too.
    pub turn: u64,
    /// The recipient of the events.
    pub to: Recipient<WatchedEvents>,
}

/// Subscribes to the ends of tasks.
#[derive(Message)]
#[rtype(result = "()")]
pub struct WaitFor {
    /// The wait: its connection, and the tag of its request.
    pub id: WatchId,
    /// The tasks.
    pub tasks: Vec<TaskId>,
    /// The recipient of their ends.
    pub to: Recipient<WaitedTasksEnded>,
}

/// Ends a watch or a wait. Unknown ones are ignored.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Unwatch(pub WatchId);

/// Events for one watch.
#[derive(Message)]
#[rtype(result = "()")]
pub struct WatchedEvents {
    /// The watch's tag.
    pub tag: u64,
    /// The number of the [`Watch`] request that these follow from.
    pub turn: u64,
    /// The events, in the order of their numbers.
    pub lines: Vec<EventLine>,
    /// The number up to which the watch has all events now.
    pub upto: u64,
    /// Whether events before these are no longer kept.
    pub is_gap: bool,
    /// Whether further events are sent as they come. If not, the watch must request them.
    pub follows: bool,
}

/// Ends of tasks, for one wait.
#[derive(Message)]
#[rtype(result = "()")]
pub struct WaitedTasksEnded {
    /// The wait's tag.
    pub tag: u64,
    /// The tasks that have ended. `None` after a crash of the bus: ends may have been missed.
    pub tasks: Option<Vec<TaskId>>,
}

/// Makes the bus publish the exits and restarts of the supervision tree, which is known now.
#[derive(Message)]
#[rtype(result = "()")]
pub struct FollowTree;
