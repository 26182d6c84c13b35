//! MCP over HTTP: rmcp's service behind actix-web.
//!
//! This adapter exists because rmcp-actix-web enables `preserve_order` of serde_json for the whole workspace, has four
//! further dependencies, and reads bodies outside of the gateway's limits.
//!
//! The admission of requests (key, host, origin) is the same for all routes and precedes this service. Clients of protocol
//! revisions before 2026-07-28 have sessions, which end when the client deletes them, after [`IDLE`] without a message, and
//! with the gateway. Newer revisions have no sessions.

use super::tools::McpTools;
use crate::rest::{self, HttpError};
use crate::state::{AppState, ClientState};
use actix_web::http::{Method, StatusCode};
use actix_web::web::{self, Bytes, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};
use http_body_util::{BodyDataStream, BodyExt, Full};
use rmcp::transport::streamable_http_server::session::local::LocalSessionManager;
use rmcp::transport::{StreamableHttpServerConfig, StreamableHttpService};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Time without a message after which a session ends. Longer than the longest wait of a client without progress.
const IDLE: Duration = Duration::from_secs(2 * 3600);
/// Maximum number of sessions.
const SESSIONS: usize = 1000;
/// The most keys with sessions of their own; above it, those without a request at the moment lose theirs.
const KEYS: usize = 64;
/// The first revision without sessions. Revisions are dates, so they compare as text.
const SESSIONLESS: &str = "2026-07-28";

/// The service. Its drop ends all sessions and streams.
struct Mcp {
    service: StreamableHttpService<McpTools, LocalSessionManager>,
    sessions: Arc<LocalSessionManager>,
}

/// The services by the key of the client: a session belongs to one key.
struct McpServices {
    /// For the party of the gateway's own connection.
    own: Arc<Mcp>,
    by_key: Mutex<HashMap<String, Arc<Mcp>>>,
}

impl McpServices {
    fn of(&self, state: &ClientState) -> Arc<Mcp> {
        let Some(key) = &state.key else {
            return self.own.clone();
        };
        let mut by_key = self.by_key.lock().unwrap_or_else(PoisonError::into_inner);
        // Those of keys that are not used any more hold sessions and a connection.
        if by_key.len() >= KEYS && !by_key.contains_key(key) {
            by_key.retain(|_, mcp| Arc::strong_count(mcp) > 1);
        }
        let new = || Arc::new(Mcp::new(state));
        by_key.entry(key.clone()).or_insert_with(new).clone()
    }

    /// Ends all sessions and streams.
    fn close(&self) {
        let mut by_key = self.by_key.lock().unwrap_or_else(PoisonError::into_inner);
        for mcp in by_key.drain().map(|(_, mcp)| mcp).chain([self.own.clone()]) {
            mcp.service.config.cancellation_token.cancel();
        }
    }
}

impl Mcp {
    fn new(state: &AppState) -> Mcp {
        let tools = McpTools::new(state.hub.clone(), state.mcp_decisions);
        let mut sessions = LocalSessionManager::default();
        sessions.session_config.keep_alive = Some(IDLE);
        let sessions = Arc::new(sessions);
        let config = StreamableHttpServerConfig::default()
            // The gateway has checked both before, by rules that depend on the key.
            .disable_allowed_hosts()
            .disable_allowed_origins()
            .with_max_request_body_bytes(state.body_bytes);
        let service =
            StreamableHttpService::new(move || Ok(tools.for_session()), sessions.clone(), config);
        Mcp { service, sessions }
    }

    /// Refuses a new session at the limit.
    async fn has_room(&self, request: &HttpRequest) -> Result<(), HttpError> {
        let header = |name| request.headers().get(name).map(|value| value.as_bytes());
        let revision = header("mcp-protocol-version").unwrap_or_default();
        if header("mcp-session-id").is_some() || revision >= SESSIONLESS.as_bytes() {
            return Ok(());
        }
        match self.sessions.sessions.read().await.len() {
            SESSIONS.. => Err(HttpError::busy(format!(
                "the gateway has {SESSIONS} MCP sessions, its limit; end some, or try again later"
            ))),
            _ => Ok(()),
        }
    }
}

impl Drop for Mcp {
    fn drop(&mut self) {
        self.service.config.cancellation_token.cancel();
    }
}

/// Adds the routes below `/mcp`. Called once per incarnation of the actor `http`, on its thread.
pub(crate) fn configure(routes: &mut ServiceConfig, state: &AppState) {
    let mcp = web::Data::new(McpServices {
        own: Arc::new(Mcp::new(state)),
        by_key: Mutex::default(),
    });
    // Open streams would delay the stop of the gateway.
    let (stop, open) = (
        state.stop_token(),
        mcp.own.service.config.cancellation_token.clone(),
    );
    // Weak: the sessions end with the application.
    let all = Arc::downgrade(&mcp.clone().into_inner());
    actix_rt::spawn(async move {
        tokio::select! {
            () = stop.requested() => {
                if let Some(all) = all.upgrade() {
                    all.close();
                }
            }
            () = open.cancelled() => {}
        }
    });
    for path in ["/mcp", "/mcp/"] {
        let resource = web::resource(path).app_data(mcp.clone());
        routes.service(resource.route(web::route().to(answer)));
    }
}

/// Passes a request on to rmcp, and its answer back.
async fn answer(
    request: HttpRequest,
    payload: web::Payload,
    state: ClientState,
    mcp: web::Data<McpServices>,
) -> Result<HttpResponse, HttpError> {
    let mcp = mcp.of(&state);
    mcp.has_room(&request).await?;
    let body = rest::read_body(&request, payload, &state).await?;
    let bytes = Bytes::copy_from_slice(body.bytes());
    let answer = mcp.service.handle(theirs(&request, bytes)?).await;
    let (head, body) = answer.into_parts();
    let status = match (request.method(), head.status.as_u16()) {
        // The official Python client takes 202 for a session that was not ended.
        (&Method::DELETE, 202) => StatusCode::NO_CONTENT,
        (_, status) => StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
    };
    let mut ours = HttpResponse::build(status);
    for (name, value) in &head.headers {
        ours.append_header((name.as_str(), value.as_bytes()));
    }
    let streams = head.headers.get("content-type");
    if streams.is_some_and(|kind| kind.as_bytes().starts_with(b"text/event-stream")) {
        return Ok(ours.streaming(BodyDataStream::new(body)));
    }
    // All there already: sent with its length, or with none where the status has no body.
    let Ok(whole) = body.collect().await;
    Ok(ours.body(whole.to_bytes()))
}

/// The request in the types of `http` 1, which actix-web does not use yet.
fn theirs(request: &HttpRequest, body: Bytes) -> Result<http::Request<Full<Bytes>>, HttpError> {
    let mut theirs = http::Request::builder()
        .method(request.method().as_str())
        .uri(request.uri().to_string());
    for (name, value) in request.headers() {
        theirs = theirs.header(name.as_str(), value.as_bytes());
    }
    theirs.body(Full::new(body)).map_err(|why| {
        let message = format!("the request's head cannot be used: {why}");
        HttpError::new(
            StatusCode::BAD_REQUEST,
            kirosu_protocol::ErrorCode::InvalidRequest,
            message,
        )
    })
}
