//! Connections to the hub.

use crate::cli::{Context, Failure, HubClient};
use kirosu_protocol::Verb;
use kirosu_protocol::client::{CallError, Client, ClientOptions, ConnectionState, Endpoint};
use std::cell::RefCell;
use std::fs::File;
use std::time::Duration;

/// Time for which a turn waits for a hub that is away: its task goes on, or begins again.
pub const PATIENCE: Duration = Duration::from_secs(60 * 60);
/// Time for which a request of the editor waits for a hub that is away.
const FIRST_WAIT: Duration = Duration::from_secs(3);

/// The hub of the settings.
pub struct HubAccess {
    context: Context,
    endpoint: Endpoint,
    options: ClientOptions,
    person_key: Option<String>,
    main: RefCell<Option<HubClient>>,
    person: RefCell<Option<HubClient>>,
}

impl HubAccess {
    /// `person_key`: the key with which the person in the editor decides.
    ///
    /// # Errors
    /// The settings have a fault.
    pub fn new(context: &Context, person_key: Option<String>) -> Result<HubAccess, Failure> {
        let (endpoint, mut options) = context.address(ClientOptions::default().delays)?;
        options.hello.name = Some("acp".to_owned());
        Ok(HubAccess {
            context: Context {
                globals: context.globals.clone(),
                screen: context.screen,
            },
            endpoint,
            options,
            person_key,
            main: RefCell::default(),
            person: RefCell::default(),
        })
    }

    /// The flags and the standard error of this command.
    pub fn context(&self) -> &Context {
        &self.context
    }

    /// A new connection, for a stream of events.
    ///
    /// # Errors
    /// The hub cannot be reached or refuses the connection.
    pub async fn fresh(&self) -> Result<HubClient, Failure> {
        self.connected(None).await
    }

    /// The connection for requests.
    ///
    /// # Errors
    /// The hub cannot be reached now, or refuses the connection.
    pub async fn main(&self) -> Result<HubClient, Failure> {
        self.kept(&self.main, None).await
    }

    /// The connection for decisions of the person.
    ///
    /// # Errors
    /// As [`main`](HubAccess::main).
    pub async fn person(&self) -> Result<HubClient, Failure> {
        match self.person_key.clone() {
            Some(key) => self.kept(&self.person, Some(key)).await,
            None => self.main().await,
        }
    }

    /// Whether the hub may take decisions from here: with the key of a person, or as a program with a terminal.
    pub fn may_decide(&self) -> bool {
        self.person_key.is_some() || File::open("/dev/tty").is_ok()
    }

    async fn kept(
        &self,
        kept: &RefCell<Option<HubClient>>,
        key: Option<String>,
    ) -> Result<HubClient, Failure> {
        let known = kept.borrow().clone();
        if let Some(hub) = known
            && is_back(&hub.client).await?
        {
            return Ok(hub);
        }
        let hub = self.connected(key).await?;
        *kept.borrow_mut() = Some(hub.clone());
        Ok(hub)
    }

    async fn connected(&self, key: Option<String>) -> Result<HubClient, Failure> {
        let mut options = self.options.clone();
        if key.is_some() {
            options.key = key;
        }
        let client = Client::connect(self.endpoint.clone(), options).await?;
        Ok(self.context.over(client).with_patience(PATIENCE))
    }
}

/// Whether a client is connected, or is so in a moment. False if it is closed.
///
/// # Errors
/// The hub is away.
async fn is_back(client: &Client) -> Result<bool, Failure> {
    let mut state = client.state();
    let settled = state.wait_for(|it| !matches!(it, ConnectionState::Connecting(_)));
    match tokio::time::timeout(FIRST_WAIT, settled).await {
        Ok(Ok(state)) => Ok(matches!(*state, ConnectionState::Connected(_))),
        Ok(Err(_)) => Ok(false),
        Err(_) => {
            let state = client.state().borrow().clone();
            match state {
                ConnectionState::Connecting(Some(why)) => Err(why.into()),
                _ => Ok(false),
            }
        }
    }
}

/// Sends a request that is safe to repeat, again until the hub answers: also after a long absence.
///
/// # Errors
/// The hub refuses, or it does not come back in time.
pub async fn insist<V: Verb>(hub: &HubClient, params: &V) -> Result<V::Answer, Failure> {
    loop {
        match hub.request_idempotent(params).await {
            Err(Failure::Call(
                why @ (CallError::Unreachable { .. } | CallError::Timeout { .. }),
            )) => hub.reconnected(why).await?,
            outcome => return outcome,
        }
    }
}
