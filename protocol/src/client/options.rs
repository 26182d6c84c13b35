//! How a client behaves.

use crate::verbs::hello::HelloParams;
use std::sync::Arc;
use std::time::Duration;

/// Makes a fresh series of delays for each time the connection is lost; when a series ends, the client gives up.
pub type Delays = Arc<dyn Fn() -> Box<dyn Iterator<Item = Duration> + Send> + Send + Sync>;

/// How a client behaves.
#[derive(Clone)]
pub struct ClientOptions {
    /// The hub's key, sent with each `hello`.
    pub key: Option<String>,
    /// How it introduces itself on each new connection. A `session_id` here is resumed after a reconnect; with
    /// `resume: false` the first `hello` that is answered begins a new life of the session, the later ones go on with it.
    pub hello: HelloParams,
    /// The pauses between attempts to connect.
    pub delays: Delays,
    /// How long one attempt to connect, `hello` included, may take.
    pub connect_timeout: Duration,
    /// How long a call may take, waiting for the connection included; parked time (`wait_seconds`) comes on top.
    pub request_timeout: Duration,
    /// How long a call may wait to be sent while the hub cannot be reached; it then ends as `Unreachable`. `None`: as long as
    /// the call may take.
    pub unsent_timeout: Option<Duration>,
    /// Calls that may wait to be sent; more wait in `call` itself.
    pub queue: usize,
    /// Notifications kept for a receiver that lags; older ones are dropped, and it is told how many.
    pub notifications: usize,
    /// Longest answer in bytes; a longer one breaks the connection.
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
        // Never the key itself.
        f.debug_struct("ClientOptions")
            .field("key", &self.key.as_ref().map(|_| "set"))
            .field("hello", &self.hello)
            .field("request_timeout", &self.request_timeout)
            .finish_non_exhaustive()
    }
}

/// 50 ms, doubled up to 5 s, for ever: for callers that bring no policy of their own.
fn doubling() -> impl Iterator<Item = Duration> {
    let longest = Duration::from_secs(5);
    std::iter::successors(Some(Duration::from_millis(50)), move |d| {
        Some((*d * 2).min(longest))
    })
}
