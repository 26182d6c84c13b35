//! The login of a browser: a key or a ticket becomes a cookie, which its requests carry.
//!
//! The cookie has the secret of a session, which the hub has made and checks like a key.

use super::no_session;
use crate::rest::{HttpError, read_body};
use crate::state::AppState;
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderMap, HeaderName};
use actix_web::{HttpRequest, HttpResponse, web};
use kirosu_protocol::ErrorCode;
use serde::Deserialize;

/// The path of the login.
pub(crate) const SESSION_PATH: &str = "/session";
/// The beginning of the cookie's name. Its port follows.
const COOKIE: &str = "kirosu_session";
/// How long a browser keeps the cookie, in seconds. The hub decides how long a session lasts.
const COOKIE_SECONDS: u32 = 12 * 3600;

/// What a browser logs in with.
#[derive(Deserialize)]
#[serde(untagged, deny_unknown_fields)]
enum Credential {
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
        (given.trim() == name).then(|| secret.trim())
    })
}

/// The header that gives a browser the secret of a session, or takes it away.
fn set_cookie(request: &HttpRequest, secret: Option<&str>) -> (HeaderName, String) {
    let headers = request.headers();
    // A browser says by its origin that it reaches the gateway by TLS, also through a proxy.
    let origin = headers.get(header::ORIGIN);
    let is_secure = origin.is_some_and(|origin| origin.as_bytes().starts_with(b"https:"));
    let cookie = format!(
        "{}={}; Path=/; HttpOnly; SameSite=Strict; Max-Age={}{}",
        cookie_name(headers),
        secret.unwrap_or_default(),
        secret.map_or(0, |_| COOKIE_SECONDS),
        if is_secure { "; Secure" } else { "" },
    );
    (header::SET_COOKIE, cookie)
}

/// `POST /session`: logs a browser in.
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
    let secret = match credential {
        Credential::Key { key } => state.sessions.begin(&state, &key).await?,
        Credential::Ticket { .. } => return Err(no_session()),
    };
    Ok(HttpResponse::NoContent()
        .insert_header(set_cookie(&request, Some(&secret)))
        .finish())
}

/// `DELETE /session`: ends the session.
pub(super) async fn end(request: HttpRequest, state: web::Data<AppState>) -> HttpResponse {
    if let Some(secret) = cookie_of(request.headers()) {
        state.sessions.end(secret);
    }
    HttpResponse::NoContent()
        .insert_header(set_cookie(&request, None))
        .finish()
}
