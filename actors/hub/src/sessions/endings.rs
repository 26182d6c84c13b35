//! Sessions whose leases are being taken away in steps, as a pure machine.
//!
//! One session may hold very many leases, and thousands of sessions may be lost at once. Each step is one commit, whose duration
//! the store bounds. A session that still has leases after a step goes to the end of the queue.

use std::collections::{HashMap, VecDeque};

/// The largest number of sessions in one step.
const SESSIONS_PER_STEP: usize = 50;

/// The sessions that end.
#[derive(Debug, Default)]
pub struct Endings {
    /// Sessions that no step is under way for, each once.
    queue: VecDeque<String>,
    /// The number of leases that each session has lost so far.
    lost: HashMap<String, usize>,
    /// The next command number. Numbers are never reused: the commands of an actor that has crashed are answered, too, and
    /// their answers must mean nothing.
    numbers: u64,
}

/// The leases of a session that are taken away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeasesTaken {
    /// Their number before the step.
    pub before: usize,
    /// Their number after the step.
    pub total: usize,
}

impl Endings {
    /// Begins to take the leases of a session away.
    pub fn begin(&mut self, session: String) {
        if !self.lost.contains_key(&session) {
            self.lost.insert(session.clone(), 0);
            self.queue.push_back(session);
        }
    }

    /// Whether the session may still have leases.
    pub fn contains(&self, session: &str) -> bool {
        self.lost.contains_key(session)
    }

    /// The sessions of the next step, each with a new number for its command.
    pub fn step(&mut self) -> Vec<(u64, String)> {
        let first = self.numbers;
        let count = self.queue.len().min(SESSIONS_PER_STEP);
        let step: Vec<(u64, String)> = (first..).zip(self.queue.drain(..count)).collect();
        self.numbers += step.len() as u64;
        step
    }

    /// Queues all sessions again: the answers to the last step are lost.
    pub fn begin_again(&mut self) {
        self.queue = self.lost.keys().cloned().collect();
    }

    /// Records the leases that a step took away from a session. `more`: the session has further leases.
    pub fn took(&mut self, session: &str, leases: usize, more: bool) -> LeasesTaken {
        let before = self.lost.get(session).copied().unwrap_or(0);
        let total = before + leases;
        match more {
            true => {
                self.lost.insert(session.to_owned(), total);
                self.queue.push_back(session.to_owned());
            }
            false => drop(self.lost.remove(session)),
        }
        LeasesTaken { before, total }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_with_very_many_leases_does_not_hold_up_the_others() {
        let mut endings = Endings::default();
        for number in 0..60 {
            endings.begin(format!("s{number}"));
            endings.begin(format!("s{number}"));
        }
        let step = endings.step();
        assert_eq!(step.len(), SESSIONS_PER_STEP);
        assert_eq!((&step[0], step[49].0), (&(0, "s0".to_owned()), 49));
        let first = endings.took("s0", 100, true);
        assert_eq!(
            first,
            LeasesTaken {
                before: 0,
                total: 100
            }
        );
        for (_, session) in &step[1..] {
            endings.took(session, 1, false);
        }
        let next: Vec<(u64, String)> = endings.step();
        assert_eq!(next.len(), 11);
        assert_eq!(next[0], (50, "s50".to_owned()));
        assert_eq!(next[10].1, "s0");
        for (_, session) in &next[..10] {
            endings.took(session, 1, false);
        }
        assert!(endings.contains("s0") && !endings.contains("s1"));
        endings.begin_again();
        assert_eq!(endings.step(), [(61, "s0".to_owned())]);
        let last = endings.took("s0", 7, false);
        assert_eq!(
            last,
            LeasesTaken {
                before: 100,
                total: 107
            }
        );
        assert!(!endings.contains("s0"));
    }
}
