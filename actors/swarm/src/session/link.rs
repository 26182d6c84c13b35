//! The session's line to the hub.
//!
//! The first `hello` of an incarnation says `resume: false`: what an older incarnation held is lost at once. Every later
//! one, of the same client or of a successor, goes on with it.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use kirosu_protocol::client::{Client, ClientOptions, Endpoint, State};
use kirosu_protocol::verbs::hello::{HelloParams, PROTOCOL};
use kirosu_supervision::BackoffPolicy;

/// Notices kept for the session: cancels and lost leases of one lease at a time.
const NOTICES: usize = 64;
/// Calls that wait to be sent.
const QUEUE: usize = 32;
/// Longest wait for an answer, beyond what the request is parked for.
const ANSWER_LIMIT: Duration = Duration::from_secs(30);

/// Pauses between attempts to reach the hub.
const ATTEMPTS: BackoffPolicy = BackoffPolicy {
    initial: Duration::from_millis(50),
    max: Duration::from_secs(3),
    factor: 2.0,
    jitter: 0.3,
    healthy_after: Duration::ZERO,
};

/// Who speaks, and to whom.
pub(crate) struct Introduction {
    pub(crate) endpoint: Endpoint,
    pub(crate) key: Option<String>,
    pub(crate) session_id: String,
    pub(crate) name: String,
}

impl Introduction {
    /// A client for this incarnation: its first, which makes the incarnation known (`resume` false), or a successor.
    pub(crate) fn client(&self, resume: bool) -> Client {
        let hello = HelloParams {
            protocol: PROTOCOL,
            session_id: Some(self.session_id.clone()),
            resume,
            name: Some(self.name.clone()),
        };
        let options = ClientOptions {
            key: self.key.clone(),
            hello,
            delays: Arc::new(|| Box::new(ATTEMPTS.delays())),
            request_timeout: ANSWER_LIMIT,
            queue: QUEUE,
            notifications: NOTICES,
            ..ClientOptions::default()
        };
        Client::start(self.endpoint.clone(), options)
    }
}

/// The present client, for session and invocation alike.
#[derive(Clone)]
pub(crate) struct Line(Arc<Mutex<Client>>);

impl Line {
    pub(crate) fn new(client: Client) -> Self {
        Self(Arc::new(Mutex::new(client)))
    }

    pub(crate) fn client(&self) -> Client {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Whether a connection stands now.
    pub(crate) fn is_connected(&self) -> bool {
        matches!(*self.client().state().borrow(), State::Connected(_))
    }

    pub(crate) fn replace(&self, client: Client) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = client;
    }
}
