//! The login of a browser: a key or a ticket becomes a cookie, which its requests carry.
//!
//! The cookie has the secret of a session, which the hub has made and checks like a key.

use crate::link::HubError;
use crate::options::HttpPeer;
use crate::rest::{HttpError, read_body};
use crate::state::AppState;
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderMap, HeaderName, HttpDate};
use actix_web::{HttpRequest, HttpResponse, web};
use kirosu_protocol::access::{PASSED_ON, WEB_SESSION_PREFIX};
use kirosu_protocol::verbs::hello::SessionSecret;
use kirosu_protocol::{ErrorCode, WebLoginAnswer, WebLoginParams, WebLogoutParams};
use serde::Deserialize;
use std::time::{Duration, UNIX_EPOCH};

/// The path of the login.
pub(crate) const SESSION_PATH: &str = "/session";
/// The beginning of the cookie's name. Its port follows.
const COOKIE: &str = "kirosu_session";
/// The most browsers that log in at the same time. As a wrong key or ticket is refused after a second, it is also the most tries per
/// second, whatever the number of connections.
pub(crate) const LOGINS: usize = 4;
/// Pause before a wrong ticket is refused.
const WRONG_TICKET_PAUSE: Duration = Duration::from_secs(1);

/// The body of a login.
#[derive(Deserialize)]
#[serde(untagged, deny_unknown_fields)]
enum LoginBody {
    Key { key: String },
    Ticket { ticket: String },
}

/// The name of the cookie. A browser sends the cookies of a host to all of its ports, so the port is in the name.
fn cookie_name(headers: &HeaderMap) -> String {
    let host = headers.get(header::HOST).and_then(|it| it.to_str().ok());
    let port = host.and_then(|host| {
        let (_, port) = host.rsplit_once(':')?;
        port.parse::<u16>().ok()
    });
    match port {
        Some(port) => format!("{COOKIE}_{port}"),
        None => COOKIE.to_owned(),
    }
}

/// The secret of the session in a request's cookie.
pub(crate) fn cookie_of(headers: &HeaderMap) -> Option<&str> {
    let name = cookie_name(headers);
    let lines = headers.get_all(header::COOKIE);
    let mut cookies = lines
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.split(';'));
    cookies.find_map(|cookie| {
        let (given, secret) = cookie.split_once('=')?;
        let secret = secret.trim();
        (given.trim() == name && secret.starts_with(WEB_SESSION_PREFIX)).then_some(secret)
    })
}

/// The header that gives a browser the secret of a session, or takes it away.
fn set_cookie(
    request: &HttpRequest,
    is_secure: bool,
    session: Option<&WebLoginAnswer>,
) -> (HeaderName, String) {
    let headers = request.headers();
    // A browser says by its origin that it reaches the gateway by TLS, also through a proxy.
    let origin = headers.get(header::ORIGIN);
    let is_secure =
        is_secure || origin.is_some_and(|origin| origin.as_bytes().starts_with(b"https:"));
    let (secret, end) = match session {
        Some(session) => {
            let end = Duration::try_from_secs_f64(session.expires_at).unwrap_or_default();
            (session.session.0.as_str(), end)
        }
        None => ("", Duration::ZERO),
    };
    let cookie = format!(
        "{}={secret}; Path=/; HttpOnly; SameSite=Strict; Expires={}{}",
        cookie_name(headers),
        HttpDate::from(UNIX_EPOCH.checked_add(end).unwrap_or(UNIX_EPOCH)),
        if is_secure { "; Secure" } else { "" },
    );
    (header::SET_COOKIE, cookie)
}

/// `POST /session`: logs a browser in. A wrong key costs the hub's pause, a wrong ticket one here.
pub(super) async fn begin(
    request: HttpRequest,
    payload: web::Payload,
    state: web::Data<AppState>,
) -> Result<HttpResponse, HttpError> {
    let body = read_body(&request, payload, &state).await?;
    let credential = serde_json::from_slice(body.bytes()).map_err(|_| {
        let message = "the body must be {\"key\": KEY} or {\"ticket\": TICKET}";
        HttpError::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            ErrorCode::InvalidParams,
            message,
        )
    })?;
    let Ok(_turn) = state.logins.try_acquire() else {
        return Err(HttpError::busy(
            "too many browsers are logging in at the moment; try again later",
        ));
    };
    let session = match credential {
        LoginBody::Key { key } => by_key(&state, &key).await?,
        LoginBody::Ticket { ticket } => by_ticket(&request, &state, ticket).await?,
    };
    Ok(HttpResponse::NoContent()
        .insert_header(set_cookie(&request, state.is_secure, Some(&session)))
        .finish())
}

async fn by_key(state: &AppState, key: &str) -> Result<WebLoginAnswer, HttpError> {
    let key = format!("{PASSED_ON}{key}");
    let asked = state
        .hub
        .request_with_key(&key, &WebLoginParams::default())
        .await;
    match asked {
        Err(HubError::Refused(error)) if error.code == ErrorCode::Unauthorized => Err(refused(
            "the hub does not know this key: `kirosu key add NAME --role ROLE` makes one, and `kirosu web` logs in without one",
        )),
        asked => Ok(asked?),
    }
}

async fn by_ticket(
    request: &HttpRequest,
    state: &AppState,
    ticket: String,
) -> Result<WebLoginAnswer, HttpError> {
    let params = WebLoginParams {
        ticket: Some(SessionSecret(ticket)),
        same_user: request.conn_data::<HttpPeer>() == Some(&HttpPeer::Own),
    };
    match state.hub.request(params).await {
        Err(HubError::Refused(error)) if error.code == ErrorCode::NotFound => {
            tokio::time::sleep(WRONG_TICKET_PAUSE).await;
            Err(refused(error.message))
        }
        asked => Ok(asked?),
    }
}

fn refused(message: impl Into<String>) -> HttpError {
    HttpError::new(StatusCode::UNAUTHORIZED, ErrorCode::Unauthorized, message)
}

/// `DELETE /session`: ends the session.
pub(super) async fn end(
    request: HttpRequest,
    state: web::Data<AppState>,
) -> Result<HttpResponse, HttpError> {
    if let Some(secret) = cookie_of(request.headers()) {
        let session = SessionSecret(secret.to_owned());
        state.hub.request(WebLogoutParams { session }).await?;
    }
    Ok(HttpResponse::NoContent()
        .insert_header(set_cookie(&request, state.is_secure, None))
        .finish())
}
