//! The client of command line, sessions and gateway. It reconnects by itself.
//!
//! A background task owns the socket. Calls are pipelined: the task writes each one as soon as the buffer has space, and
//! matches answers by id. When the connection breaks, the task reconnects after the given delays and sends `hello` first,
//! which resumes the session. Calls that were sent end as [`CallError::Disconnected`]: they may or may not have taken effect,
//! and the caller decides whether to send them again (every verb can be sent twice, see docs/protocol.md). Calls that were not
//! sent wait for the next connection, up to their timeout. Every queue is bounded.

mod connection;
mod driver;
mod endpoint;
mod error;
mod options;
mod wire;

pub use endpoint::{Endpoint, ForeignServer};
pub use error::CallError;
pub use options::{ClientOptions, Delays};
pub use wire::Notification;

use crate::answer::write_request;
use crate::{HelloAnswer, RawId, Verb};
use connection::QueuedCall;
use driver::ClientDriver;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_json::value::RawValue;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::{Notify, broadcast, mpsc, oneshot, watch};
use tokio_util::sync::{CancellationToken, DropGuard};

/// The state of a client's connection.
#[derive(Clone, Debug)]
pub enum ConnectionState {
    /// Not connected; the client tries to connect. The error is that of the last attempt or of the last connection.
    Connecting(Option<CallError>),
    /// Connected, with the hub's answer to `hello`.
    Connected(Arc<HelloAnswer>),
    /// Closed; the client does not connect again.
    Closed,
}

/// A handle of a connection to the hub. Cheap to clone; dropping the last handle closes the connection.
#[derive(Clone)]
pub struct Client {
    shared: Arc<ClientShared>,
}

struct ClientShared {
    endpoint: String,
    request_timeout: Duration,
    unsent_timeout: Option<Duration>,
    calls: mpsc::Sender<QueuedCall>,
    /// The id of the next call. The driver uses 0 for `hello`.
    next_id: AtomicU64,
    state: watch::Receiver<ConnectionState>,
    notifications: broadcast::Sender<Arc<Notification>>,
    /// Makes the driver drop its connection.
    hang_up: Arc<Notify>,
    stop: CancellationToken,
    _stop_when_dropped: DropGuard,
}

impl Client {
    /// Starts a client that connects in the background. Must be called within a tokio runtime.
    pub fn start(endpoint: Endpoint, options: ClientOptions) -> Client {
        let (calls, queue) = mpsc::channel(options.queue.max(1));
        let (state_sender, state) = watch::channel(ConnectionState::Connecting(None));
        let (notifications, _) = broadcast::channel(options.notifications.max(1));
        let stop = CancellationToken::new();
        let hang_up = Arc::new(Notify::new());
        let shared = ClientShared {
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
        let driver = ClientDriver {
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

    /// As [`start`](Client::start), but waits for the first attempt to connect.
    ///
    /// # Errors
    /// `Unreachable`, `BadAnswer`, or `Refused` by `hello`, if the first attempt fails; the client is closed then.
    pub async fn connect(endpoint: Endpoint, options: ClientOptions) -> Result<Client, CallError> {
        let client = Client::start(endpoint, options);
        let mut state = client.state();
        let first = state
            .wait_for(|s| !matches!(s, ConnectionState::Connecting(None)))
            .await
            .map(|s| s.clone());
        match first {
            Ok(ConnectionState::Connected(_)) => Ok(client),
            Ok(ConnectionState::Connecting(Some(error))) => Err(error),
            _ => Err(client.closed()),
        }
    }

    /// Sends a typed request and reads its typed answer. The timeout is that of the options plus [`Verb::parked`].
    ///
    /// # Errors
    /// Any [`CallError`]. `BadAnswer` if the answer does not have the type, with the reason: after that of a `lease`, call
    /// [`reconnect`](Client::reconnect), so that the hub takes back leases that this client does not know.
    pub async fn request<V: Verb>(&self, params: &V) -> Result<V::Answer, CallError> {
        let timeout = self.shared.request_timeout.saturating_add(params.parked());
        self.call_within(V::METHOD.name(), params, timeout).await
    }

    /// Sends any request. `params` must serialise as an object or null.
    ///
    /// # Errors
    /// As [`request`](Client::request).
    pub async fn call(&self, method: &str, params: impl Serialize) -> Result<Value, CallError> {
        self.call_within(method, &params, self.shared.request_timeout)
            .await
    }

    /// As [`call`](Client::call), with a type for the answer and a timeout. Dropping the future does not take the request back: a
    /// lease that it takes is held until it expires.
    ///
    /// # Errors
    /// As [`request`](Client::request).
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
        let call = QueuedCall {
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
        // Order matters. Here: close the channel, then read `sent`. The driver: set `sent`, then check the channel. So the
        // driver cannot send a call that is reported here as never sent.
        outcome.unwrap_or_else(|| {
            answer.close();
            answer
                .try_recv()
                .unwrap_or_else(|_| Err(self.timed_out(method, timeout, &sent)))
        })
    }

    /// Returns when the hub was unreachable for `unsent_timeout` and the call was not sent. Without this, a call that is queued
    /// at the moment of a break would wait for the next connection, up to its timeout.
    async fn stays_unsent(&self, sent: &AtomicBool) {
        let Some(patience) = self.shared.unsent_timeout else {
            return std::future::pending().await;
        };
        let mut state = self.state();
        loop {
            let lost = state.wait_for(|it| matches!(it, ConnectionState::Connecting(Some(_))));
            let is_lost = lost.await.is_ok();
            let back = state.wait_for(|it| matches!(it, ConnectionState::Connected(_)));
            let back = tokio::time::timeout(patience, back)
                .await
                .map(|it| it.is_ok());
            match back {
                Ok(true) if is_lost => {}
                Err(_) if is_lost && !sent.load(Ordering::SeqCst) => return,
                // The call was sent, or the driver has ended and fails it.
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
            ConnectionState::Connecting(Some(
                error @ (CallError::Unreachable { .. } | CallError::Refused(_)),
            )) => error.clone(),
            _ => CallError::Unreachable {
                endpoint,
                source: Arc::new(std::io::ErrorKind::TimedOut.into()),
            },
        }
    }

    /// The error of a call whose driver ended.
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

    /// The state of the connection, to read or to wait for a change.
    pub fn state(&self) -> watch::Receiver<ConnectionState> {
        self.shared.state.clone()
    }

    /// The hub's notifications from now on, over all connections. A receiver that lags loses the oldest ones and gets an error
    /// with their number.
    pub fn notifications(&self) -> broadcast::Receiver<Arc<Notification>> {
        self.shared.notifications.subscribe()
    }

    /// The hub's address, for messages.
    pub fn endpoint(&self) -> &str {
        &self.shared.endpoint
    }

    /// Drops the connection, if any, and connects again. For a caller whose calls time out or whose answers cannot be read.
    pub fn reconnect(&self) {
        self.shared.hang_up.notify_one();
    }

    /// Closes the connection for all handles. Calls without an answer end as `Disconnected` or `Closed`.
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
