//! State that all HTTP handlers share.

use crate::clients::KeyLinks;
use crate::http::HttpCounts;
use crate::link::HubLink;
use crate::v1::EventFeeds;
use actix_web::dev::Payload;
use actix_web::error::ErrorInternalServerError;
use actix_web::{FromRequest, HttpMessage, HttpRequest, web};
use kirosu_supervision::{ChildContext, StopToken};
use std::future::{Ready, ready};
use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;
use tokio::sync::Semaphore;

/// State of one incarnation of the actor `http`. Handlers get it as [`ClientState`].
#[derive(Clone)]
pub(crate) struct AppState {
    /// The connection to the hub for the party of the request.
    pub(crate) hub: HubLink,
    /// The connections for the keys of clients.
    pub(crate) clients: KeyLinks,
    /// The streams of events, by key.
    pub(crate) feeds: EventFeeds,
    /// Turns of browsers that log in.
    pub(crate) logins: Arc<Semaphore>,
    /// Whether browsers reach the gateway by TLS.
    pub(crate) is_secure: bool,
    /// The hub's key, and whether clients must send one.
    pub(crate) key: GatewayKey,
    /// Whether MCP clients get the tools that decide in a person's name.
    pub(crate) mcp_decisions: bool,
    /// Maximum size of a request body in bytes.
    pub(crate) body_bytes: usize,
    /// Maximum time to receive a request body.
    pub(crate) body_time: Duration,
    /// Total bytes of the bodies of all current requests.
    pub(crate) bodies: Arc<AtomicUsize>,
    pub(crate) counts: Arc<HttpCounts>,
    pub(crate) child: ChildContext,
}

impl AppState {
    /// Signals that the gateway is to stop.
    pub(crate) fn stop_token(&self) -> StopToken {
        self.child.stop_token()
    }
}

/// The key that clients may send to speak as the gateway itself does.
#[derive(Clone, Debug, Default)]
pub(crate) struct GatewayKey {
    /// The hub's key, if the gateway knows it.
    pub(crate) own: Option<Arc<str>>,
    /// Whether a request needs a key. If not, clients of the own user on this machine are admitted without one.
    pub(crate) is_required: bool,
}

/// The connection to the hub for the key of a request, in the request's extensions.
pub(crate) struct OfKey {
    pub(crate) hub: HubLink,
    pub(crate) key: String,
}

/// The state with the connection to the hub for the party of a request.
pub(crate) struct ClientState {
    state: Arc<AppState>,
    /// The client's key, unless it speaks for the party of the gateway's own connection.
    pub(crate) key: Option<String>,
}

impl Deref for ClientState {
    type Target = AppState;

    fn deref(&self) -> &AppState {
        &self.state
    }
}

impl FromRequest for ClientState {
    type Error = actix_web::Error;
    type Future = Ready<Result<ClientState, actix_web::Error>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let Some(state) = request.app_data::<web::Data<AppState>>() else {
            return ready(Err(ErrorInternalServerError("the gateway has no state")));
        };
        let extensions = request.extensions();
        let state = match extensions.get::<OfKey>() {
            None => ClientState {
                state: state.clone().into_inner(),
                key: None,
            },
            Some(client) => ClientState {
                state: Arc::new(AppState {
                    hub: client.hub.clone(),
                    ..(***state).clone()
                }),
                key: Some(client.key.clone()),
            },
        };
        ready(Ok(state))
    }
}
