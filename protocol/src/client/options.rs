//! The options of a client.

use crate::HelloParams;
use std::sync::Arc;
use std::time::Duration;

/// Returns a new series of pauses between attempts to connect, for each loss of the connection. The client gives up at the end of
/// a series.
pub type Delays = Arc<dyn Fn() -> Box<dyn Iterator<Item = Duration> + Send> + Send + Sync>;

/// The options of a client.
#[derive(Clone)]
pub struct ClientOptions {
    /// The hub's key, sent with each `hello`.
    pub key: Option<String>,
    /// The parameters of `hello` on each connection. A `session_id` is resumed after a reconnect; `resume: false` applies to
    /// the first `hello` that succeeds, later ones resume the session.
    pub hello: HelloParams,
    /// The pauses between attempts to connect.
    pub delays: Delays,
    /// The timeout of an attempt to connect, `hello` included.
    pub connect_timeout: Duration,
    /// The timeout of a call, the wait for a connection included. The time for which the hub may delay the answer on purpose
    /// (`wait_seconds`) is added.
    pub request_timeout: Duration,
    /// The time after which a call ends as `Unreachable` that is not sent because the hub is not reachable. `None` means the timeout of
    /// the call.
    pub unsent_timeout: Option<Duration>,
    /// The capacity of the queue of calls to be sent. Further calls wait for space.
    pub queue: usize,
    /// The number of notifications that are kept for a receiver that lags. Older ones are dropped; the receiver gets their
    /// number.
    pub notifications: usize,
    /// The longest answer, in bytes. A longer one breaks the connection.
    pub answer_bytes: usize,
}

impl Default for ClientOptions {
    fn default() -> ClientOptions {
        ClientOptions {
            key: None,
            hello: HelloParams::default(),
            delays: Arc::new(|| Box::new(doubling())),
            connect_timeout: Duration::from_secs(5),
            request_timeout: Duration::from_secs(30),
            unsent_timeout: None,
            queue: 256,
            notifications: 4096,
            answer_bytes: 1 << 30,
        }
    }
}

impl std::fmt::Debug for ClientOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Without the key itself.
        f.debug_struct("ClientOptions")
            .field("key", &self.key.as_ref().map(|_| "set"))
            .field("hello", &self.hello)
            .field("request_timeout", &self.request_timeout)
            .finish_non_exhaustive()
    }
}

/// 50 ms, doubled up to 5 s, without end.
fn doubling() -> impl Iterator<Item = Duration> {
    let longest = Duration::from_secs(5);
    std::iter::successors(Some(Duration::from_millis(50)), move |d| {
        Some((*d * 2).min(longest))
    })
}
