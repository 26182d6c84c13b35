//! A session's link to the hub.
//!
//! The first `hello` of an incarnation sets `resume: false`, so that leases of an older incarnation are lost at once.
//! Every later one, of the same client or of its successor, resumes the session.

use std::sync::Arc;
use std::time::Duration;

use kirosu_protocol::client::{Client, ClientOptions, ConnectionState, Endpoint};
use kirosu_protocol::verbs::hello::SessionSecret;
use kirosu_protocol::{HelloParams, PROTOCOL_VERSION};
use kirosu_supervision::BackoffPolicy;
use parking_lot::Mutex;

/// Notices buffered for the session: cancels and lost leases of one lease at a time.
const NOTICES: usize = 64;
/// Maximum number of calls that wait to be sent.
const QUEUE: usize = 32;
/// Maximum time to wait for an answer, in addition to the time for which the request is parked.
const ANSWER_LIMIT: Duration = Duration::from_secs(30);

/// Pauses between attempts to reach the hub.
const ATTEMPTS: BackoffPolicy = BackoffPolicy {
    jitter: 0.3,
    ..BackoffPolicy::between(Duration::from_millis(50), Duration::from_secs(3))
};

/// The session's identity, and the hub it connects to.
pub(crate) struct SessionIdentity {
    pub(crate) endpoint: Endpoint,
    pub(crate) key: Option<String>,
    pub(crate) session_id: String,
    /// Keeps others from taking the session over.
    pub(crate) session_secret: SessionSecret,
    pub(crate) name: String,
}

impl SessionIdentity {
    /// Starts a client for this incarnation: the first (`resume` false), or a successor.
    pub(crate) fn client(&self, resume: bool) -> Client {
        let hello = HelloParams {
            protocol: PROTOCOL_VERSION,
            session_id: Some(self.session_id.clone()),
            resume,
            name: Some(self.name.clone()),
            session_secret: Some(self.session_secret.clone()),
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

/// The present client, shared by session and invocation.
#[derive(Clone)]
pub(crate) struct SessionLink(Arc<Mutex<Client>>);

impl SessionLink {
    pub(crate) fn new(client: Client) -> Self {
        Self(Arc::new(Mutex::new(client)))
    }

    pub(crate) fn client(&self) -> Client {
        self.0.lock().clone()
    }

    /// Whether a connection is open now.
    pub(crate) fn is_connected(&self) -> bool {
        matches!(
            *self.client().state().borrow(),
            ConnectionState::Connected(_)
        )
    }

    pub(crate) fn replace(&self, client: Client) {
        *self.0.lock() = client;
    }
}
