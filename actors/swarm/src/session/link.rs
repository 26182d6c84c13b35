//! The session's line to the hub.
//!
//! The first `hello` of an incarnation says `resume: false`: what an older incarnation held is lost at once. Every later
//! one says `resume: true`. A client repeats its `hello` at each reconnect, so the first client gets a single
//! connection (no delays follow once it stands) and its successor does the reconnecting.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use kirosu_protocol::client::{Client, ClientOptions, Delays, Endpoint, State};
use kirosu_protocol::verbs::hello::{HelloAsk, PROTOCOL};
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
    /// A client of one connection, which makes a new incarnation known.
    pub(crate) fn first(&self) -> Client {
        let asked = AtomicBool::new(false);
        let delays: Delays = Arc::new(move || {
            // Asked for at the start, and again as soon as the connection stands.
            match asked.swap(true, Ordering::Relaxed) {
                false => Box::new(ATTEMPTS.delays()),
                true => Box::new(std::iter::empty()),
            }
        });
        self.client(false, delays)
    }

    /// A client that resumes the session for as long as it lives.
    pub(crate) fn again(&self) -> Client {
        self.client(true, Arc::new(|| Box::new(ATTEMPTS.delays())))
    }

    fn client(&self, resume: bool, delays: Delays) -> Client {
        let hello = HelloAsk {
            protocol: PROTOCOL,
            session_id: Some(self.session_id.clone()),
            resume,
            name: Some(self.name.clone()),
        };
        let options = ClientOptions {
            key: self.key.clone(),
            hello,
            delays,
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
