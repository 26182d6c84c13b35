//! One file a verb: its parameters, how they are read, its answer, and a worked example.

pub mod ack;
pub mod agents;
pub mod answer;
pub mod approvals;
pub mod approve;
pub mod ask;
pub mod backup;
pub mod cancel;
pub mod drain;
pub mod enqueue;
pub mod enqueue_batch;
pub mod get;
pub mod heartbeat;
pub mod hello;
pub mod lease;
pub mod list;
pub mod metrics;
pub mod output;
pub mod pause;
pub mod pools;
pub mod progress;
pub mod reject;
pub mod release;
pub mod reload;
pub mod reserve;
pub mod resume;
pub mod retry;
pub mod retry_failed;
pub mod shutdown;
pub mod stats;
pub mod tree;
pub mod usage;
pub mod wait;
pub mod watch;

use crate::method::Method;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize, Serializer};
use std::time::Duration;

/// Milliseconds of a day.
pub(crate) const DAY_MS: u64 = 86_400_000;

/// Most bytes of what a person says with a decision (`reason`, `comment`).
pub(crate) const REASON_BYTES: usize = 64 << 10;

/// How much longer than a single task the change of a group may take, before its client gives up.
pub(crate) const GROUP_TIME: Duration = Duration::from_secs(600);

/// The last moment that can be named: the end of the year 9999, in Unix milliseconds.
pub(crate) const LAST_MS: u64 = 253_402_300_799_000;

/// A request's parameters, which know their method and its answer. Serialises as `params`.
pub trait Verb: Serialize {
    /// The method.
    const METHOD: Method;
    /// What `result` holds.
    type Answer: Serialize + DeserializeOwned;

    /// How long the hub may park this request on purpose; a client waits that much longer for the answer.
    fn parked(&self) -> Duration {
        Duration::ZERO
    }
}

/// The answer of verbs that have nothing to tell: `{"ok":true}`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ok {
    /// Always true; a refusal is an error.
    pub ok: bool,
}

/// The one value of [`Ok`].
pub const OK: Ok = Ok { ok: true };

/// Milliseconds as the wire's seconds.
pub(crate) fn seconds<S: Serializer>(ms: &u64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(*ms as f64 / 1000.0)
}

/// Milliseconds as the wire's seconds, where given.
pub(crate) fn seconds_or_null<S: Serializer, T: Copy + Millis>(
    ms: &Option<T>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    ms.map(|ms| ms.float() / 1000.0).serialize(serializer)
}

/// Whether a field that means nothing when 0 may be left out.
pub(crate) fn skip_zero(ms: &u64) -> bool {
    *ms == 0
}

/// The two integers that hold milliseconds.
pub(crate) trait Millis {
    /// The same number as a float; exact up to 2^53.
    fn float(self) -> f64;
}

impl Millis for u64 {
    fn float(self) -> f64 {
        self as f64
    }
}

impl Millis for i64 {
    fn float(self) -> f64 {
        self as f64
    }
}
