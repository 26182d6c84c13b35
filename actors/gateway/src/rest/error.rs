//! Error responses: one JSON form, with the protocol's error codes.

use crate::link::HubError;
use actix_web::body::BoxBody;
use actix_web::http::{Method, StatusCode, header};
use actix_web::{HttpRequest, HttpResponse, ResponseError};
use kirosu_protocol::{Error, ErrorCode};
use serde_json::json;

/// An error response.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{error}")]
pub(crate) struct HttpError {
    pub(crate) status: StatusCode,
    pub(crate) error: Error,
    /// The methods of the path, for a response 405.
    pub(crate) allow: Option<String>,
}

impl HttpError {
    pub(crate) fn new(
        status: StatusCode,
        code: ErrorCode,
        message: impl Into<String>,
    ) -> HttpError {
        HttpError {
            status,
            error: Error::new(code, message),
            allow: None,
        }
    }

    /// 403: the key is wrong, or the request is not local.
    pub(crate) fn forbidden(message: impl Into<String>) -> HttpError {
        HttpError::new(StatusCode::FORBIDDEN, ErrorCode::Unauthorized, message)
    }

    /// 503: the request had no effect and can be repeated later.
    pub(crate) fn busy(message: impl Into<String>) -> HttpError {
        HttpError::new(StatusCode::SERVICE_UNAVAILABLE, ErrorCode::Busy, message)
    }

    /// 500: a handler panicked.
    pub(crate) fn panicked() -> HttpError {
        HttpError::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            ErrorCode::Internal,
            "the gateway failed to handle this request, which may or may not have taken effect; its log says why",
        )
    }

    /// The JSON text: the error as on the wire, and `detail`, which scripts for the previous version print.
    pub(crate) fn body(&self) -> String {
        json!({"detail": self.error.message, "error": self.error}).to_string()
    }
}

/// The HTTP status for an error code of the hub.
fn status_of(code: ErrorCode) -> StatusCode {
    match code {
        ErrorCode::ParseError | ErrorCode::InvalidRequest => StatusCode::BAD_REQUEST,
        ErrorCode::InvalidParams => StatusCode::UNPROCESSABLE_ENTITY,
        ErrorCode::Unauthorized | ErrorCode::Forbidden | ErrorCode::NotTrusted => {
            StatusCode::FORBIDDEN
        }
        ErrorCode::UnknownTask | ErrorCode::NotFound => StatusCode::NOT_FOUND,
        ErrorCode::StaleLease | ErrorCode::StaleApproval | ErrorCode::WrongState => {
            StatusCode::CONFLICT
        }
        ErrorCode::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        ErrorCode::Busy | ErrorCode::ShuttingDown => StatusCode::SERVICE_UNAVAILABLE,
        ErrorCode::MethodNotFound | ErrorCode::Unsupported => StatusCode::NOT_IMPLEMENTED,
        ErrorCode::Internal => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

impl From<Error> for HttpError {
    fn from(error: Error) -> HttpError {
        HttpError {
            status: status_of(error.code),
            error,
            allow: None,
        }
    }
}

impl From<HubError> for HttpError {
    fn from(error: HubError) -> HttpError {
        match error {
            HubError::Refused(error) => error.into(),
            HubError::Unreachable(why) => HttpError::busy(why),
            HubError::Interrupted(why) => {
                HttpError::new(StatusCode::BAD_GATEWAY, ErrorCode::Internal, why)
            }
            HubError::TimedOut(why) => {
                HttpError::new(StatusCode::GATEWAY_TIMEOUT, ErrorCode::Internal, why)
            }
        }
    }
}

impl ResponseError for HttpError {
    fn status_code(&self) -> StatusCode {
        self.status
    }

    fn error_response(&self) -> HttpResponse<BoxBody> {
        let mut response = HttpResponse::build(self.status);
        response.content_type("application/json");
        if self.status == StatusCode::SERVICE_UNAVAILABLE {
            response.insert_header((header::RETRY_AFTER, "1"));
        }
        if self.status == StatusCode::UNAUTHORIZED {
            response.insert_header((header::WWW_AUTHENTICATE, "Bearer"));
        }
        response.body(self.body())
    }
}

/// 404 for an unknown path.
pub(crate) async fn no_such_route(request: HttpRequest) -> Result<HttpResponse, HttpError> {
    let (method, path) = (request.method(), request.path());
    let list = match path.starts_with("/v1") {
        true => "/v1/openapi.json",
        false => "/openapi.json",
    };
    let message = format!("there is no {method} {path}; {list} lists all routes");
    let code = ErrorCode::MethodNotFound;
    Err(HttpError::new(StatusCode::NOT_FOUND, code, message))
}

/// 405 for a path with other methods.
pub(super) async fn not_allowed(request: HttpRequest) -> HttpResponse {
    let path = request.path();
    let other = match *request.method() {
        Method::GET | Method::HEAD => "POST",
        _ => "GET",
    };
    let message = format!(
        "{path} does not take {}; try {other}, or see /openapi.json",
        request.method()
    );
    HttpError::new(
        StatusCode::METHOD_NOT_ALLOWED,
        ErrorCode::MethodNotFound,
        message,
    )
    .error_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_the_status_that_http_clients_expect() {
        let table = ErrorCode::ALL.map(|code| (code.as_str(), status_of(code).as_u16()));
        let expected = [
            ("parse_error", 400),
            ("invalid_request", 400),
            ("method_not_found", 501),
            ("invalid_params", 422),
            ("internal", 500),
            ("unauthorized", 403),
            ("unknown_task", 404),
            ("stale_lease", 409),
            ("wrong_state", 409),
            ("busy", 503),
            ("too_large", 413),
            ("unsupported", 501),
            ("not_trusted", 403),
            ("shutting_down", 503),
            ("not_found", 404),
            ("stale_approval", 409),
            ("forbidden", 403),
        ];
        assert_eq!(table, expected);
    }

    #[test]
    fn the_status_says_whether_a_request_may_have_taken_effect() {
        let status = |error: HubError| HttpError::from(error).status.as_u16();
        assert_eq!(status(HubError::Unreachable(String::new())), 503);
        assert_eq!(status(HubError::Interrupted(String::new())), 502);
        assert_eq!(status(HubError::TimedOut(String::new())), 504);
        let busy = Error::new(ErrorCode::Busy, "full");
        let busy = HttpError::from(HubError::Refused(busy)).error_response();
        assert_eq!(busy.headers().get(header::RETRY_AFTER).unwrap(), "1");
    }

    #[test]
    fn the_body_has_the_error_as_on_the_wire_and_a_detail() {
        let error = Error::new(ErrorCode::UnknownTask, "there is no task 7");
        let body: serde_json::Value = serde_json::from_str(&HttpError::from(error).body()).unwrap();
        assert_eq!(
            body,
            json!({
                "detail": "there is no task 7",
                "error": {"message": "there is no task 7", "code": -32002, "data": {"code": "unknown_task"}},
            })
        );
    }
}
