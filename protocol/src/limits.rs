//! What the hub takes at most; told to clients by `hello`.

use serde::{Deserialize, Serialize};

/// Limits of size, number and time. A request beyond one is refused with the limit in the message, never clamped.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Limits {
    /// Longest request line in bytes, without its line end.
    pub line_bytes: usize,
    /// Deepest nesting of arrays and objects in a line, the request itself included; at most 120.
    pub nesting: usize,
    /// Most connections at once.
    pub connections: usize,
    /// Most unanswered requests of one connection, parked ones included.
    pub in_flight_per_connection: usize,
    /// Most unanswered requests of the hub.
    pub in_flight_total: usize,
    /// How long a connection may take no byte of its answers before it is ended, in milliseconds.
    pub unread_ms_max: u64,
    /// Longest prompt, system prompt or metadata, each, in bytes.
    pub prompt_bytes: usize,
    /// Most tasks that one `lease` hands out.
    pub max_tasks_per_lease: u32,
    /// Shortest lease, in milliseconds.
    pub lease_ms_min: u64,
    /// Longest lease, in milliseconds.
    pub lease_ms_max: u64,
    /// The lease of a worker that asks for none, in milliseconds.
    pub lease_ms_default: u64,
    /// Longest `wait_seconds` of a lease and `timeout_seconds` of a wait, in milliseconds.
    pub wait_ms_max: u64,
    /// Most entries of a batch: tasks, acks, ids.
    pub batch: usize,
    /// Bytes of each text of a task that `list` answers when the client does not say how many.
    pub preview_bytes: u32,
    /// Bytes of requests of one connection that wait for those before them; beyond it, no more are read from it.
    pub waiting_bytes_per_connection: usize,
    /// Bytes of names in `lease` requests that wait for a task, over all connections; beyond it, one more is `busy`.
    pub waiting_names_bytes: usize,
    /// Bytes of events that are kept for watchers which come back; the oldest go first.
    pub event_bytes: usize,
    /// Bytes of texts above 256 KiB that are read for answers at once, over all connections; beyond it, answers wait.
    pub answer_bytes: usize,
    /// Bytes of prompts and the like after which one `lease` hands out no further task.
    pub lease_bytes: usize,
    /// Longest name of a worker, queue, type, session, provider, model or key, in bytes.
    pub name_bytes: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            line_bytes: 16 << 20,
            nesting: 64,
            connections: 12_000,
            in_flight_per_connection: 1024,
            in_flight_total: 65_536,
            unread_ms_max: 30_000,
            prompt_bytes: 8 << 20,
            max_tasks_per_lease: 1000,
            lease_ms_min: 1000,
            lease_ms_max: 86_400_000,
            lease_ms_default: 300_000,
            wait_ms_max: 3_600_000,
            batch: 10_000,
            preview_bytes: 64 << 10,
            waiting_bytes_per_connection: 1 << 20,
            waiting_names_bytes: 64 << 20,
            event_bytes: 32 << 20,
            answer_bytes: 128 << 20,
            lease_bytes: 8 << 20,
            name_bytes: 256,
        }
    }
}
