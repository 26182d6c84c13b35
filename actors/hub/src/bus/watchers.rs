//! The watchers of the bus and how far each has been sent the events: pure state, so that it can outlive the actor.

use super::Filter;
use super::ring::Ring;
use crate::connection::ConnectionId;
use kirosu_protocol::{Event, EventKind};
use std::collections::HashMap;

/// A watch: its connection, and its tag there.
pub type WatchId = (ConnectionId, u64);

#[derive(Debug)]
struct Watcher<T> {
    filter: Filter,
    to: T,
    /// The number of the newest event that it was sent, or that its filter left out.
    sent: u64,
}

/// All watchers. `T` is how one is reached.
#[derive(Debug)]
pub struct Watchers<T> {
    by_id: HashMap<WatchId, Watcher<T>>,
}

/// Events that a watcher was not sent.
#[derive(Debug, PartialEq)]
pub struct NotSent {
    /// The watch.
    pub id: WatchId,
    /// Those that its filter takes, in order.
    pub events: Vec<Event>,
    /// Set when the ring does not keep all events after this number.
    pub lost_after: Option<u64>,
}

impl<T> Default for Watchers<T> {
    fn default() -> Self {
        Watchers {
            by_id: HashMap::new(),
        }
    }
}

impl<T> Watchers<T> {
    /// Adds a watcher that wants the events after number `newest`; it replaces one of the same id.
    pub fn add(&mut self, id: WatchId, filter: Filter, to: T, newest: u64) {
        let sent = newest;
        self.by_id.insert(id, Watcher { filter, to, sent });
    }

    /// Removes a watcher; an unknown one is fine.
    pub fn remove(&mut self, id: WatchId) {
        self.by_id.remove(&id);
    }

    /// The watchers whose filter takes an event.
    pub fn of(&self, what: &EventKind) -> impl Iterator<Item = WatchId> {
        let takes = self.by_id.iter().filter(|(_, w)| w.filter.takes(what));
        takes.map(|(id, _)| *id)
    }

    /// Notes that a watcher is sent everything up to number `newest`; how it is reached.
    pub fn sent(&mut self, id: WatchId, newest: u64) -> Option<&T> {
        let watcher = self.by_id.get_mut(&id)?;
        watcher.sent = newest;
        Some(&watcher.to)
    }

    /// Keeps the watchers that are `there`, and notes that they have everything up to number `newest`.
    pub fn keep(&mut self, newest: u64, there: impl Fn(&T) -> bool) {
        self.by_id.retain(|_, watcher| {
            watcher.sent = newest;
            there(&watcher.to)
        });
    }

    /// What the watchers were not sent, of those that lack anything.
    pub fn missed(&self, ring: &Ring) -> Vec<NotSent> {
        let lacking = self.by_id.iter().filter(|(_, w)| w.sent < ring.newest());
        let missed = lacking.map(|(id, watcher)| {
            let missed = ring.after(watcher.sent);
            let takes = |event: &Event| watcher.filter.takes(&event.what);
            NotSent {
                id: *id,
                events: missed.events.into_iter().filter(takes).collect(),
                lost_after: (missed.lost > 0).then_some(watcher.sent),
            }
        });
        missed
            .filter(|missed| !missed.events.is_empty() || missed.lost_after.is_some())
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hub(state: &str) -> EventKind {
        EventKind::Hub {
            state: state.into(),
        }
    }

    #[test]
    fn after_a_crash_each_watcher_gets_what_it_was_not_sent() {
        let mut ring = Ring::new(2);
        let mut watchers = Watchers::default();
        let (one, two, three) = (
            (ConnectionId(1), 1),
            (ConnectionId(2), 1),
            (ConnectionId(3), 1),
        );
        watchers.add(one, Filter::default(), (), ring.newest());
        ring.push(0.0, hub("a"));
        watchers.add(two, Filter::default(), (), ring.newest());
        let tasks = Filter {
            kinds: vec!["task".into()],
            ..Filter::default()
        };
        watchers.add(three, tasks, (), ring.newest());
        ring.push(0.0, hub("b"));
        ring.push(0.0, hub("c"));
        watchers.sent(two, 2);
        let mut missed = watchers.missed(&ring);
        missed.sort_by_key(|missed| missed.id);
        let seen: Vec<_> = missed
            .iter()
            .map(|missed| {
                let numbers: Vec<u64> = missed.events.iter().map(|event| event.seq).collect();
                (missed.id, numbers, missed.lost_after)
            })
            .collect();
        assert_eq!(seen, [(one, vec![2, 3], Some(0)), (two, vec![3], None)]);
    }
}
