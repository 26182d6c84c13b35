//! Measurements of commits.

use kirosu_store::Histogram;
use std::time::Duration;

/// Upper bounds in seconds. A sync takes 0.1 ms on a fast disk and 10 ms on a slow one.
const SECONDS: &[f64] = &[
    0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0,
];
/// Upper bounds in commands.
const COMMANDS: &[f64] = &[1.0, 2.0, 4.0, 8.0, 16.0, 64.0, 256.0, 1024.0, 4096.0];

/// The durations and the sizes of commits.
#[derive(Clone, Debug)]
pub struct Commits {
    /// Seconds from taking a batch to the end of its sync.
    pub seconds: Histogram,
    /// Commands per batch.
    pub commands: Histogram,
}

impl Default for Commits {
    fn default() -> Commits {
        Commits {
            seconds: Histogram::new(SECONDS),
            commands: Histogram::new(COMMANDS),
        }
    }
}

impl Commits {
    /// Counts one commit.
    pub fn observe(&mut self, took: Duration, commands: usize) {
        self.seconds.observe(took.as_secs_f64());
        self.commands.observe(commands as f64);
    }
}
