//! Who watches the events, and how far each has been sent them; who waits for the ends of tasks. Pure state, so that it
//! can outlive the actor.

use super::kind::Filter;
use super::ring::{Missed, Ring};
use crate::connection::ConnectionId;
use kirosu_protocol::TaskId;
use std::collections::HashMap;

/// A watch or a wait: its connection, and its tag there.
pub type WatchId = (ConnectionId, u64);

#[derive(Debug)]
struct Watcher<W> {
    filter: Filter,
    to: W,
    /// The number of its request.
    turn: u64,
    /// The number of the newest event that it was sent, or that its filter left out.
    sent: u64,
}

#[derive(Debug)]
struct Waiter<E> {
    tasks: Vec<TaskId>,
    to: E,
}

/// All watchers and waiters. `W` is how a watcher is reached, `E` how one who waits for ends.
#[derive(Debug)]
pub struct Watchers<W, E> {
    watchers: HashMap<WatchId, Watcher<W>>,
    waiters: HashMap<WatchId, Waiter<E>>,
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
    /// Adds a watcher that has been sent everything up to number `sent`; it replaces one of the same id.
    pub fn watch(&mut self, id: WatchId, filter: Filter, to: W, turn: u64, sent: u64) {
        let watcher = Watcher {
            filter,
            to,
            turn,
            sent,
        };
        self.watchers.insert(id, watcher);
    }

    /// Adds one who waits for the ends of these tasks.
    pub fn wait(&mut self, id: WatchId, tasks: Vec<TaskId>, to: E) {
        for task in &tasks {
            self.by_task.entry(*task).or_default().push(id);
        }
        self.waiters.insert(id, Waiter { tasks, to });
    }

    /// Removes a watcher or a waiter; an unknown one is fine.
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

    /// How many watch.
    pub fn count(&self) -> usize {
        self.watchers.len()
    }

    /// Sends up to `most` watchers that have not been sent event number `upto` what they have not been sent, each at most
    /// about `room` bytes. A watcher with more to come is removed: it has to ask for the rest. Returns whether every
    /// watcher has been sent event `upto` now.
    ///
    /// The newest event may be newer than `upto`: with a fixed `upto` repeated calls reach every watcher, however many
    /// events are published meanwhile.
    pub fn send_missed(
        &mut self,
        ring: &mut Ring,
        upto: u64,
        most: usize,
        room: usize,
        send: impl Fn(WatchId, &W, u64, Missed, bool),
    ) -> bool {
        let newest = ring.newest();
        let (mut left, mut all) = (most, true);
        self.watchers.retain(|id, watcher| {
            if watcher.sent >= upto {
                return true;
            }
            if left == 0 {
                all = false;
                return true;
            }
            left -= 1;
            let missed = ring.after(watcher.sent, &watcher.filter, room);
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

    /// Those who wait for the ends of some of these tasks, each with which.
    pub fn waiting_for(&self, ended: &[TaskId]) -> HashMap<WatchId, Vec<TaskId>> {
        let mut found: HashMap<WatchId, Vec<TaskId>> = HashMap::new();
        for task in ended {
            for id in self.by_task.get(task).into_iter().flatten() {
                found.entry(*id).or_default().push(*task);
            }
        }
        found
    }

    /// How one who waits is reached.
    pub fn waiter(&self, id: WatchId) -> Option<&E> {
        self.waiters.get(&id).map(|waiter| &waiter.to)
    }

    /// All who wait.
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

    fn happens(ring: &mut Ring, state: &str) {
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
    fn each_watcher_is_sent_what_it_was_not_sent_and_only_what_it_wants() {
        let mut ring = Ring::new(100, 1 << 20);
        let mut watchers = Watchers::default();
        watchers.watch(ONE, Filter::ALL, (), 7, 0);
        happens(&mut ring, "a");
        watchers.watch(TWO, Filter::ALL, (), 8, ring.newest());
        let tasks = Filter::new(None, &["task".into()]);
        watchers.watch((ConnectionId(3), 1), tasks, (), 9, 0);
        happens(&mut ring, "b");
        assert_eq!(
            send(&mut watchers, &mut ring, 1000),
            [(ONE, 7, 2, 2, true), (TWO, 8, 2, 1, true)]
        );
        assert_eq!(send(&mut watchers, &mut ring, 1000), []);
    }

    #[test]
    fn a_turn_reaches_some_and_the_next_ones_the_others_whatever_happens_meanwhile() {
        let mut ring = Ring::new(100, 1 << 20);
        let mut watchers: Watchers<(), ()> = Watchers::default();
        for connection in 0..5 {
            watchers.watch((ConnectionId(connection), 1), Filter::ALL, (), 1, 0);
        }
        happens(&mut ring, "a");
        let upto = ring.newest();
        let sent = RefCell::new(Vec::new());
        let ended: Vec<bool> = (0..3)
            .map(|_| {
                let send = |id, (): &(), _, _, _| sent.borrow_mut().push(id);
                let all = watchers.send_missed(&mut ring, upto, 2, 1000, send);
                happens(&mut ring, "b");
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
    fn a_watcher_for_whom_there_is_more_than_room_has_to_ask_for_the_rest() {
        let mut ring = Ring::new(100, 1 << 20);
        let mut watchers = Watchers::default();
        watchers.watch(ONE, Filter::ALL, (), 7, 0);
        for state in ["a", "b", "c"] {
            happens(&mut ring, state);
        }
        assert_eq!(send(&mut watchers, &mut ring, 1), [(ONE, 7, 1, 1, false)]);
        assert_eq!(send(&mut watchers, &mut ring, 1), []);
        assert_eq!(watchers.count(), 0);
    }

    #[test]
    fn those_who_wait_are_found_by_their_tasks() {
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
