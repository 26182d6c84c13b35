//! Errors as `application/problem+json` (RFC 9457), and the id of a request, which its response and its line in the log have.

use crate::rest::HttpError;
use actix_web::body::BoxBody;
use actix_web::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use actix_web::http::{Method, StatusCode};
use actix_web::{Error, HttpResponse, ResponseError};
use kirosu_protocol::ErrorCode;
use serde_json::{Value, json};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

/// The header with the id of a request.
pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// The most characters of a client's id of a request.
const ID_CHARS: usize = 128;
/// The content type of an error.
const PROBLEM: &str = "application/problem+json";
/// The beginning of the `type` of an error, before its code.
pub(crate) const TYPE_PREFIX: &str = "urn:kirosu:error:";

/// The id of a request in its response and in the log, with its path.
#[derive(Clone, Debug)]
pub(crate) struct RequestLabel {
    pub(crate) id: String,
    method: Method,
    path: String,
}

impl RequestLabel {
    /// That of a request: with the client's id if it is valid, else with a new one.
    pub(crate) fn new(headers: &HeaderMap, method: &Method, path: &str) -> RequestLabel {
        let given = headers.get(REQUEST_ID).and_then(|id| id.to_str().ok());
        RequestLabel {
            id: given
                .filter(|id| is_valid(id))
                .map_or_else(new_id, str::to_owned),
            method: method.clone(),
            path: path.to_owned(),
        }
    }

    /// Whether errors are problems.
    fn is_v1(&self) -> bool {
        let rest = self.path.strip_prefix("/v1");
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }

    /// The header with the id.
    pub(crate) fn header(&self) -> Option<HeaderValue> {
        HeaderValue::from_str(&self.id).ok()
    }

    /// Logs a failed request and makes its error a response with the id.
    pub(crate) fn failed(&self, error: &Error) -> HttpResponse<BoxBody> {
        let status = error.as_response_error().status_code();
        let (id, path) = (&self.id, &self.path);
        match status.is_server_error() {
            true => {
                tracing::warn!(request_id = id, method = %self.method, path, status = status.as_u16(), %error, "a request failed");
            }
            false => {
                tracing::debug!(request_id = id, method = %self.method, path, status = status.as_u16(), %error, "a request was refused");
            }
        }
        match self.is_v1() {
            true => problem(error, &self.id),
            false => error.error_response(),
        }
    }
}

/// A response as an error, for a request that was not admitted.
#[derive(Debug)]
pub(crate) struct Refused(pub(crate) RequestLabel, pub(crate) Error);

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.1.fmt(f)
    }
}

impl ResponseError for Refused {
    fn status_code(&self) -> StatusCode {
        self.1.as_response_error().status_code()
    }

    fn error_response(&self) -> HttpResponse<BoxBody> {
        let mut response = self.0.failed(&self.1);
        if let Some(id) = self.0.header() {
            response.headers_mut().insert(REQUEST_ID, id);
        }
        response
    }
}

fn is_valid(id: &str) -> bool {
    let fits = (1..=ID_CHARS).contains(&id.len());
    let is_plain = |byte: u8| {
        byte.is_ascii_alphanumeric()
            || matches!(byte, b'-' | b'_' | b'.' | b':' | b'/' | b'+' | b'=')
    };
    fits && id.bytes().all(is_plain)
}

/// A number that no other request of this machine has, or that of another start of this process.
fn new_id() -> String {
    static START: OnceLock<u64> = OnceLock::new();
    static COUNT: AtomicU64 = AtomicU64::new(0);
    use std::hash::{BuildHasher, RandomState};
    let start = *START.get_or_init(|| RandomState::new().hash_one(0));
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    format!("{start:016x}-{count:x}")
}

/// The response to an error under `/v1`.
fn problem(error: &Error, id: &str) -> HttpResponse<BoxBody> {
    let status = error.as_response_error().status_code();
    let (known, plain);
    let error = match error.as_error::<HttpError>() {
        Some(error) => {
            known = error;
            known
        }
        // One of the web library: for instance a body that is not a body.
        None => {
            plain = HttpError::new(status, code_of(status), error.to_string());
            &plain
        }
    };
    let code = error.error.code;
    let mut body = json!({
        "type": format!("{TYPE_PREFIX}{code}"),
        "title": status.canonical_reason().unwrap_or("Error"),
        "status": status.as_u16(),
        "detail": error.error.message,
        "code": code.as_str(),
        "request_id": id,
    });
    if let Some(data @ Value::Object(_)) = &error.error.data {
        body["data"] = data.clone();
    }
    let mut response = HttpResponse::build(status);
    response.content_type(PROBLEM);
    if status == StatusCode::SERVICE_UNAVAILABLE {
        response.insert_header((header::RETRY_AFTER, "1"));
    }
    if let Some(allow) = &error.allow {
        response.insert_header((header::ALLOW, allow.as_str()));
    }
    response.body(body.to_string())
}

fn code_of(status: StatusCode) -> ErrorCode {
    match status.is_client_error() {
        true => ErrorCode::InvalidRequest,
        false => ErrorCode::Internal,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::body::to_bytes;

    #[test]
    fn a_valid_id_of_the_client_is_kept_and_each_other_request_gets_a_new_one() {
        let label = |id: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(REQUEST_ID, HeaderValue::from_str(id).unwrap());
            RequestLabel::new(&headers, &Method::GET, "/v1/ping").id
        };
        assert_eq!(label("abc-7:x"), "abc-7:x");
        for bad in ["", "a b", "\"", &"x".repeat(129)] {
            let (first, second) = (label(bad), label(bad));
            assert!(is_valid(&first) && first != bad && first != second, "{bad}");
        }
    }

    #[tokio::test]
    async fn an_error_below_v1_is_a_problem_and_elsewhere_what_it_was() {
        let refused = kirosu_protocol::Error::new(ErrorCode::Forbidden, "no")
            .with_data(json!({"right": "admin"}));
        let response = |path: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(REQUEST_ID, HeaderValue::from_static("r1"));
            let label = RequestLabel::new(&headers, &Method::GET, path);
            Refused(label, HttpError::from(refused.clone()).into()).error_response()
        };
        let problem = response("/v1/audit");
        assert_eq!(
            problem.headers().get(header::CONTENT_TYPE).unwrap(),
            PROBLEM
        );
        let body = to_bytes(problem.into_body()).await.unwrap();
        assert_eq!(
            serde_json::from_slice::<Value>(&body).unwrap(),
            json!({
                "type": "urn:kirosu:error:forbidden", "title": "Forbidden", "status": 403, "detail": "no",
                "code": "forbidden", "data": {"right": "admin"}, "request_id": "r1",
            })
        );
        for path in ["/v10", "/tasks"] {
            let other = response(path);
            assert_eq!(other.headers().get(REQUEST_ID).unwrap(), "r1");
            assert_eq!(
                other.headers().get(header::CONTENT_TYPE).unwrap(),
                "application/json"
            );
        }
    }
}
