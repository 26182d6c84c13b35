//! What the hub is told at start; `src/boot/` fills it from the settings.

use kirosu_protocol::limits::Limits;
use std::path::PathBuf;
use std::time::Duration;

/// Where and how the hub listens, and what it allows.
#[derive(Clone, Debug)]
pub struct HubOptions {
    /// Host name or address of the TCP socket; none: no TCP.
    pub host: Option<String>,
    /// TCP port; 0 takes any free one.
    pub port: u16,
    /// Path of the Unix socket; none: no Unix socket.
    pub socket: Option<PathBuf>,
    /// The key that every request or `hello` must carry; none: every client is let in.
    pub key: Option<String>,
    /// Whether `python` tasks are taken (dangerous execution).
    pub trust_all_tools: bool,
    /// Sizes, counts and ranges.
    pub limits: Limits,
    /// How long a session may be away before its leases are given back.
    pub session_grace: Duration,
    /// How long finished tasks are kept; none: for ever.
    pub retention: Option<Duration>,
    /// The number of read connections.
    pub readers: usize,
    /// The folder for backups; made when the first one is asked for.
    pub backup_dir: PathBuf,
    /// The store's file, for the readers.
    pub store_path: PathBuf,
}
