//! SIGSTOP of worker processes for longer than their leases: when they go on, they ack what is no longer theirs.

use super::{Field, Nemesis};
use crate::Fault;
use rustix::process::Signal;

#[derive(Default)]
pub(super) struct Stop {
    /// Which of the processes.
    stopped: Vec<usize>,
}

impl Nemesis for Stop {
    fn lasts_ms(&self) -> (u64, u64) {
        // Leases are of one second.
        (1_300, 2_200)
    }

    fn start(&mut self, field: &mut Field<'_>) -> Result<(), Fault> {
        for (n, remote) in field.remotes.iter().enumerate() {
            if self.stopped.is_empty() || field.rng.bool() {
                remote.signal(Signal::STOP)?;
                self.stopped.push(n);
            }
        }
        Ok(())
    }

    fn heal(&mut self, field: &mut Field<'_>) -> Result<(), Fault> {
        for n in self.stopped.drain(..) {
            field.remotes[n].signal(Signal::CONT)?;
        }
        Ok(())
    }
}
