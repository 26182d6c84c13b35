//! Records of each client: every call with its start, end and outcome.

use rustix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Tasks with this number or a greater one are in a queue of their own, which only the client that made them leases from.
pub const OWN_QUEUE: u64 = 1_000_000_000;

/// How a call ended, as its speaker saw it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    /// Answered with a result.
    Ok,
    /// Refused, with this code.
    Refused(i64),
    /// Cut off: it may have taken effect or not.
    Unknown,
}

/// A task as it was handed out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Leased {
    /// Its id.
    pub task: u64,
    /// The lease's fence.
    pub fence: i64,
    /// Which task its prompt says it is; `None` when the prompt is not, byte for byte, one that was enqueued.
    pub number: Option<u64>,
    /// Unix milliseconds until which the lease holds.
    pub until_ms: i64,
}

/// A request with its answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Call {
    /// One task, or several in one durable step.
    Enqueue {
        /// The tasks' numbers, ours.
        numbers: Vec<u64>,
        /// Whether each carried an idempotency key.
        keyed: bool,
        /// The task that must be done first, by the hub's id.
        after: Option<u64>,
        /// Higher goes first.
        priority: i64,
        /// The hub's ids, where answered.
        ids: Vec<u64>,
    },
    /// A lease.
    Lease {
        /// Whether it was taken under a session, which the hub may declare lost.
        session: bool,
        /// The most that may be handed out.
        most: u64,
        /// The leased tasks.
        tasks: Vec<Leased>,
    },
    /// An extension.
    Heartbeat {
        /// The task.
        task: u64,
        /// The lease's fence.
        fence: i64,
        /// Unix milliseconds until which it holds now; 0 where not answered.
        until_ms: i64,
    },
    /// The end of a run.
    Ack {
        /// The task.
        task: u64,
        /// The lease's fence.
        fence: i64,
        /// Done, or failed.
        done: bool,
        /// The result, unlike any other ack's.
        result: String,
    },
    /// A lease given back.
    Release {
        /// The task.
        task: u64,
        /// The lease's fence.
        fence: i64,
    },
    /// A cancel.
    Cancel {
        /// The task.
        task: u64,
    },
    /// A session opened over a new connection.
    Hello {
        /// Whether the connection before was still there, with a `lease` under way.
        replaces: bool,
        /// The leases that the hub said the session holds: task and fence.
        leases: Vec<(u64, i64)>,
    },
    /// A notification that a lease is over.
    Notice {
        /// The task.
        task: u64,
        /// The lease's fence.
        fence: i64,
        /// Whether the task was cancelled.
        cancelled: bool,
    },
    /// The two answers to one request that was sent twice at once; none where it was cut off or put off.
    Twice {
        /// The request.
        method: String,
        /// The decisive part of the first answer.
        first: Option<String>,
        /// The decisive part of the second answer.
        second: Option<String>,
        /// The start of the hub that the second copy was sent to.
        second_boot: Option<String>,
    },
    /// A question about the requests that are under way.
    Load {
        /// How many the hub said there are.
        in_flight: u64,
        /// The most that its settings allow.
        most: u64,
    },
    /// A copy of the store.
    Backup {
        /// Its file name.
        name: String,
    },
    /// A start of the hub by this tool: begun when the hub before was gone, ended when the new one listened.
    Start {
        /// The backup that was put in the place of the store before.
        restored: Option<String>,
    },
}

/// One call. A call that was sent again until it was answered is one event, from the first sending to the answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// The client.
    pub speaker: u32,
    /// Monotonic nanoseconds, before the first byte was sent.
    pub begun: u64,
    /// The same after the answer was read, or the connection broke.
    pub ended: u64,
    /// Unix milliseconds at the end, to compare with the hub's deadlines.
    pub wall_ms: i64,
    /// How often it was sent.
    pub tries: u32,
    /// The `boot_id` of the hub that it was sent to, the last time; none where no hub was reached.
    #[serde(default)]
    pub boot: Option<String>,
    /// The call.
    pub call: Call,
    /// How it ended.
    pub outcome: Outcome,
}

/// Nanoseconds of the machine's monotonic clock, which is one for all processes of a run.
pub fn now_ns() -> u64 {
    let time = clock_gettime(ClockId::Monotonic);
    u64::try_from(time.tv_sec * 1_000_000_000 + time.tv_nsec).unwrap_or(0)
}

/// Unix milliseconds.
pub fn wall_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    let ms = since.unwrap_or(Duration::ZERO).as_millis();
    i64::try_from(ms).unwrap_or(i64::MAX)
}

/// The prompt of task `number`: sizes differ, and all its bytes follow from the number.
pub fn prompt_of(number: u64) -> String {
    let size = 40 + (number.wrapping_mul(2_654_435_761) % 400) as usize;
    crate::talk::prompt(number, size)
}

/// Which task a prompt is of, if it is one of ours and whole.
pub fn number_of(prompt: &str) -> Option<u64> {
    let number = prompt.strip_prefix("task ")?.get(..12)?.parse().ok()?;
    (prompt_of(number) == prompt).then_some(number)
}
