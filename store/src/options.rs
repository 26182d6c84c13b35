//! How a store is opened.

use kirosu_protocol::{Limits, RetryPolicy};
use std::path::PathBuf;

/// What an answered command has survived.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// Power loss: each commit is synced to the disk before it is answered.
    #[default]
    Full,
    /// A killed process, not power loss: the last commits before a power cut may be gone, the file stays sound.
    Normal,
}

/// How a store is opened. All times in milliseconds.
#[derive(Clone, Debug, PartialEq)]
pub struct StoreOptions {
    /// The database file; its directory is made if missing. Beside it live `PATH.lock`, `PATH-wal`, `PATH-shm`.
    pub path: PathBuf,
    /// What an answered command has survived.
    pub durability: Durability,
    /// The write-ahead log is cut back when it has grown beyond this many bytes.
    pub wal_limit_bytes: u64,
    /// The writer's page cache, in bytes. More is not better: SQLite looks through all of it at the end of each commit that
    /// rearranged pages (it numbers them beyond the file's end meanwhile, and then cuts the cache at the end).
    pub cache_bytes: u64,
    /// Backoff of tasks that ask for several attempts and name no policy.
    pub retry_default: RetryPolicy,
    /// The share, 0 to 1, by which delays of retries are shortened at random.
    pub retry_jitter: f64,
    /// How long a lease holds when neither the lease nor the heartbeat says.
    pub lease_ms_default: u64,
    /// How long after its deadline a lease is taken away.
    pub lease_grace_ms: u64,
    /// Leases that are alive when the file is opened hold at least this much longer, so that workers can reconnect first.
    pub restart_grace_ms: u64,
    /// Refuse every ack that comes after the lease's deadline, even if nobody else has the task.
    pub strict_expiry: bool,
    /// Most different pairs of queue and type.
    pub lane_limit: usize,
    /// Most bytes of output kept per attempt.
    pub output_limit_bytes: u64,
    /// Bytes of prompts and the like after which one lease hands out no further task.
    pub lease_bytes: usize,
    /// Most bytes of names in lease requests that wait.
    pub waiting_names_bytes: usize,
    /// The time of opening, Unix milliseconds.
    pub now_ms: i64,
}

impl StoreOptions {
    /// The defaults for a file at `path`, opened at `now_ms`.
    pub fn new(path: impl Into<PathBuf>, now_ms: i64) -> StoreOptions {
        StoreOptions {
            path: path.into(),
            durability: Durability::Full,
            wal_limit_bytes: 64 << 20,
            cache_bytes: 12 << 20,
            retry_default: RetryPolicy {
                initial_ms: 1_000,
                max_ms: 300_000,
                factor: 2.0,
            },
            retry_jitter: 0.2,
            lease_ms_default: 300_000,
            lease_grace_ms: 0,
            restart_grace_ms: 0,
            strict_expiry: false,
            lane_limit: 10_000,
            output_limit_bytes: 4 << 20,
            lease_bytes: Limits::default().lease_bytes,
            waiting_names_bytes: Limits::default().waiting_names_bytes,
            now_ms,
        }
    }
}
