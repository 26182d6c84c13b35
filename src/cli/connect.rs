//! The context of a verb: the global flags, the screen, and the connection to the hub.

use super::{Failure, Globals, Screen};
use crate::options;
use kirosu_config::Loaded;
use kirosu_protocol::client::{
    CallError, Client, ClientOptions, ConnectionState, Delays, Endpoint,
};
use kirosu_protocol::{Limits, Verb};
use kirosu_supervision::BackoffPolicy;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Time that a verb waits for the hub after its connection broke.
const PATIENCE: Duration = Duration::from_secs(60);

/// Passed to every verb that prints.
pub struct Context {
    /// The global flags.
    pub globals: Globals,
    /// Standard output and standard error.
    pub screen: Screen,
}

impl Context {
    /// Connects to the hub that the settings name.
    ///
    /// # Errors
    /// The settings have a fault, or the hub cannot be reached or refuses the connection.
    pub async fn connect(&self) -> Result<HubClient, Failure> {
        let delays: Delays = Arc::new(|| Box::new(BackoffPolicy::default().delays()));
        let (endpoint, options) = self.address(delays)?;
        Ok(self.over(Client::connect(endpoint, options).await?))
    }

    /// Wraps a client that is connected already.
    pub fn over(&self, client: Client) -> HubClient {
        HubClient {
            client,
            screen: self.screen,
            patience: PATIENCE,
            away: Arc::default(),
        }
    }

    /// The hub's address, and the options of a client for it.
    ///
    /// # Errors
    /// The settings have a fault or name port 0.
    pub fn address(&self, delays: Delays) -> Result<(Endpoint, ClientOptions), Failure> {
        let loaded = self.globals.for_client()?;
        for warning in &loaded.warnings {
            self.screen.note(&format!("kirosu: {warning}"))?;
        }
        let endpoint = endpoint(&loaded)?;
        let options = ClientOptions {
            key: loaded.settings.client_key(),
            delays,
            ..ClientOptions::default()
        };
        Ok((endpoint, options))
    }
}

/// A connection to the hub.
#[derive(Clone)]
pub struct HubClient {
    /// The client.
    pub client: Client,
    screen: Screen,
    patience: Duration,
    /// Whether the user knows that the hub is away; shared by all copies of this connection.
    away: Arc<AtomicBool>,
}

impl HubClient {
    /// The same connection, with another time for which it waits for a hub that is away [default: a minute].
    pub fn with_patience(self, patience: Duration) -> HubClient {
        HubClient { patience, ..self }
    }

    /// Sends a request once.
    ///
    /// # Errors
    /// The hub refuses, or the connection breaks before the answer.
    pub async fn request<V: Verb>(&self, params: &V) -> Result<V::Answer, Failure> {
        Ok(self.client.request(params).await?)
    }

    /// Sends a request that is safe to repeat, again after each reconnect.
    ///
    /// # Errors
    /// The hub refuses, or it does not come back in time.
    pub async fn request_idempotent<V: Verb>(&self, params: &V) -> Result<V::Answer, Failure> {
        loop {
            match self.client.request(params).await {
                Err(broken @ CallError::Disconnected { .. }) => self.reconnected(broken).await?,
                outcome => return Ok(outcome?),
            }
        }
    }

    /// Waits until the client has reconnected.
    ///
    /// # Errors
    /// `why`, if the hub does not come back in time.
    pub async fn reconnected(&self, why: CallError) -> Result<(), Failure> {
        if !self.away.swap(true, Ordering::Relaxed) {
            self.screen
                .note("kirosu: the connection to the hub broke; waiting for it to come back")?;
        }
        let mut state = self.client.state();
        let connected = state.wait_for(|state| !matches!(state, ConnectionState::Connecting(_)));
        let connected = tokio::time::timeout(self.patience, connected).await;
        match connected {
            Ok(Ok(state)) if matches!(*state, ConnectionState::Connected(_)) => {
                if self.away.swap(false, Ordering::Relaxed) {
                    self.screen.note("kirosu: the hub is back")?;
                }
                Ok(())
            }
            _ => Err(why.into()),
        }
    }

    /// The hub's limits for requests.
    pub fn limits(&self) -> Limits {
        match &*self.client.state().borrow() {
            ConnectionState::Connected(hello) => hello.limits.clone(),
            _ => Limits::default(),
        }
    }
}

/// The hub's address by the settings.
///
/// # Errors
/// They name none that a client can use.
pub(super) fn endpoint(loaded: &Loaded) -> Result<Endpoint, Failure> {
    options::hub_endpoint(loaded).map_err(Failure::Usage)
}

#[cfg(test)]
mod tests {
    use super::*;
    use kirosu_config::{Flag, LoadOptions, Purpose, Settings};

    fn found(env: &[(&str, &str)], flags: &[(&str, &str)]) -> String {
        let mut options = LoadOptions::with_env(env.iter().copied());
        options.file = Some("/dev/null".into());
        options.purpose = Purpose::Client;
        options.flags = flags.iter().map(|(k, v)| Flag::set(*k, *v)).collect();
        endpoint(&Settings::load(options).unwrap())
            .map_or_else(|failure| format!("{failure:?}"), |e| e.to_string())
    }

    #[test]
    fn the_strongest_source_names_the_hub() {
        assert_eq!(found(&[], &[]), "127.0.0.1:8765");
        assert_eq!(found(&[("KIRO_SWARM_PORT", "9")], &[]), "127.0.0.1:9");
        assert_eq!(found(&[], &[("hub.host", "0.0.0.0")]), "127.0.0.1:8765");
        assert_eq!(found(&[], &[("hub.socket", "/nowhere")]), "/nowhere");
        let env = [("KIROSU_HUB__SOCKET", "/nowhere")];
        assert_eq!(found(&env, &[]), "/nowhere");
        assert_eq!(found(&env, &[("hub.port", "9")]), "127.0.0.1:9");
        assert!(found(&[], &[("hub.port", "0")]).contains("--port"));
    }

    #[test]
    fn without_a_port_the_socket_is_the_address() {
        let off = ("hub.port", "off");
        let socket = ("hub.socket", "/nowhere");
        assert_eq!(found(&[], &[off, socket]), "/nowhere");
        let session = [("XDG_RUNTIME_DIR", "/run/user/7")];
        assert_eq!(found(&session, &[off]), "/run/user/7/kirosu/hub.sock");
        assert_eq!(found(&session, &[off, socket]), "/nowhere");
        // With a port, only a socket that is named counts.
        assert_eq!(found(&session, &[]), "127.0.0.1:8765");
        let service = [("RUNTIME_DIRECTORY", "/run/kirosu:/run/b"), session[0]];
        assert_eq!(found(&service, &[off]), "/run/kirosu/kirosu.sock");
        for none in ["", "relative"] {
            let text = found(&[("XDG_RUNTIME_DIR", none)], &[off]);
            assert!(text.contains("--socket"), "{text}");
        }
        let emptied = found(&session, &[off, ("hub.socket", "")]);
        assert!(emptied.contains("--socket"), "{emptied}");
        let env = [("KIROSU_HUB__PORT", "off"), session[0]];
        let elsewhere = found(&env, &[("hub.host", "hub.lan")]);
        assert!(elsewhere.contains("on hub.lan with --port"), "{elsewhere}");
    }
}
