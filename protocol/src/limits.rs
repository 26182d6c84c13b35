//! The limits and ranges of the protocol: those that every hub has, as constants, and those that its operator sets, as
//! [`Limits`].

use serde::{Deserialize, Serialize};

/// The greatest [`Limits::nesting`]. An answer nests a task's metadata up to 2 levels deeper than the request did, and JSON
/// parsers, that of the client here included, stop at 128 levels.
pub const NESTING_MAX: usize = 120;
/// Milliseconds of a day.
pub const DAY_MS: u64 = 86_400_000;
/// Seconds of a day: the longest window of a budget.
pub const DAY_SECONDS: u64 = DAY_MS / 1000;
/// The last moment that a request can name: the end of the year 9999, in Unix milliseconds.
pub const LAST_MS: u64 = 253_402_300_799_000;
/// The greatest number of tokens that a budget can name.
pub const TOKENS_MAX: u64 = 1_000_000_000_000_000;
/// The greatest number of US dollars that a budget can name.
pub const USD_MAX: f64 = 1e9;
/// The most bytes of the text that a person gives with a decision (`reason`, `comment`).
pub const REASON_BYTES: usize = 64 << 10;

/// Limits of size, number and time, which `hello` returns. A request beyond a limit is refused with the limit in the message,
/// never changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Limits {
    /// The longest request line, in bytes without the line end.
    pub line_bytes: usize,
    /// The deepest nesting of arrays and objects in a line, the request itself included; at most [`NESTING_MAX`].
    pub nesting: usize,
    /// The most connections at once.
    pub connections: usize,
    /// The most unanswered requests per connection, parked ones included.
    pub in_flight_per_connection: usize,
    /// The most unanswered requests of all connections together.
    pub in_flight_total: usize,
    /// The time, in milliseconds, after which a connection is closed whose client reads no byte of its answers.
    pub unread_ms_max: u64,
    /// The longest prompt, system prompt or answer, in bytes each.
    pub prompt_bytes: usize,
    /// The longest metadata or `accept` clauses of a task, in bytes of JSON each. Smaller than a prompt, as they are stored
    /// in one piece, for which other clients wait.
    pub metadata_bytes: usize,
    /// The longest piece of output, in bytes.
    pub output_bytes: usize,
    /// The most tasks per `lease`.
    pub max_tasks_per_lease: u32,
    /// The shortest lease, in milliseconds.
    pub lease_ms_min: u64,
    /// The longest lease, in milliseconds.
    pub lease_ms_max: u64,
    /// The length of a lease whose request has no `lease_seconds`, in milliseconds.
    pub lease_ms_default: u64,
    /// The longest `wait_seconds` of `lease` and `timeout_seconds` of `wait`, in milliseconds.
    pub wait_ms_max: u64,
    /// The most entries of a list in a request: tasks, acks, ids, names.
    pub batch: usize,
    /// The default of `preview_bytes` of `list`: the most bytes of each text of a task.
    pub preview_bytes: u32,
    /// The most bytes of requests per connection that wait for earlier ones. At the limit the hub stops reading from it.
    pub waiting_bytes_per_connection: usize,
    /// The most bytes of queue and type names in `lease` requests that wait, over all connections; beyond it `busy`.
    pub waiting_names_bytes: usize,
    /// The most bytes of events that are kept for watchers that reconnect. The oldest are dropped first.
    pub event_bytes: usize,
    /// The most bytes of texts above 256 KiB that are in memory for answers, over all connections; at it answers wait.
    pub answer_bytes: usize,
    /// The bytes of prompts, system prompts and metadata after which one `lease` adds no further task.
    pub lease_bytes: usize,
    /// The longest name of a worker, queue, type, session, provider, model or key, in bytes.
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
            metadata_bytes: 1 << 20,
            output_bytes: 1 << 20,
            max_tasks_per_lease: 1000,
            lease_ms_min: 1000,
            lease_ms_max: DAY_MS,
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
