//! The client every speaker uses: command line, sessions, gateway.
//!
//! A background task owns the socket. Calls are pipelined: each is written as soon as there is room and matched with its
//! answer by id. When the connection breaks, the task connects again with the given delays and says `hello` first, which
//! resumes the session. What had been sent by then ends as [`CallError::Disconnected`], because nobody can know whether
//! it took effect; resending is the caller's decision (every verb can be sent twice, see the protocol). What had not been
//! sent waits for the next connection, up to its timeout. Every queue is bounded.

mod connection;
mod driver;
mod endpoint;
mod error;
mod options;
mod wire;

pub use endpoint::Endpoint;
pub use error::CallError;
pub use options::{ClientOptions, Delays};
pub use wire::Notification;

use crate::answer::write_request;
use crate::frame::RawId;
use crate::verbs::Verb;
use crate::verbs::hello::HelloAnswer;
use connection::Call;
use driver::Driver;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_json::value::RawValue;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::{Notify, broadcast, mpsc, oneshot, watch};
use tokio_util::sync::{CancellationToken, DropGuard};

/// How the connection stands.
#[derive(Clone, Debug)]
pub enum State {
    /// Not connected; trying. With why the last attempt failed or the last connection broke.
    Connecting(Option<CallError>),
    /// Connected, and what the hub said to `hello`.
    Connected(Arc<HelloAnswer>),
    /// Closed for good.
    Closed,
}

/// A handle on a connection to the hub that reconnects by itself. Cheap to clone; the last one dropped closes it.
#[derive(Clone)]
pub struct Client {
    shared: Arc<Shared>,
}

struct Shared {
    endpoint: String,
    request_timeout: Duration,
    unsent_timeout: Option<Duration>,
    calls: mpsc::Sender<Call>,
    /// 0 is the driver's own `hello`.
    next_id: AtomicU64,
    state: watch::Receiver<State>,
    notifications: broadcast::Sender<Arc<Notification>>,
    /// Asks the driver to drop its connection.
    hang_up: Arc<Notify>,
    stop: CancellationToken,
    _stop_when_dropped: DropGuard,
}

impl Client {
    /// A client that connects in the background and keeps trying. Must be called within a tokio runtime.
    pub fn start(endpoint: Endpoint, options: ClientOptions) -> Client {
        let (calls, queue) = mpsc::channel(options.queue.max(1));
        let (state_sender, state) = watch::channel(State::Connecting(None));
        let (notifications, _) = broadcast::channel(options.notifications.max(1));
        let stop = CancellationToken::new();
        let hang_up = Arc::new(Notify::new());
        let shared = Shared {
            endpoint: endpoint.to_string(),
            request_timeout: options.request_timeout,
            unsent_timeout: options.unsent_timeout,
            calls,
            next_id: AtomicU64::new(1),
            state,
            notifications: notifications.clone(),
            hang_up: hang_up.clone(),
            stop: stop.clone(),
            _stop_when_dropped: stop.clone().drop_guard(),
        };
        let driver = Driver {
            endpoint,
            options,
            queue,
            state: state_sender,
            notifications,
            hang_up,
            stop,
        };
        tokio::spawn(driver.run());
        Client {
            shared: Arc::new(shared),
        }
    }

    /// As [`start`](Client::start), but waits for the first attempt: its failure (`Unreachable`, or `Refused` by
    /// `hello`) is returned and the client is closed.
    pub async fn connect(endpoint: Endpoint, options: ClientOptions) -> Result<Client, CallError> {
        let client = Client::start(endpoint, options);
        let mut state = client.state();
        let first = state
            .wait_for(|s| !matches!(s, State::Connecting(None)))
            .await
            .map(|s| s.clone());
        match first {
            Ok(State::Connected(_)) => Ok(client),
            Ok(State::Connecting(Some(error))) => Err(error),
            _ => Err(client.closed()),
        }
    }

    /// Sends a typed request and reads its typed answer. Parked time comes on top of the request timeout.
    pub async fn request<V: Verb>(&self, params: &V) -> Result<V::Answer, CallError> {
        let timeout = self.shared.request_timeout.saturating_add(params.parked());
        self.call_within(V::METHOD.name(), params, timeout).await
    }

    /// Sends any request; `params` must serialise as an object (or null).
    pub async fn call(&self, method: &str, params: impl Serialize) -> Result<Value, CallError> {
        self.call_within(method, &params, self.shared.request_timeout)
            .await
    }

    /// As [`call`](Client::call), with the answer's type and the timeout given. Dropping the future gives up waiting,
    /// not the request: a lease taken by it would be held until it expires.
    pub async fn call_within<A: DeserializeOwned>(
        &self,
        method: &str,
        params: &(impl Serialize + ?Sized),
        timeout: Duration,
    ) -> Result<A, CallError> {
        let raw = self.exchange(method, params, timeout).await?;
        serde_json::from_str(raw.get()).map_err(|e| CallError::BadAnswer {
            endpoint: self.shared.endpoint.clone(),
            method: method.to_owned(),
            why: e.to_string(),
        })
    }

    async fn exchange(
        &self,
        method: &str,
        params: &(impl Serialize + ?Sized),
        timeout: Duration,
    ) -> Result<Box<RawValue>, CallError> {
        let id = self.shared.next_id.fetch_add(1, Ordering::Relaxed);
        let mut line = Vec::with_capacity(128);
        write_request(&mut line, &RawId::number(id), method, params).map_err(CallError::Refused)?;
        let (reply, mut answer) = oneshot::channel();
        let sent = Arc::new(AtomicBool::new(false));
        let call = Call {
            id,
            method: method.to_owned(),
            line,
            sent: sent.clone(),
            reply,
        };
        let exchange = async {
            self.shared
                .calls
                .send(call)
                .await
                .map_err(|_| self.closed())?;
            (&mut answer)
                .await
                .unwrap_or_else(|_| Err(self.cut_off(method, &sent)))
        };
        let outcome = tokio::select! {
            biased;
            outcome = tokio::time::timeout(timeout, exchange) => outcome.ok(),
            () = self.stays_unsent(&sent) => None,
        };
        // Closed first, looked at second: the driver marks `sent` first and looks at the channel second, so it cannot send
        // a call that is reported here as never sent.
        outcome.unwrap_or_else(|| {
            answer.close();
            answer
                .try_recv()
                .unwrap_or_else(|_| Err(self.timed_out(method, timeout, &sent)))
        })
    }

    /// Ends once the hub could not be reached for `unsent_timeout` and the call has not been sent. A call can be queued in the
    /// moment in which the connection breaks: without this it would wait for the next one.
    async fn stays_unsent(&self, sent: &AtomicBool) {
        let Some(patience) = self.shared.unsent_timeout else {
            return std::future::pending().await;
        };
        let mut state = self.state();
        loop {
            let lost = state.wait_for(|it| matches!(it, State::Connecting(Some(_))));
            let is_lost = lost.await.is_ok();
            let back = state.wait_for(|it| matches!(it, State::Connected(_)));
            let back = tokio::time::timeout(patience, back)
                .await
                .map(|it| it.is_ok());
            match back {
                Ok(true) if is_lost => {}
                Err(_) if is_lost && !sent.load(Ordering::SeqCst) => return,
                // Sent, or the driver has ended: it answers the call.
                _ => return std::future::pending().await,
            }
        }
    }

    fn timed_out(&self, method: &str, after: Duration, sent: &AtomicBool) -> CallError {
        let endpoint = self.shared.endpoint.clone();
        if sent.load(Ordering::SeqCst) {
            return CallError::Timeout {
                endpoint,
                method: method.to_owned(),
                after,
            };
        }
        match &*self.shared.state.borrow() {
            State::Connecting(Some(
                error @ (CallError::Unreachable { .. } | CallError::Refused(_)),
            )) => error.clone(),
            _ => CallError::Unreachable {
                endpoint,
                source: Arc::new(std::io::ErrorKind::TimedOut.into()),
            },
        }
    }

    /// The driver ended while the call was with it.
    fn cut_off(&self, method: &str, sent: &AtomicBool) -> CallError {
        match sent.load(Ordering::SeqCst) {
            true => CallError::Disconnected {
                endpoint: self.shared.endpoint.clone(),
                method: method.to_owned(),
            },
            false => self.closed(),
        }
    }

    fn closed(&self) -> CallError {
        CallError::Closed {
            endpoint: self.shared.endpoint.clone(),
        }
    }

    /// How the connection stands, to look at or to wait for a change.
    pub fn state(&self) -> watch::Receiver<State> {
        self.shared.state.clone()
    }

    /// The hub's notifications from now on, over all connections. A receiver that lags loses the oldest and is told so.
    pub fn notifications(&self) -> broadcast::Receiver<Arc<Notification>> {
        self.shared.notifications.subscribe()
    }

    /// Where the hub is, for messages.
    pub fn endpoint(&self) -> &str {
        &self.shared.endpoint
    }

    /// Drops the present connection, if any, and connects anew: for a caller that finds it dead (calls time out).
    pub fn reconnect(&self) {
        self.shared.hang_up.notify_one();
    }

    /// Closes the connection for all handles; calls without an answer end as disconnected or closed.
    pub fn close(&self) {
        self.shared.stop.cancel();
    }
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client")
            .field("endpoint", &self.shared.endpoint)
            .finish_non_exhaustive()
    }
}
