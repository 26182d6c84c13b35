//! The connection to the hub as handlers see it: it says at once when the hub is away, and bounds what is asked.
//!
//! The client beneath queues what is called while it reconnects; a person or script behind HTTP would rather have a 503
//! than a request that hangs. So nothing is handed to it unless the connection stands, apart from a short patience that
//! hides a reconnect.
//!
//! A request counts until the hub has answered it, also when the one who asked has hung up: otherwise a client that asks
//! and leaves, again and again, could fill the connection with requests that wait in the hub.

use crate::passage;
use actix_web::web::Bytes;
use futures_util::Stream;
use kirosu_protocol::client::{CallError, Client, ClientOptions, ConnectionState, Endpoint};
use kirosu_protocol::verbs::hello::{HelloAnswer, HelloParams};
use kirosu_protocol::{Error, ErrorCode, Limits, Method, Verb};
use kirosu_supervision::BackoffPolicy;
use serde::de::DeserializeOwned;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// How long a request waits for a connection that has just broken, or is just being made.
const PATIENCE: Duration = Duration::from_millis(300);
/// How long the hub may take for an answer; time parked on purpose comes on top.
pub(crate) const ANSWER: Duration = Duration::from_secs(15);
/// Most requests under way, all clients of this gateway together.
const IN_FLIGHT: usize = 512;
/// Pauses between attempts to connect: a hub that is back is found within a second.
const RECONNECT: BackoffPolicy = BackoffPolicy {
    initial: Duration::from_millis(50),
    max: Duration::from_secs(1),
    factor: 2.0,
    jitter: 0.2,
    healthy_after: Duration::from_secs(60),
};

/// Why the hub gave no result. The texts are sentences for a person.
#[derive(Clone, Debug, thiserror::Error)]
pub enum AskError {
    /// It refused: nothing changed.
    #[error("{0}")]
    Refused(Error),
    /// It cannot be reached: nothing was sent.
    #[error("{0}")]
    Away(String),
    /// The connection broke, or the answer made no sense: it may have taken effect or not.
    #[error("{0}")]
    Broken(String),
    /// No answer in time: it may have taken effect or not.
    #[error("{0}")]
    TimedOut(String),
}

impl From<CallError> for AskError {
    fn from(error: CallError) -> AskError {
        let sentence = error.to_string();
        match error {
            CallError::Refused(refusal) => AskError::Refused(refusal),
            CallError::Unreachable { .. } | CallError::Closed { .. } => AskError::Away(sentence),
            CallError::Timeout { .. } => AskError::TimedOut(sentence),
            CallError::Disconnected { .. } | CallError::BadAnswer { .. } => {
                AskError::Broken(sentence)
            }
        }
    }
}

/// A connection to the hub. Cheap to clone; the last one dropped closes it.
#[derive(Clone, Debug)]
pub struct HubLink {
    client: Client,
    /// For what only asks, where that has a connection of its own: an answer that takes long holds up no change.
    questions: Option<Client>,
    endpoint: Endpoint,
    options: ClientOptions,
    in_flight: Arc<AtomicUsize>,
    /// Of these, the ones that wait in the hub on purpose.
    parked: Arc<AtomicUsize>,
}

impl HubLink {
    /// Connects in the background and keeps trying; `name` is how it introduces itself to the hub. Must be called within
    /// a tokio runtime.
    pub fn start(endpoint: Endpoint, key: Option<String>, name: &str) -> HubLink {
        let options = ClientOptions {
            key,
            hello: HelloParams {
                name: Some(name.to_owned()),
                ..HelloParams::default()
            },
            delays: Arc::new(|| Box::new(RECONNECT.delays())),
            request_timeout: ANSWER,
            unsent_timeout: Some(PATIENCE),
            queue: IN_FLIGHT,
            ..ClientOptions::default()
        };
        HubLink {
            client: Client::start(endpoint.clone(), options.clone()),
            questions: None,
            endpoint,
            options,
            in_flight: Arc::default(),
            parked: Arc::default(),
        }
    }

    /// With a second connection for what only asks.
    #[must_use]
    pub fn with_questions(self) -> HubLink {
        let questions = Some(self.another());
        HubLink { questions, ..self }
    }

    /// The connection for a verb.
    fn client_for(&self, method: Method) -> &Client {
        let asks_only = matches!(
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
        match &self.questions {
            Some(questions) if asks_only => questions,
            _ => &self.client,
        }
    }

    /// A connection of its own, for one who listens to the hub's notifications.
    pub(crate) fn another(&self) -> Client {
        Client::start(self.endpoint.clone(), self.options.clone())
    }

    /// Asks the hub.
    ///
    /// # Errors
    /// `Away` at once when the hub cannot be reached, `Refused` with `busy` when too much is under way.
    pub async fn ask<V>(&self, params: V) -> Result<V::Answer, AskError>
    where
        V: Verb + Send + Sync + 'static,
        V::Answer: Send,
    {
        self.ask_for(params).await
    }

    /// As [`ask`](HubLink::ask), the answer read as another type: a `Box<RawValue>` is passed on as the hub wrote it.
    ///
    /// # Errors
    /// As [`ask`](HubLink::ask).
    pub async fn ask_for<V, A>(&self, params: V) -> Result<A, AskError>
    where
        V: Verb + Send + Sync + 'static,
        A: DeserializeOwned + Send + 'static,
    {
        let client = self.client_for(V::METHOD).clone();
        let hello = stands(&client).await?;
        let slots = self.enter(&hello.limits, !params.parked().is_zero())?;
        let call = tokio::spawn(async move {
            let _slots = slots;
            let time = ANSWER.saturating_add(params.parked());
            client.call_within(V::METHOD.name(), &params, time).await
        });
        match call.await {
            Ok(outcome) => Ok(outcome?),
            // The thread is ending, or serde panicked.
            Err(broken) => Err(AskError::Broken(format!(
                "the gateway gave up {}, which may or may not have taken effect: {broken}",
                V::METHOD.name()
            ))),
        }
    }

    /// What the hub takes at most; its defaults before the first connection.
    pub fn limits(&self) -> Limits {
        match &*self.client.state().borrow() {
            ConnectionState::Connected(hello) => hello.limits.clone(),
            _ => Limits::default(),
        }
    }

    /// Waits a moment for the connection; what the hub said to `hello`.
    ///
    /// # Errors
    /// `Away`, with the reason, when there is none.
    pub async fn connected(&self) -> Result<Arc<HelloAnswer>, AskError> {
        stands(&self.client).await
    }

    /// Asks on a connection of its own, and passes the answer on as it comes, however long it is. It counts among what is
    /// under way until the slot is dropped.
    ///
    /// # Errors
    /// As [`ask`](HubLink::ask); once the answer has begun, its stream breaks off.
    pub(crate) async fn pass<V: Verb>(
        &self,
        ask: &V,
    ) -> Result<(impl Stream<Item = io::Result<Bytes>> + use<V>, Slot), AskError> {
        let hello = self.connected().await?;
        let (slot, _) = self.enter(&hello.limits, false)?;
        let answer = passage::open(&self.endpoint, self.options.key.as_deref(), ask).await?;
        Ok((answer, slot))
    }

    /// A place among the requests that take long, for an answer whose client may read slowly.
    ///
    /// # Errors
    /// `Refused` with `busy` when there is none.
    pub(crate) fn take_long(&self) -> Result<Slot, AskError> {
        let most = self.limits().in_flight_per_connection;
        self.park(most.clamp(1, IN_FLIGHT))
    }

    fn park(&self, most: usize) -> Result<Slot, AskError> {
        // Requests that wait leave half of the room to those that do not.
        let most = most.div_ceil(2);
        Slot::take(&self.parked, most).ok_or_else(|| busy("requests that wait", most))
    }

    fn enter(&self, limits: &Limits, parks: bool) -> Result<(Slot, Option<Slot>), AskError> {
        let most = limits.in_flight_per_connection.clamp(1, IN_FLIGHT);
        let parked = parks.then(|| self.park(most)).transpose()?;
        let slot = Slot::take(&self.in_flight, most).ok_or_else(|| busy("requests", most))?;
        Ok((slot, parked))
    }
}

fn busy(what: &str, most: usize) -> AskError {
    let message = format!("the gateway has {most} {what} under way, its limit; try again later");
    AskError::Refused(Error::new(ErrorCode::Busy, message))
}

/// One of a limited number; given back when dropped.
pub(crate) struct Slot(Arc<AtomicUsize>);

impl Slot {
    /// Takes one, unless `most` are taken.
    pub(crate) fn take(taken: &Arc<AtomicUsize>, most: usize) -> Option<Slot> {
        let enter = |now: usize| (now < most).then_some(now + 1);
        let entered = taken.fetch_update(Ordering::Relaxed, Ordering::Relaxed, enter);
        entered.ok().map(|_| Slot(taken.clone()))
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Waits a moment for a connection; what the hub said to `hello`.
async fn stands(client: &Client) -> Result<Arc<HelloAnswer>, AskError> {
    let mut state = client.state();
    let stands = state.wait_for(|state| !matches!(state, ConnectionState::Connecting(_)));
    let reached = tokio::time::timeout(PATIENCE, stands).await;
    if let Ok(Ok(reached)) = &reached
        && let ConnectionState::Connected(hello) = &**reached
    {
        return Ok(hello.clone());
    }
    drop(reached);
    let why = match &*client.state().borrow() {
        ConnectionState::Connecting(Some(why)) => away(client.endpoint(), why),
        _ => format!(
            "the hub at {} has not answered yet; try again in a moment",
            client.endpoint()
        ),
    };
    Err(AskError::Away(why))
}

/// Why there is no connection, as a sentence.
fn away(endpoint: &str, why: &CallError) -> String {
    match why {
        CallError::Refused(refusal) if refusal.code == ErrorCode::Unauthorized => format!(
            "the hub at {endpoint} refuses our key; give both sides the same KIRO_SWARM_KEY"
        ),
        CallError::Refused(refusal) => {
            format!("the hub at {endpoint} takes no connection now: {refusal}")
        }
        why => why.to_string(),
    }
}
