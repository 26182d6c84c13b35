//! Sessions whose leases are being taken away, in steps: pure rules.
//!
//! One session may hold very many leases, and thousands of sessions may be lost at once. Each step is one commit, whose length
//! the store bounds; a session that it has left leases of goes to the end of the line.

use std::collections::{HashMap, VecDeque};

/// Sessions of one step.
const AT_ONCE: usize = 50;

/// See the module.
#[derive(Debug, Default)]
pub struct Endings {
    /// Each session once.
    line: VecDeque<String>,
    /// Leases that each of them has lost so far.
    lost: HashMap<String, usize>,
    /// Numbers that were given to commands; also those of an actor that has crashed are answered, and mean nothing then.
    numbers: u64,
}

/// The progress that a step has made with a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Leases that it had lost before.
    pub before: usize,
    /// Leases that it has lost now.
    pub total: usize,
}

impl Endings {
    /// A session's leases are to be taken away.
    pub fn begin(&mut self, session: String) {
        if !self.lost.contains_key(&session) {
            self.lost.insert(session.clone(), 0);
            self.line.push_back(session);
        }
    }

    /// Whether they are not all taken away yet.
    pub fn contains(&self, session: &str) -> bool {
        self.lost.contains_key(session)
    }

    /// The sessions of the next step, each with a number for its command that was never used before.
    pub fn step(&mut self) -> Vec<(u64, String)> {
        let first = self.numbers;
        let count = self.line.len().min(AT_ONCE);
        let step: Vec<(u64, String)> = (first..).zip(self.line.drain(..count)).collect();
        self.numbers += step.len() as u64;
        step
    }

    /// The answers to the last step will not come: all that are not over are in line again.
    pub fn begin_again(&mut self) {
        self.line = self.lost.keys().cloned().collect();
    }

    /// So many more of a session's leases are gone; `more` says whether some are left.
    pub fn took(&mut self, session: &str, leases: usize, more: bool) -> Progress {
        let before = self.lost.get(session).copied().unwrap_or(0);
        let total = before + leases;
        match more {
            true => {
                self.lost.insert(session.to_owned(), total);
                self.line.push_back(session.to_owned());
            }
            false => drop(self.lost.remove(session)),
        }
        Progress { before, total }
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
        assert_eq!(step.len(), AT_ONCE);
        assert_eq!((&step[0], step[49].0), (&(0, "s0".to_owned()), 49));
        let first = endings.took("s0", 100, true);
        assert_eq!(
            first,
            Progress {
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
            Progress {
                before: 100,
                total: 107
            }
        );
        assert!(!endings.contains("s0"));
    }
}
