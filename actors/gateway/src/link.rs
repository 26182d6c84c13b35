//! The handlers' connection to the hub: it fails immediately when the hub is unreachable, and limits the requests.
//!
//! The protocol's client queues requests while it reconnects, but an HTTP client needs a 503 and not a request that
//! hangs. So a request is passed to the client only while it is connected, or after a short wait that covers a
//! reconnect.
//!
//! A request counts until the hub has answered it, even if its HTTP client has disconnected. Otherwise, a client that
//! repeatedly sends a request and disconnects could fill the connection with requests that wait in the hub.

use crate::streaming;
use actix_web::web::Bytes;
use futures_util::{Stream, TryStreamExt};
use kirosu_protocol::client::{CallError, Client, ClientOptions, ConnectionState, Endpoint};
use kirosu_protocol::{Error, ErrorCode, HelloAnswer, HelloParams, Limits, Method, Verb};
use kirosu_supervision::BackoffPolicy;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// Maximum wait of a request for a connection that is not open yet.
const CONNECT_WAIT: Duration = Duration::from_millis(300);
/// Maximum wait for the end of the first attempt to connect, in addition: the hub takes a second to refuse a wrong key.
const FIRST_WAIT: Duration = Duration::from_millis(1500);
/// Timeout of the hub's answer, in addition to the time for which the request is parked.
pub(crate) const ANSWER_TIMEOUT: Duration = Duration::from_secs(15);
/// Maximum number of requests in flight of all clients of this gateway.
const IN_FLIGHT: usize = 512;
/// Delays between attempts to connect. The gateway reconnects within a second after the hub's return.
const RECONNECT: BackoffPolicy =
    BackoffPolicy::between(Duration::from_millis(50), Duration::from_secs(1));

/// Error of a request to the hub. The texts are sentences for a person.
#[derive(Clone, Debug, thiserror::Error)]
pub enum HubError {
    /// The hub refused the request, which had no effect.
    #[error("{0}")]
    Refused(Error),
    /// The hub is unreachable, and the request was not sent.
    #[error("{0}")]
    Unreachable(String),
    /// The connection broke, or the answer is invalid. The request may have taken effect.
    #[error("{0}")]
    Interrupted(String),
    /// The hub has not answered in time. The request may have taken effect.
    #[error("{0}")]
    TimedOut(String),
}

impl From<CallError> for HubError {
    fn from(error: CallError) -> HubError {
        let sentence = error.to_string();
        match error {
            CallError::Refused(refusal) => HubError::Refused(refusal),
            CallError::Unreachable { .. } | CallError::Closed { .. } => {
                HubError::Unreachable(sentence)
            }
            CallError::Timeout { .. } => HubError::TimedOut(sentence),
            CallError::Disconnected { .. } | CallError::BadAnswer { .. } => {
                HubError::Interrupted(sentence)
            }
        }
    }
}

/// A connection to the hub. Cheap to clone; the drop of the last clone closes it.
#[derive(Clone, Debug)]
pub struct HubLink {
    client: Client,
    /// A second connection for queries, so that a long answer does not delay changes.
    queries: Option<Client>,
    endpoint: Endpoint,
    options: ClientOptions,
    in_flight: Arc<AtomicUsize>,
    /// Number of requests in flight that are parked in the hub.
    parked: Arc<AtomicUsize>,
}

impl HubLink {
    /// Connects in the background, and reconnects as long as the link exists. `name` is the client's name in `hello`.
    /// Must be called within a tokio runtime.
    pub fn start(endpoint: Endpoint, key: Option<String>, name: &str) -> HubLink {
        let options = ClientOptions {
            key,
            hello: HelloParams {
                name: Some(name.to_owned()),
                ..HelloParams::default()
            },
            delays: Arc::new(|| Box::new(RECONNECT.delays())),
            request_timeout: ANSWER_TIMEOUT,
            unsent_timeout: Some(CONNECT_WAIT),
            queue: IN_FLIGHT,
            ..ClientOptions::default()
        };
        HubLink {
            client: Client::start(endpoint.clone(), options.clone()),
            queries: None,
            endpoint,
            options,
            in_flight: Arc::default(),
            parked: Arc::default(),
        }
    }

    /// Opens a second connection for queries.
    #[must_use]
    pub fn with_query_connection(self) -> HubLink {
        let queries = Some(self.new_client());
        HubLink { queries, ..self }
    }

    /// The connection for a verb.
    fn client_for(&self, method: Method) -> &Client {
        let is_query = matches!(
            method,
            Method::List
                | Method::Get
                | Method::Wait
                | Method::Approvals
                | Method::Usage
                | Method::Agents
                | Method::Pools
                | Method::Tree
                | Method::Metrics
        );
        match &self.queries {
            Some(queries) if is_query => queries,
            _ => &self.client,
        }
    }

    /// The introduction that opened the connections; the hub's answer to it says what the client may do.
    pub(crate) fn introduction(&self) -> HelloParams {
        self.options.hello.clone()
    }

    /// A new connection, for a subscriber to the hub's notifications.
    pub(crate) fn new_client(&self) -> Client {
        Client::start(self.endpoint.clone(), self.options.clone())
    }

    /// Whether a connection was lost, or refused by the hub.
    pub(crate) fn is_lost(&self) -> bool {
        let is_lost = |client: &Client| {
            matches!(
                &*client.state().borrow(),
                ConnectionState::Connecting(Some(_))
            )
        };
        is_lost(&self.client) || self.queries.as_ref().is_some_and(is_lost)
    }

    /// Connections to the same hub that speak for this key.
    pub(crate) fn with_key(&self, key: &str) -> HubLink {
        let key = Some(key.to_owned());
        let name = self.options.hello.name.as_deref().unwrap_or_default();
        HubLink::start(self.endpoint.clone(), key, name).with_query_connection()
    }

    /// Sends a request with this key over a connection of its own. For short answers.
    ///
    /// # Errors
    /// `Refused` with `unauthorized` if the hub does not know the key, and all other cases of [`HubError`].
    pub(crate) async fn request_with_key<V: Verb>(
        &self,
        key: &str,
        ask: &V,
    ) -> Result<V::Answer, HubError> {
        let broken =
            |why: String| HubError::Interrupted(format!("the hub's answer is not usable: {why}"));
        let answer = streaming::open(&self.endpoint, Some(key), V::METHOD, ask).await?;
        let pieces: Vec<Bytes> = answer
            .try_collect()
            .await
            .map_err(|error| broken(error.to_string()))?;
        serde_json::from_slice(&pieces.concat()).map_err(|error| broken(error.to_string()))
    }

    /// Sends a request to the hub and waits for its answer.
    ///
    /// # Errors
    /// `Unreachable` immediately when the hub is unreachable, `Refused` with `busy` at the limit of requests in flight,
    /// and all other cases of [`HubError`].
    pub async fn request<V>(&self, params: V) -> Result<V::Answer, HubError>
    where
        V: Verb + Send + Sync + 'static,
        V::Answer: Send,
    {
        self.request_as(params).await
    }

    /// As [`request`](HubLink::request), with another type of the answer: a `Box<RawValue>` keeps the hub's JSON as it is.
    ///
    /// # Errors
    /// As [`request`](HubLink::request).
    pub async fn request_as<V, A>(&self, params: V) -> Result<A, HubError>
    where
        V: Verb + Send + Sync + 'static,
        A: DeserializeOwned + Send + 'static,
    {
        let parked = params.parked();
        self.send(V::METHOD, params, parked).await
    }

    /// Sends a request whose parameters are read already. The hub may delay the answer by `parked`.
    ///
    /// # Errors
    /// As [`request`](HubLink::request).
    pub(crate) async fn send<P, A>(
        &self,
        method: Method,
        params: P,
        parked: Duration,
    ) -> Result<A, HubError>
    where
        P: Serialize + Send + Sync + 'static,
        A: DeserializeOwned + Send + 'static,
    {
        let client = self.client_for(method).clone();
        let hello = wait_connected(&client).await?;
        let slots = self.enter(&hello.limits, !parked.is_zero())?;
        let call = tokio::spawn(async move {
            let _slots = slots;
            let time = ANSWER_TIMEOUT.saturating_add(parked);
            client.call_within(method.name(), &params, time).await
        });
        match call.await {
            Ok(outcome) => Ok(outcome?),
            // The thread ends, or serde panicked.
            Err(error) => Err(HubError::Interrupted(format!(
                "the gateway gave up {}, which may or may not have taken effect: {error}",
                method.name()
            ))),
        }
    }

    /// The limits of the hub; the protocol's defaults before the first connection.
    pub fn limits(&self) -> Limits {
        match &*self.client.state().borrow() {
            ConnectionState::Connected(hello) => hello.limits.clone(),
            _ => Limits::default(),
        }
    }

    /// Waits at most [`CONNECT_WAIT`] for the connection, and returns the hub's answer to `hello`.
    ///
    /// # Errors
    /// `Unreachable`, with the reason, when there is no connection.
    pub async fn connected(&self) -> Result<Arc<HelloAnswer>, HubError> {
        wait_connected(&self.client).await
    }

    /// Sends a request over a new connection and streams the answer, which may have any length. The request counts as in
    /// flight until the slot is dropped.
    ///
    /// # Errors
    /// As [`request`](HubLink::request). A failure after the beginning of the answer is an error of the stream.
    pub(crate) async fn stream<V: Verb>(
        &self,
        ask: &V,
    ) -> Result<(impl Stream<Item = io::Result<Bytes>> + use<V>, RequestSlot), HubError> {
        self.stream_of(V::METHOD, ask).await
    }

    /// As [`stream`](HubLink::stream), with parameters that are read already.
    ///
    /// # Errors
    /// As [`request`](HubLink::request).
    pub(crate) async fn stream_of<P: Serialize>(
        &self,
        method: Method,
        params: &P,
    ) -> Result<(impl Stream<Item = io::Result<Bytes>> + use<P>, RequestSlot), HubError> {
        let hello = self.connected().await?;
        let (slot, _) = self.enter(&hello.limits, false)?;
        let key = self.options.key.as_deref();
        let answer = streaming::open(&self.endpoint, key, method, params).await?;
        Ok((answer, slot))
    }

    /// Reserves a slot of the long requests, for an answer whose client may read slowly.
    ///
    /// # Errors
    /// `Refused` with `busy` when all slots are taken.
    pub(crate) fn reserve_long(&self) -> Result<RequestSlot, HubError> {
        let most = self.limits().in_flight_per_connection;
        self.park(most.clamp(1, IN_FLIGHT))
    }

    fn park(&self, most: usize) -> Result<RequestSlot, HubError> {
        // Parked requests leave half of the slots to all others.
        let most = most.div_ceil(2);
        RequestSlot::take(&self.parked, most).ok_or_else(|| busy("parked requests", most))
    }

    fn enter(
        &self,
        limits: &Limits,
        parks: bool,
    ) -> Result<(RequestSlot, Option<RequestSlot>), HubError> {
        let most = limits.in_flight_per_connection.clamp(1, IN_FLIGHT);
        let parked = parks.then(|| self.park(most)).transpose()?;
        let slot =
            RequestSlot::take(&self.in_flight, most).ok_or_else(|| busy("requests", most))?;
        Ok((slot, parked))
    }
}

fn busy(requests: &str, most: usize) -> HubError {
    let message =
        format!("the gateway has {most} {requests} in flight, its limit; try again later");
    HubError::Refused(Error::new(ErrorCode::Busy, message))
}

/// One slot of a limited number. Its drop releases it.
pub(crate) struct RequestSlot(Arc<AtomicUsize>);

impl RequestSlot {
    /// Takes a slot, unless `most` are taken.
    pub(crate) fn take(taken: &Arc<AtomicUsize>, most: usize) -> Option<RequestSlot> {
        let enter = |now: usize| (now < most).then_some(now + 1);
        let entered = taken.fetch_update(Ordering::Relaxed, Ordering::Relaxed, enter);
        entered.ok().map(|_| RequestSlot(taken.clone()))
    }
}

impl Drop for RequestSlot {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Waits for a connection and returns the hub's answer to `hello`.
async fn wait_connected(client: &Client) -> Result<Arc<HelloAnswer>, HubError> {
    let mut state = client.state();
    let first = state.wait_for(|state| !matches!(state, ConnectionState::Connecting(None)));
    // An error means that the client has closed.
    let _ = tokio::time::timeout(FIRST_WAIT, first).await;
    let settled = state.wait_for(|state| !matches!(state, ConnectionState::Connecting(_)));
    let settled = tokio::time::timeout(CONNECT_WAIT, settled).await;
    if let Ok(Ok(state)) = &settled
        && let ConnectionState::Connected(hello) = &**state
    {
        return Ok(hello.clone());
    }
    drop(settled);
    let reason = match &*client.state().borrow() {
        ConnectionState::Connecting(Some(error)) => unreachable_text(client.endpoint(), error),
        _ => format!(
            "the hub at {} has not answered yet; try again in a moment",
            client.endpoint()
        ),
    };
    Err(HubError::Unreachable(reason))
}

/// The reason for a missing connection, as a sentence.
fn unreachable_text(endpoint: &str, error: &CallError) -> String {
    match error {
        CallError::Refused(refusal) if refusal.code == ErrorCode::Unauthorized => format!(
            "the hub at {endpoint} refuses our key; give both sides the same KIRO_SWARM_KEY"
        ),
        CallError::Refused(refusal) => {
            format!("the hub at {endpoint} accepts no connection now: {refusal}")
        }
        error => error.to_string(),
    }
}
