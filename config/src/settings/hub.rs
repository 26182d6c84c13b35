//! Sections of the hub and of the process: where it listens, what it stores, what it allows, and how it logs and stops.

use std::path::PathBuf;
use std::time::Duration;

use kirosu_protocol::Budget;
use kirosu_protocol::budget::micros_of;
use kirosu_protocol::limits::{NESTING_MAX, TOKENS_MAX, USD_MAX};
use kirosu_protocol::settings::{ChildRules, Keyless, SyncMode};
use serde::{Deserialize, Serialize};
use strum::VariantNames;

use super::HubPort;
use super::{DAY, DECADE, GIB, HOUR, KIB, MIB, MILLISECOND, MINUTE, SECOND};
use crate::schema::Allowed::{
    Bool, Choice, Float, Int, Level, List, Path, Port, Secret as OneLine, Size, Text, Time,
};
use crate::schema::KeyDefault::{Derived, Is, Unset};
use crate::schema::define_section;
use crate::secret::Secret;

define_section! {
    /// `[hub]`: where the hub listens, and who may connect. Clients find the hub by the same host, port and key.
    pub struct HubSection: One("hub") {
        /// Host name or address. An address beyond loopback needs a key and TLS.
        host: String = Text, Is("\"127.0.0.1\""), restart;
        /// TCP port; 0 lets the system choose a free one. `off`: the hub listens on its Unix socket only.
        port: HubPort = Port, Is("8765"), restart;
        /// Path of the Unix socket. `None`: see [`Settings::default_socket`](super::Settings).
        socket: Option<PathBuf> = Path, Unset, restart;
        /// Key that clients send, written here or read from `key_file`. `None`: the hub makes one in its data folder.
        key: Option<Secret> = OneLine, Unset, restart;
        /// File with the key. If it takes effect, `key` already holds its content.
        key_file: Option<PathBuf> = Path, Unset, restart;
        /// Clients on this machine that are served without a key. `None` means `off` if a key is set, else `owner`.
        keyless: Option<Keyless> = Choice(Keyless::VARIANTS), Unset, restart;
        /// Whether the hub accepts tasks that run code on the agent's host (type `python`).
        trust_all_tools: bool = Bool, Is("false"), restart;
        /// PEM file with the certificate, then those between it and the root. Without it connections are plain.
        tls_certificate: Option<PathBuf> = Path, Unset, restart;
        /// PEM file with the certificate's private key.
        tls_key: Option<PathBuf> = Path, Unset, restart;
        /// PEM file with authorities. Only clients with a certificate that one of them has signed may connect.
        tls_client_ca: Option<PathBuf> = Path, Unset, restart;
        /// Whether it may listen beyond loopback without TLS.
        plain_beyond_loopback: bool = Bool, Is("false"), restart;
        /// Of clients: fingerprints of the hub's certificate, separated by commas.
        tls_fingerprint: Option<String> = Text, Unset, restart;
        /// Of clients: PEM file with authorities, one of which has signed the hub's certificate.
        tls_ca: Option<PathBuf> = Path, Unset, restart;
        /// Of clients: PEM file with their own certificate.
        tls_client_certificate: Option<PathBuf> = Path, Unset, restart;
        /// Of clients: PEM file with the private key of their certificate.
        tls_client_key: Option<PathBuf> = Path, Unset, restart;
    }
}

define_section! {
    /// `[store]`: the database.
    pub struct StoreSection: One("store") {
        /// The database file.
        path: PathBuf = Path, Derived, restart;
        /// The failure that an answered request survives.
        durability: SyncMode = Choice(SyncMode::VARIANTS), Is("\"full\""), restart;
        /// Age at which finished tasks are removed. `None` keeps them forever.
        #[serde(default, with = "humantime_serde")]
        retention: Option<Duration> = Time(MINUTE, DECADE), Unset;
        /// Age at which entries of the audit trail are removed.
        #[serde(with = "humantime_serde")]
        audit_retention: Duration = Time(HOUR, DECADE), Is("\"90days\"");
        /// Age at which events that a target of notifications has not got are dropped.
        #[serde(with = "humantime_serde")]
        notify_retention: Duration = Time(MINUTE, DECADE), Is("\"7days\"");
        /// Number of read-only connections.
        readers: u32 = Int(1, 64), Is("2"), restart;
        /// Size in bytes above which the write-ahead log is truncated.
        wal_limit: u64 = Size(MIB, 16 * GIB), Is("\"64 MiB\""), restart;
    }
}

define_section! {
    /// `[lease]`: how long a worker holds a task without a heartbeat.
    pub struct LeaseSection: One("lease") {
        /// Length of a lease for a worker that requests none.
        #[serde(with = "humantime_serde")]
        default: Duration = Time(SECOND, DAY), Is("\"5m\"");
        /// Shortest lease that a worker may request.
        #[serde(with = "humantime_serde")]
        min: Duration = Time(SECOND, DAY), Is("\"1s\"");
        /// Longest lease that a worker may request.
        #[serde(with = "humantime_serde")]
        max: Duration = Time(SECOND, DAY), Is("\"1day\"");
        /// Whether an ack after the deadline is refused although no other worker has leased the task since.
        strict_expiry: bool = Bool, Is("false");
        /// Time without a connection after which a session is lost and its leases are released.
        #[serde(with = "humantime_serde")]
        session_grace: Duration = Time(Duration::ZERO, HOUR), Is("\"10s\"");
        /// Shortest time that each lease lasts after a restart of the hub, so that its holder can reconnect.
        #[serde(with = "humantime_serde")]
        heartbeat_grace: Duration = Time(Duration::ZERO, HOUR), Is("\"30s\""), restart;
    }
}

define_section! {
    /// `[limits]`: a request beyond a limit is refused with an error that names the limit.
    pub struct LimitsSection: One("limits") {
        /// Longest request line, in bytes.
        line_bytes: u64 = Size(KIB, GIB), Is("\"16 MiB\"");
        /// Deepest nesting of JSON in a request.
        nesting: u32 = Int(1, NESTING_MAX as u64), Is("64");
        /// Open connections.
        connections: u32 = Int(1, 1_000_000), Is("12000");
        /// Unanswered requests per connection.
        in_flight_per_connection: u32 = Int(1, 65_536), Is("1024");
        /// Unanswered requests of all connections; beyond it the hub answers `busy`.
        in_flight_total: u32 = Int(1, 10_000_000), Is("65536");
        /// Time without progress in reading its answers after which a client is disconnected.
        #[serde(with = "humantime_serde")]
        unread_max: Duration = Time(SECOND, DAY), Is("\"30s\"");
        /// Longest prompt, in bytes.
        prompt_bytes: u64 = Size(1, GIB), Is("\"8 MiB\"");
        /// Longest metadata of a task and longest `accept`, in bytes of JSON each.
        metadata_bytes: u64 = Size(1, GIB), Is("\"1 MiB\"");
        /// Longest piece of output, in bytes.
        output_bytes: u64 = Size(1, GIB), Is("\"1 MiB\"");
        /// Tasks per `lease` request.
        max_tasks_per_lease: u32 = Int(1, 10_000), Is("1000");
        /// Longest `wait_seconds` of a `lease` request.
        #[serde(with = "humantime_serde")]
        wait_seconds_max: Duration = Time(SECOND, DAY), Is("\"1h\"");
        /// Tasks per `enqueue_batch` request.
        batch: u32 = Int(1, 100_000), Is("10000");
    }
}

define_section! {
    /// `[threads]`: the threads on which parts of the hub run.
    pub struct ThreadsSection: One("threads") {
        /// Thread of the store's writer.
        store: StoreThread = Choice(StoreThread::VARIANTS), Is("\"shared\""), restart;
    }
}

/// Thread of the store's writer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, VariantNames)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
pub enum StoreThread {
    /// The thread of the connections, which saves a hop between threads.
    Shared,
    /// A thread of its own, so that a slow disk does not delay the sockets.
    Own,
}

define_section! {
    /// `[retry]`: delays before the next attempt of a failed task that names none. The n-th delay is
    /// `initial * factor^(n-1)`, at most `max`, shortened at random by up to the share `jitter`.
    pub struct RetrySection: One("retry") {
        /// First delay.
        #[serde(with = "humantime_serde")]
        initial: Duration = Time(MILLISECOND, HOUR), Is("\"1s\"");
        /// Longest delay.
        #[serde(with = "humantime_serde")]
        max: Duration = Time(MILLISECOND, DAY), Is("\"5m\"");
        /// Growth from one delay to the next.
        factor: f64 = Float(1.0, 100.0), Is("2.0");
        /// Largest share by which a delay is shortened at random.
        jitter: f64 = Float(0.0, 1.0), Is("0.2");
    }
}

define_section! {
    /// `[children]`: the tasks that agents may add to their own task, with the token of their run.
    pub struct ChildrenSection: One("children") {
        /// Levels of children below a task that a client has added; 0 means that agents add none.
        depth: u32 = Int(0, 32), Is("3");
        /// Children per task.
        per_task: u32 = Int(1, 100_000), Is("100");
        /// Tasks below the topmost task of a tree.
        per_tree: u32 = Int(1, 1_000_000), Is("1000");
        /// Tokens that a tree may use in all, from the first child that an agent adds, if the tree has no budget.
        tokens: Option<u64> = Int(0, TOKENS_MAX), Is("50000000");
        /// US dollars, likewise. `None` means no limit.
        usd: Option<f64> = Float(0.0, USD_MAX), Unset;
        /// Their queues. An empty list means any.
        queues: Vec<String> = List, Is("[]");
        /// Their types. An empty list means any but `python`.
        types: Vec<String> = List, Is("[]");
    }
}

impl ChildrenSection {
    /// The rules as the hub follows them.
    pub fn rules(&self) -> ChildRules {
        ChildRules {
            depth: self.depth,
            per_task: self.per_task,
            per_tree: self.per_tree,
            budget: Budget {
                tokens: self.tokens,
                micros: self.usd.map(micros_of),
            },
            queues: self.queues.clone(),
            types: self.types.clone(),
        }
    }
}

define_section! {
    /// `[gateway]`: the web page, REST and MCP over HTTP.
    pub struct GatewaySection: One("gateway") {
        /// Whether `kirosu up` and `kirosu hub` serve it. `kirosu api` always does. The default: unless the hub has no TCP port either.
        enabled: bool = Bool, Derived, restart;
        /// Host name or address. An address beyond loopback needs the hub's key and TLS.
        host: String = Text, Is("\"127.0.0.1\""), restart;
        /// TCP port; 0 lets the system choose a free one. A hub takes a free one, too, if it is in use and no layer sets it.
        port: u16 = Int(0, 65_535), Is("8000"), restart;
        /// PEM file with the certificate, then those between it and the root. Without it connections are plain.
        tls_certificate: Option<PathBuf> = Path, Unset, restart;
        /// PEM file with the certificate's private key.
        tls_key: Option<PathBuf> = Path, Unset, restart;
        /// PEM file with authorities. Only clients with a certificate that one of them has signed may connect.
        tls_client_ca: Option<PathBuf> = Path, Unset, restart;
        /// Whether it may listen beyond loopback without TLS.
        plain_beyond_loopback: bool = Bool, Is("false"), restart;
        /// Whether MCP clients get the tools `answer_task`, `approve_task` and `reject_task`, which decide in a person's name.
        mcp_decisions: bool = Bool, Is("false"), restart;
        /// Longest request body, in bytes.
        body_bytes: u64 = Size(KIB, GIB), Is("\"16 MiB\""), restart;
        /// Open connections; further ones get a 503.
        connections: u32 = Int(1, 1_000_000), Is("2048"), restart;
    }
}

define_section! {
    /// `[metrics]`: figures for Prometheus, on a port of their own.
    pub struct MetricsSection: One("metrics") {
        /// Whether they are served.
        enabled: bool = Bool, Is("false"), restart;
        /// Host name or address. An address beyond loopback needs the hub's key and TLS.
        host: String = Text, Is("\"127.0.0.1\""), restart;
        /// TCP port; 0 lets the system choose a free one.
        port: u16 = Int(0, 65_535), Is("9765"), restart;
        /// PEM file with the certificate, then those between it and the root. Without it connections are plain.
        tls_certificate: Option<PathBuf> = Path, Unset, restart;
        /// PEM file with the certificate's private key.
        tls_key: Option<PathBuf> = Path, Unset, restart;
        /// PEM file with authorities. Only clients with a certificate that one of them has signed may connect.
        tls_client_ca: Option<PathBuf> = Path, Unset, restart;
        /// Whether it may listen beyond loopback without TLS.
        plain_beyond_loopback: bool = Bool, Is("false"), restart;
    }
}

define_section! {
    /// `[log]`: form, level and destination of log lines.
    pub struct LogSection: One("log") {
        /// Form of a line.
        format: LogFormat = Choice(LogFormat::VARIANTS), Is("\"text\""), restart;
        /// Filter directive, such as `info` or `kirosu_hub=debug,info`.
        level: String = Level, Is("\"info\"");
        /// Log file. `None` means standard error.
        file: Option<PathBuf> = Path, Unset, restart;
    }
}

/// Form of a log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, VariantNames)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
pub enum LogFormat {
    /// Text for people.
    Text,
    /// One JSON object per line.
    Json,
    /// The native protocol of the systemd journal.
    Journald,
}

define_section! {
    /// `[shutdown]`: the orderly stop.
    pub struct ShutdownSection: One("shutdown") {
        /// Time that running tasks have to end after a stop was requested. Then they are ended and released.
        #[serde(with = "humantime_serde")]
        drain: Duration = Time(Duration::ZERO, DAY), Is("\"30s\""), restart;
    }
}
