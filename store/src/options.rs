//! The options with which a store is opened.

pub use kirosu_protocol::settings::{ChildRules, SyncMode};
use kirosu_protocol::{Limits, NotifyTarget, RetryPolicy};
use std::path::PathBuf;
use std::sync::Arc;

/// Store options, filled from the settings by the hub. All times are in milliseconds.
#[derive(Clone, Debug, PartialEq)]
pub struct StoreOptions {
    /// The database file; a missing directory is created. `PATH.lock`, `PATH-wal` and `PATH-shm` are in the same
    /// directory.
    pub path: PathBuf,
    /// The failures that an answered command survives.
    pub durability: SyncMode,
    /// The write-ahead log is truncated when it is longer than this many bytes.
    pub wal_limit_bytes: u64,
    /// The writer's page cache in bytes. More is not better: at the end of each commit that rearranges pages, SQLite
    /// searches the whole cache for the pages that it numbered beyond the end of the file meanwhile.
    pub cache_bytes: u64,
    /// Backoff of tasks with several attempts but without a policy.
    pub retry_default: RetryPolicy,
    /// The share, 0 to 1, by which the delays of retries are shortened at random.
    pub retry_jitter: f64,
    /// The duration of a lease when neither the lease request nor the heartbeat names one.
    pub lease_ms_default: u64,
    /// The time from a lease's deadline until it is treated as lost.
    pub lease_grace_ms: u64,
    /// Leases that are live when the file is opened hold at least this much longer, so that workers can reconnect
    /// first.
    pub restart_grace_ms: u64,
    /// Refuses every ack after the lease's deadline, even if no other worker has leased the task since.
    pub strict_expiry: bool,
    /// Maximum number of pairs of queue and type with unfinished tasks.
    pub lane_limit: usize,
    /// Maximum bytes of stored output per attempt.
    pub output_limit_bytes: u64,
    /// Bytes of prompts and other input after which a lease request gets no further task.
    pub lease_bytes: usize,
    /// Maximum bytes of queue and type names in parked lease requests.
    pub waiting_names_bytes: usize,
    /// The tasks that runs may add.
    pub children: ChildRules,
    /// The targets of notifications.
    pub notify: Arc<Vec<NotifyTarget>>,
    /// The time of opening, Unix milliseconds.
    pub now_ms: i64,
}

impl StoreOptions {
    /// The defaults for a file at `path`, opened at `now_ms`.
    pub fn new(path: impl Into<PathBuf>, now_ms: i64) -> StoreOptions {
        StoreOptions {
            path: path.into(),
            durability: SyncMode::Full,
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
            children: ChildRules::default(),
            notify: Arc::default(),
            now_ms,
        }
    }
}
