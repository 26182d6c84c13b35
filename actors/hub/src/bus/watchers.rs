//! The watchers of events with their positions, and the waits for ends of tasks. Pure state, which survives the actor.

use super::kind::EventFilter;
use super::ring::{MissedEvents, Ring};
use crate::caller::ConnectionId;
use kirosu_protocol::TaskId;
use std::collections::HashMap;

/// A watch or a wait: its connection, and the tag of its request.
pub type WatchId = (ConnectionId, u64);

#[derive(Debug)]
struct EventWatcher<W> {
    filter: EventFilter,
    to: W,
    /// The watch's number of its request.
    turn: u64,
    /// The number of the newest event that was sent to it, or that its filter left out.
    sent: u64,
}

#[derive(Debug)]
struct TaskWaiter<E> {
    tasks: Vec<TaskId>,
    to: E,
}

/// All watchers and waiters. `W` is the recipient of a watcher, `E` the recipient of a waiter.
#[derive(Debug)]
pub struct Watchers<W, E> {
    watchers: HashMap<WatchId, EventWatcher<W>>,
    waiters: HashMap<WatchId, TaskWaiter<E>>,
    by_task: HashMap<TaskId, Vec<WatchId>>,
}

impl<W, E> Default for Watchers<W, E> {
    fn default() -> Self {
        Watchers {
            watchers: HashMap::new(),
            waiters: HashMap::new(),
            by_task: HashMap::new(),
        }
    }
}

impl<W, E> Watchers<W, E> {
    /// Adds a watcher that has all events up to number `sent`. It replaces one with the same id.
    pub fn watch(&mut self, id: WatchId, filter: EventFilter, to: W, turn: u64, sent: u64) {
        let watcher = EventWatcher {
            filter,
            to,
            turn,
            sent,
        };
        self.watchers.insert(id, watcher);
    }

    /// Adds a waiter for the ends of these tasks. It replaces one with the same id.
    pub fn wait(&mut self, id: WatchId, tasks: Vec<TaskId>, to: E) {
        self.remove(id);
        for task in &tasks {
            self.by_task.entry(*task).or_default().push(id);
        }
        self.waiters.insert(id, TaskWaiter { tasks, to });
    }

    /// Removes a watcher or a waiter. Unknown ids are ignored.
    pub fn remove(&mut self, id: WatchId) {
        self.watchers.remove(&id);
        let Some(waiter) = self.waiters.remove(&id) else {
            return;
        };
        for task in waiter.tasks {
            if let Some(ids) = self.by_task.get_mut(&task) {
                ids.retain(|other| *other != id);
                if ids.is_empty() {
                    self.by_task.remove(&task);
                }
            }
        }
    }

    /// The number of watchers.
    pub fn count(&self) -> usize {
        self.watchers.len()
    }

    /// Sends missed events to at most `limit` of the watchers that do not have event number `upto`, about `bytes` bytes to each.
    /// A watcher that still misses events then is removed: it must request the rest. Returns whether every watcher has event
    /// `upto` now.
    ///
    /// The newest event may be newer than `upto`. With a fixed `upto` repeated calls reach every watcher, however many events
    /// are published meanwhile.
    pub fn send_missed(
        &mut self,
        ring: &mut Ring,
        upto: u64,
        limit: usize,
        bytes: usize,
        send: impl Fn(WatchId, &W, u64, MissedEvents, bool),
    ) -> bool {
        let newest = ring.newest();
        let (mut left, mut all) = (limit, true);
        self.watchers.retain(|id, watcher| {
            if watcher.sent >= upto {
                return true;
            }
            if left == 0 {
                all = false;
                return true;
            }
            left -= 1;
            let missed = ring.after(watcher.sent, &watcher.filter, bytes);
            let upto = missed.upto;
            let follows = upto == newest && missed.lost == 0;
            if !(missed.lines.is_empty() && follows) {
                send(*id, &watcher.to, watcher.turn, missed, follows);
            }
            watcher.sent = upto;
            follows
        });
        all
    }

    /// The waiters for the ends of some of these tasks, each with its tasks.
    pub fn waiting_for(&self, ended: &[TaskId]) -> HashMap<WatchId, Vec<TaskId>> {
        let mut found: HashMap<WatchId, Vec<TaskId>> = HashMap::new();
        for task in ended {
            for id in self.by_task.get(task).into_iter().flatten() {
                found.entry(*id).or_default().push(*task);
            }
        }
        found
    }

    /// The recipient of a waiter.
    pub fn waiter(&self, id: WatchId) -> Option<&E> {
        self.waiters.get(&id).map(|waiter| &waiter.to)
    }

    /// The recipients of all waiters.
    pub fn waiters(&self) -> impl Iterator<Item = (WatchId, &E)> {
        self.waiters.iter().map(|(id, waiter)| (*id, &waiter.to))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kirosu_protocol::EventKind;
    use std::cell::RefCell;

    const ONE: WatchId = (ConnectionId(1), 1);
    const TWO: WatchId = (ConnectionId(2), 1);

    #[test]
    fn a_waiter_that_is_replaced_leaves_nothing_behind() {
        let mut watchers: Watchers<(), ()> = Watchers::default();
        watchers.wait(ONE, vec![1, 2], ());
        watchers.wait(ONE, vec![3], ());
        watchers.remove(ONE);
        assert!(watchers.by_task.is_empty() && watchers.waiters.is_empty());
    }

    fn push(ring: &mut Ring, state: &str) {
        ring.push(
            0.0,
            EventKind::Hub {
                state: state.into(),
            },
        );
    }

    type Sent = Vec<(WatchId, u64, u64, usize, bool)>;

    fn send(watchers: &mut Watchers<(), ()>, ring: &mut Ring, room: usize) -> Sent {
        let sent = RefCell::new(Vec::new());
        let upto = ring.newest();
        watchers.send_missed(
            ring,
            upto,
            usize::MAX,
            room,
            |id, (), turn, missed, follows| {
                let lines = missed.lines.len();
                sent.borrow_mut()
                    .push((id, turn, missed.upto, lines, follows));
            },
        );
        let mut sent = sent.into_inner();
        sent.sort_unstable();
        sent
    }

    #[test]
    fn each_watcher_gets_the_missed_events_that_its_filter_selects() {
        let mut ring = Ring::new(100, 1 << 20);
        let mut watchers = Watchers::default();
        watchers.watch(ONE, EventFilter::ALL, (), 7, 0);
        push(&mut ring, "a");
        watchers.watch(TWO, EventFilter::ALL, (), 8, ring.newest());
        let tasks = EventFilter::new(None, &["task".into()]);
        watchers.watch((ConnectionId(3), 1), tasks, (), 9, 0);
        push(&mut ring, "b");
        assert_eq!(
            send(&mut watchers, &mut ring, 1000),
            [(ONE, 7, 2, 2, true), (TWO, 8, 2, 1, true)]
        );
        assert_eq!(send(&mut watchers, &mut ring, 1000), []);
    }

    #[test]
    fn later_turns_reach_the_other_watchers_whatever_is_published_meanwhile() {
        let mut ring = Ring::new(100, 1 << 20);
        let mut watchers: Watchers<(), ()> = Watchers::default();
        for connection in 0..5 {
            watchers.watch((ConnectionId(connection), 1), EventFilter::ALL, (), 1, 0);
        }
        push(&mut ring, "a");
        let upto = ring.newest();
        let sent = RefCell::new(Vec::new());
        let ended: Vec<bool> = (0..3)
            .map(|_| {
                let send = |id, (): &(), _, _, _| sent.borrow_mut().push(id);
                let all = watchers.send_missed(&mut ring, upto, 2, 1000, send);
                push(&mut ring, "b");
                all
            })
            .collect();
        assert_eq!(ended, [false, false, true]);
        let mut sent = sent.into_inner();
        sent.sort_unstable();
        sent.dedup();
        assert_eq!(sent.len(), 5);
    }

    #[test]
    fn a_watcher_that_misses_more_than_a_piece_must_request_the_rest() {
        let mut ring = Ring::new(100, 1 << 20);
        let mut watchers = Watchers::default();
        watchers.watch(ONE, EventFilter::ALL, (), 7, 0);
        for state in ["a", "b", "c"] {
            push(&mut ring, state);
        }
        assert_eq!(send(&mut watchers, &mut ring, 1), [(ONE, 7, 1, 1, false)]);
        assert_eq!(send(&mut watchers, &mut ring, 1), []);
        assert_eq!(watchers.count(), 0);
    }

    #[test]
    fn waiters_are_found_by_their_tasks() {
        let mut watchers: Watchers<(), ()> = Watchers::default();
        watchers.wait(ONE, vec![1, 2], ());
        watchers.wait(TWO, vec![2, 3], ());
        let found = watchers.waiting_for(&[2, 3, 4]);
        assert_eq!(found, HashMap::from([(ONE, vec![2]), (TWO, vec![2, 3])]));
        watchers.remove(TWO);
        assert_eq!(
            watchers.waiting_for(&[2, 3]),
            HashMap::from([(ONE, vec![2])])
        );
        assert_eq!(watchers.by_task.len(), 2);
    }
}
