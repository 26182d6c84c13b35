//! What a verb works with: the screen, and the hub once it is needed.

use super::failure::Failure;
use super::globals::Globals;
use super::show::Screen;
use kirosu_config::{Loaded, Origin};
use kirosu_protocol::client::{
    CallError, Client, ClientOptions, ConnectionState, Delays, Endpoint,
};
use kirosu_protocol::{Limits, Verb};
use kirosu_supervision::BackoffPolicy;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// How long a verb that had a connection waits for a hub that went away to come back.
const PATIENCE: Duration = Duration::from_secs(60);

/// What every verb is given.
pub struct Context {
    /// The flags of every verb.
    pub globals: Globals,
    /// How to print.
    pub screen: Screen,
}

impl Context {
    /// Connects to the hub that the settings name.
    pub async fn connect(&self) -> Result<Hub, Failure> {
        let delays: Delays = Arc::new(|| Box::new(BackoffPolicy::default().delays()));
        let (endpoint, options) = self.address(delays)?;
        Ok(self.over(Client::connect(endpoint, options).await?))
    }

    /// What works with a client of one's own.
    pub fn over(&self, client: Client) -> Hub {
        Hub {
            client,
            screen: self.screen,
            away: Arc::default(),
        }
    }

    /// Where the hub is, and how to speak to it.
    pub fn address(&self, delays: Delays) -> Result<(Endpoint, ClientOptions), Failure> {
        let loaded = self.globals.for_client()?;
        for warning in &loaded.warnings {
            self.screen.note(&format!("kirosu: {warning}"))?;
        }
        let endpoint = endpoint(&loaded)?;
        let options = ClientOptions {
            key: loaded
                .settings
                .hub
                .key
                .as_ref()
                .map(|key| key.expose().to_owned()),
            delays,
            ..ClientOptions::default()
        };
        Ok((endpoint, options))
    }
}

/// A connection to the hub.
#[derive(Clone)]
pub struct Hub {
    /// The client itself.
    pub client: Client,
    screen: Screen,
    /// Whether the user was told that the hub is away.
    away: Arc<AtomicBool>,
}

impl Hub {
    /// Sends a request once.
    pub async fn ask<V: Verb>(&self, params: &V) -> Result<V::Answer, Failure> {
        Ok(self.client.request(params).await?)
    }

    /// Sends a request that may take effect twice without harm, and again when the connection broke before the answer.
    pub async fn insist<V: Verb>(&self, params: &V) -> Result<V::Answer, Failure> {
        loop {
            match self.client.request(params).await {
                Err(broken @ CallError::Disconnected { .. }) => self.returned(broken).await?,
                outcome => return Ok(outcome?),
            }
        }
    }

    /// Waits until the connection stands again; `why` is the failure when it does not.
    pub async fn returned(&self, why: CallError) -> Result<(), Failure> {
        if !self.away.swap(true, Ordering::Relaxed) {
            self.screen
                .note("kirosu: the connection to the hub broke; waiting for it to come back")?;
        }
        let mut state = self.client.state();
        let stands = state.wait_for(|state| !matches!(state, ConnectionState::Connecting(_)));
        let stands = tokio::time::timeout(PATIENCE, stands).await;
        match stands {
            Ok(Ok(state)) if matches!(*state, ConnectionState::Connected(_)) => {
                if self.away.swap(false, Ordering::Relaxed) {
                    self.screen.note("kirosu: the hub is back")?;
                }
                Ok(())
            }
            _ => Err(why.into()),
        }
    }

    /// What the hub takes at most.
    pub fn limits(&self) -> Limits {
        match &*self.client.state().borrow() {
            ConnectionState::Connected(hello) => hello.limits.clone(),
            _ => Limits::default(),
        }
    }
}

/// Where the settings say the hub is. A socket counts when it was named more closely than host and port, or as closely
/// and it is there.
pub(super) fn endpoint(loaded: &Loaded) -> Result<Endpoint, Failure> {
    let hub = &loaded.settings.hub;
    let rank = |key| loaded.origins.get(key).map_or(0, Origin::rank);
    let tcp = rank("hub.host").max(rank("hub.port"));
    if let Some(socket) = &hub.socket {
        let close = rank("hub.socket");
        if close > tcp || (close == tcp && socket.exists()) {
            return Ok(Endpoint::Unix(socket.clone()));
        }
    }
    if hub.port == 0 {
        return Err(Failure::Usage(
            "the settings say port 0 (any free one): name the one that the hub got, with --port"
                .into(),
        ));
    }
    Ok(Endpoint::Tcp(reachable(&hub.host).into(), hub.port))
}

/// "Every address" is where a hub listens, not where it can be reached.
fn reachable(host: &str) -> &str {
    match host {
        "0.0.0.0" | "" | "*" => "127.0.0.1",
        "::" | "[::]" => "::1",
        host => host,
    }
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
    fn the_closest_word_says_where_the_hub_is() {
        assert_eq!(found(&[], &[]), "127.0.0.1:8765");
        assert_eq!(found(&[("KIRO_SWARM_PORT", "9")], &[]), "127.0.0.1:9");
        assert_eq!(found(&[], &[("hub.host", "0.0.0.0")]), "127.0.0.1:8765");
        assert_eq!(found(&[], &[("hub.socket", "/nowhere")]), "/nowhere");
        let env = [("KIROSU_HUB__SOCKET", "/nowhere")];
        assert_eq!(found(&env, &[]), "/nowhere");
        assert_eq!(found(&env, &[("hub.port", "9")]), "127.0.0.1:9");
        assert!(found(&[], &[("hub.port", "0")]).contains("--port"));
    }
}
