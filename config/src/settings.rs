//! The settings, validated: plain data with every default filled in. Nothing here refers to a file, a layer or a text form.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::approval::Approval;
use crate::budget::Budget;
use crate::pool::{Pool, Provider};
use crate::secret::Secret;

/// Everything that can be set. Obtained from [`Settings::load`]; every value has passed every check.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Settings {
    /// Folder of what the hub keeps: the database and the workspaces.
    pub data_dir: PathBuf,
    /// Prices of models, as written; the swarm's room reads it.
    pub prices: Option<serde_json::Value>,
    /// Where the hub listens, and who may speak to it.
    pub hub: Hub,
    /// The database.
    pub store: Store,
    /// How long a task may be held without a sign of life.
    pub lease: Lease,
    /// What one client, and all of them together, may ask for.
    pub limits: Limits,
    /// Which part runs on which thread.
    pub threads: Threads,
    /// How long a failed task waits before its next attempt, where the task says nothing.
    pub retry: Backoff,
    /// When a crashed agent session is started again.
    pub supervision: Supervision,
    /// How much all pools of this process may use.
    pub budget: Budget,
    /// What pools use that do not say otherwise.
    pub agent: Agent,
    /// Who decides over tool calls of pools that do not trust all tools.
    pub approval: Approval,
    /// Agent pools, in the order in which they were written; names are unique.
    #[serde(rename = "pool")]
    pub pools: Vec<Pool>,
    /// Provider definitions by name, the built-in ones (`echo`, `python`, `kiro`, `codex`, other agent programs, `openai` and other model APIs) included.
    pub providers: BTreeMap<String, Provider>,
    /// The REST interface.
    pub gateway: Gateway,
    /// The page of figures for Prometheus.
    pub metrics: Metrics,
    /// The log.
    pub log: Log,
    /// The orderly end.
    pub shutdown: Shutdown,
}

impl Settings {
    /// The definition that a pool runs on. `None` only for a pool that was not taken from these settings.
    pub fn provider_of(&self, pool: &Pool) -> Option<&Provider> {
        self.providers.get(&pool.provider)
    }

    /// Folder under which pools without a `workdir` of their own keep isolated and ephemeral workspaces.
    pub fn workspaces_dir(&self) -> PathBuf {
        self.data_dir.join("workspaces")
    }
}

/// `[hub]`. The same host, port and key tell a client where the hub is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Hub {
    /// Host name or address. Beyond loopback only together with a key.
    pub host: String,
    /// TCP port; 0 lets the system choose a free one.
    pub port: u16,
    /// Path of an additional Unix socket.
    pub socket: Option<PathBuf>,
    /// The key that clients must show, whether it was written here or read from `key_file`; `None` lets every client in.
    pub key: Option<Secret>,
    /// File that holds the key; already read into `key` where it counts.
    pub key_file: Option<PathBuf>,
    /// Whether tasks that run code on the agent's host (type `python`) are accepted at all.
    pub trust_all_tools: bool,
}

/// `[store]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Store {
    /// The database file.
    pub path: PathBuf,
    /// What an answered request survives.
    pub durability: Durability,
    /// How long finished tasks are kept; `None` is for ever.
    #[serde(default, with = "humantime_serde")]
    pub retention: Option<Duration>,
    /// Number of read-only connections.
    pub readers: u32,
    /// Size in bytes above which the write-ahead log is cut back.
    pub wal_limit: u64,
}

/// How hard a commit is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Durability {
    /// Synced before it is answered: survives power loss.
    Full,
    /// Survives a crash of the process; power loss may cost the last moments.
    Normal,
}

/// `[lease]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Lease {
    /// Length of a lease whose taker names none.
    #[serde(with = "humantime_serde")]
    pub default: Duration,
    /// Shortest lease that may be asked for; shorter ones are refused.
    #[serde(with = "humantime_serde")]
    pub min: Duration,
    /// Longest lease that may be asked for; longer ones are refused.
    #[serde(with = "humantime_serde")]
    pub max: Duration,
    /// Whether an ack after the deadline is refused even though nobody has taken the task since.
    pub strict_expiry: bool,
    /// How long a session may be without a connection before it is declared lost and its leases are given back.
    #[serde(with = "humantime_serde")]
    pub session_grace: Duration,
    /// After a restart of the hub each live lease lasts at least this much longer, so that its holder can reconnect.
    #[serde(with = "humantime_serde")]
    pub heartbeat_grace: Duration,
}

/// `[limits]`. What exceeds one is refused with an error that names it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Limits {
    /// Longest request line, in bytes.
    pub line_bytes: u64,
    /// Deepest nesting of JSON in a request.
    pub nesting: u32,
    /// Open connections, all together.
    pub connections: u32,
    /// Unanswered requests of one connection.
    pub in_flight_per_connection: u32,
    /// Unanswered requests of all connections together; beyond it the hub answers `busy`.
    pub in_flight_total: u32,
    /// How long a client may take no byte of its answers before its connection is ended.
    #[serde(with = "humantime_serde")]
    pub unread_max: Duration,
    /// Longest prompt, in bytes.
    pub prompt_bytes: u64,
    /// Most tasks that one lease request may take.
    pub max_tasks_per_lease: u32,
    /// Longest time that a lease request may be parked (`wait_seconds` of the protocol).
    #[serde(with = "humantime_serde")]
    pub wait_seconds_max: Duration,
    /// Most tasks that one `enqueue_batch` may bring.
    pub batch: u32,
}

/// `[threads]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Threads {
    /// Where the writer runs.
    pub store: StoreThread,
}

/// Thread of the store's writer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StoreThread {
    /// On the connections' thread: no hop between threads.
    Shared,
    /// On a thread of its own: a slow disk does not hold up the sockets.
    Own,
}

/// Exponential backoff: the n-th wait is `initial * factor^n`, at most `max`, varied by `jitter`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Backoff {
    /// First wait.
    #[serde(with = "humantime_serde")]
    pub initial: Duration,
    /// Longest wait.
    #[serde(with = "humantime_serde")]
    pub max: Duration,
    /// Growth from one wait to the next, 1 or more.
    pub factor: f64,
    /// Share of the wait by which it is varied at random, 0 to 1.
    pub jitter: f64,
}

/// `[supervision]`: restarts of agent sessions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Supervision {
    /// Intensity: more restarts than this within `period`, and the supervisor gives up.
    pub restarts: u32,
    /// The intensity's window.
    #[serde(with = "humantime_serde")]
    pub period: Duration,
    /// Wait before a restart.
    #[serde(flatten)]
    pub backoff: Backoff,
    /// A session that lived this long starts again with the first wait.
    #[serde(with = "humantime_serde")]
    pub healthy_after: Duration,
}

/// `[agent]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Agent {
    /// Provider of a pool that names none.
    pub provider: String,
}

/// `[gateway]`: REST and MCP over HTTP.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Gateway {
    /// Whether `kirosu up` and `kirosu hub` serve it; `kirosu api` always does.
    pub enabled: bool,
    /// Host name or address. Beyond loopback only together with the hub's key.
    pub host: String,
    /// TCP port; 0 lets the system choose a free one.
    pub port: u16,
    /// Longest request body, in bytes.
    pub body_bytes: u64,
    /// Open connections; further ones are turned away with a 503.
    pub connections: u32,
}

/// `[metrics]`: figures for Prometheus, on a port of their own.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Metrics {
    /// Whether they are served.
    pub enabled: bool,
    /// Host name or address. Beyond loopback only together with the hub's key.
    pub host: String,
    /// TCP port; 0 lets the system choose a free one.
    pub port: u16,
}

/// `[log]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Log {
    /// Form of a line.
    pub format: LogFormat,
    /// Filter directive, such as `info` or `kirosu_hub=debug,info`.
    pub level: String,
    /// File that is written instead of standard error.
    pub file: Option<PathBuf>,
}

/// Form of a log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
    /// To the systemd journal, in its own protocol.
    Journald,
}

/// `[shutdown]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Shutdown {
    /// How long running tasks may go on after the hub was told to stop, before they are ended and given back.
    #[serde(with = "humantime_serde")]
    pub drain: Duration,
}
