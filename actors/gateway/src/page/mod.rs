//! The web page: its files, and the login of browsers.

mod files;
mod login;

use crate::rest::{HttpError, no_such_route};
use actix_web::http::{StatusCode, header};
use actix_web::web::{self, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder};
use std::borrow::Cow;

pub(crate) use login::{LOGINS, SESSION_PATH, cookie_of};

/// The headers of every page: no script, style or address but the own ones, and no element from a text.
const HEADERS: [(&str, &str); 6] = [
    (
        "content-security-policy",
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
         manifest-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; require-trusted-types-for 'script'",
    ),
    ("x-content-type-options", "nosniff"),
    ("referrer-policy", "no-referrer"),
    ("cross-origin-opener-policy", "same-origin"),
    ("cross-origin-resource-policy", "same-origin"),
    ("cache-control", "no-cache"),
];

/// Adds the headers of every page to a response.
pub(crate) fn protect(response: &mut HttpResponseBuilder) {
    for header in HEADERS {
        response.insert_header(header);
    }
}

/// Whether a path is that of the page's files, which have no confidential content.
pub(crate) fn is_file(path: &str) -> bool {
    path == "/" || path.starts_with("/page/")
}

/// Adds the routes of the page.
pub(crate) fn configure(routes: &mut ServiceConfig) {
    routes
        .service(crate::rest::resource("/").get(index).head(index))
        .service(crate::rest::resource("/page/{name}").get(file).head(file))
        .service(
            crate::rest::resource(SESSION_PATH)
                .post(login::begin)
                .delete(login::end),
        );
}

async fn index(request: HttpRequest) -> HttpResponse {
    serve(&request, files::INDEX).await
}

async fn file(request: HttpRequest, name: web::Path<String>) -> HttpResponse {
    serve(&request, &name).await
}

/// Serves a file, or only says that the browser's copy is the same.
async fn serve(request: &HttpRequest, name: &str) -> HttpResponse {
    let Some(file) = files::find(name) else {
        return match no_such_route(request.clone()).await {
            Ok(response) => response,
            Err(error) => actix_web::HttpResponse::from_error(error),
        };
    };
    let is_known = request
        .headers()
        .get(header::IF_NONE_MATCH)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|known| known.split(',').any(|it| is_tag(it, &file.tag)));
    let mut response = HttpResponse::build(match is_known {
        true => StatusCode::NOT_MODIFIED,
        false => StatusCode::OK,
    });
    protect(&mut response);
    response.insert_header((header::ETAG, file.tag));
    if is_known {
        return response.finish();
    }
    response.content_type(file.content_type);
    match file.bytes {
        Cow::Borrowed(bytes) => response.body(bytes),
        Cow::Owned(bytes) => response.body(bytes),
    }
}

/// Whether one tag of `If-None-Match` is this one. A proxy that compresses makes it a weak one.
fn is_tag(given: &str, tag: &str) -> bool {
    let given = given.trim();
    given == "*" || given.strip_prefix("W/").unwrap_or(given) == tag
}

/// The error for a session that has ended, or never was.
pub(crate) fn no_session() -> HttpError {
    HttpError::new(
        StatusCode::UNAUTHORIZED,
        kirosu_protocol::ErrorCode::Unauthorized,
        "the session has ended: log in again, with a key or with the link that `kirosu web` makes",
    )
}
