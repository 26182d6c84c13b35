//! One verb for a number of rounds: the cost of each of the three verbs.

use super::{Kirosu, Step, Style, Talk};

/// A hub's speaker that says one verb until it has said it often enough.
pub struct OneVerb {
    kirosu: Kirosu,
    step: Step,
    rounds: usize,
    /// Tasks leased and not yet acked, a round's together.
    held: Vec<Vec<u64>>,
    handled: u64,
    batch: usize,
}

impl OneVerb {
    /// As [`Kirosu::new`]; silent until [`OneVerb::turn_to`].
    pub fn new(speaker: u64, batch: usize, style: Style) -> OneVerb {
        OneVerb {
            kirosu: Kirosu::new(speaker, batch, style),
            step: Step::Enqueue,
            rounds: 0,
            held: Vec::new(),
            handled: 0,
            batch,
        }
    }

    /// Sets the requests of the next run: `rounds` of a batch each; acks up to the number of held leases.
    pub fn turn_to(&mut self, step: Step, rounds: usize) {
        self.keep_leased();
        self.step = step;
        self.rounds = match step {
            Step::Ack => self.held.len(),
            _ => rounds,
        };
    }

    fn keep_leased(&mut self) {
        let tasks = std::mem::take(&mut self.kirosu.tasks);
        if self.step == Step::Lease && !tasks.is_empty() {
            self.handled += tasks.len() as u64;
            self.held.push(tasks);
        }
    }
}

impl Talk for OneVerb {
    fn next(&mut self, out: &mut Vec<u8>) -> usize {
        self.keep_leased();
        if self.rounds == 0 {
            return 0;
        }
        self.rounds -= 1;
        self.kirosu.step = self.step;
        match self.step {
            Step::Enqueue => {
                self.handled += self.batch as u64;
                self.kirosu.enqueue(out)
            }
            Step::Lease => self.kirosu.lease(out),
            Step::Ack => {
                self.kirosu.tasks = self.held.pop().unwrap_or_default();
                self.handled += self.kirosu.tasks.len() as u64;
                self.kirosu.ack(out)
            }
        }
    }

    fn take(&mut self, input: &[u8]) -> Result<usize, String> {
        self.kirosu.take(input)
    }

    fn cycles(&self) -> u64 {
        self.handled
    }
}
