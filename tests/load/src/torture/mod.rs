//! Kills a hub under load and checks what is left.
//!
//! Two modes: [`clients`] has its own workers, which lease and ack over TCP and record every call; [`up`] lets the
//! hub's own pools do the work and looks at the file and at the processes. Both kill the hub with SIGKILL at seeded
//! points of their progress, start it again on the same file, or on a backup of it, drain, and end it in good order. The first
//! also stops workers, cuts and holds their connections, fills the disk, and sends everything twice: [`nemesis`] has one file per
//! fault.
//!
//! The workers' observations are a [`history`]; the file is read with Python's `sqlite3`, not with ours ([`stored`]); [`checker`]
//! compares the two and knows only the guarantees of the protocol.

mod bulk;
mod canceller;
pub mod checker;
pub mod clients;
mod drive;
pub mod history;
mod kills;
mod link;
mod load;
pub mod nemesis;
mod nuisance;
mod pairs;
mod producer;
mod proxy;
pub mod remote;
mod shared;
pub mod stored;
pub mod up;
mod worker;
pub mod worlds;

use nemesis::Kind;
use std::path::PathBuf;

/// The faults to inject.
#[derive(Clone, Debug)]
pub struct Torture {
    /// The `kirosu` binary.
    pub binary: PathBuf,
    /// Folder of the database, the log and the copies taken after each kill.
    pub folder: PathBuf,
    /// Tasks to enqueue.
    pub tasks: u64,
    /// Times the hub is killed.
    pub kills: u32,
    /// Times that each other fault strikes.
    pub strikes: u32,
    /// Which faults; mode `up` knows `kill` and `restore`.
    pub nemeses: Vec<Kind>,
    /// This tool's own program, for workers in processes of their own.
    pub tool: PathBuf,
    /// Workers that lease and ack; in mode `up`, the size of the pools.
    pub workers: u32,
    /// Decides the kills and what every speaker does. (The kernel's scheduling it cannot decide.)
    pub seed: u64,
    /// Settings for the hub, as `key=value`.
    pub settings: Vec<String>,
}

/// The findings.
#[derive(Clone, Debug, Default)]
pub struct Verdict {
    /// Counts, in the order in which they should be read.
    pub counts: Vec<(String, u64)>,
    /// Each broken promise, as a sentence.
    pub violations: Vec<String>,
}

impl Verdict {
    /// Notes a count.
    pub fn count(&mut self, what: impl Into<String>, count: impl TryInto<u64>) {
        let count = count.try_into().unwrap_or(u64::MAX);
        self.counts.push((what.into(), count));
    }

    /// Notes a broken promise.
    pub fn violation(&mut self, sentence: impl Into<String>) {
        self.violations.push(sentence.into());
    }

    /// Everything of another verdict, after this one's.
    pub fn merge(&mut self, other: Verdict) {
        self.counts.extend(other.counts);
        self.violations.extend(other.violations);
    }
}
