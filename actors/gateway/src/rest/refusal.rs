//! Answers that are not what was asked for: one JSON shape, with the protocol's error codes.

use crate::link::AskError;
use actix_web::body::BoxBody;
use actix_web::http::{Method, StatusCode, header};
use actix_web::{HttpRequest, HttpResponse, ResponseError};
use kirosu_protocol::{Error, ErrorCode};
use serde_json::json;

/// A request that was not carried out, or not wholly.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{error}")]
pub(crate) struct Refusal {
    pub(crate) status: StatusCode,
    pub(crate) error: Error,
}

impl Refusal {
    pub(crate) fn new(status: StatusCode, code: ErrorCode, message: impl Into<String>) -> Refusal {
        Refusal {
            status,
            error: Error::new(code, message),
        }
    }

    /// 403: the key is wrong, or the request comes from where it should not.
    pub(crate) fn forbidden(message: impl Into<String>) -> Refusal {
        Refusal::new(StatusCode::FORBIDDEN, ErrorCode::Unauthorized, message)
    }

    /// 503: nothing was done, later it may be.
    pub(crate) fn busy(message: impl Into<String>) -> Refusal {
        Refusal::new(StatusCode::SERVICE_UNAVAILABLE, ErrorCode::Busy, message)
    }

    /// 500: a defect of ours.
    pub(crate) fn panicked() -> Refusal {
        Refusal::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            ErrorCode::Internal,
            "the gateway failed to handle this request, which may or may not have taken effect; its log says why",
        )
    }

    /// The JSON text: the error as on the wire, and `detail`, which scripts of the earlier version print.
    pub(crate) fn body(&self) -> String {
        json!({"detail": self.error.message, "error": self.error}).to_string()
    }
}

/// The status that stands for a refusal of the hub.
fn status_of(code: ErrorCode) -> StatusCode {
    match code {
        ErrorCode::ParseError | ErrorCode::InvalidRequest => StatusCode::BAD_REQUEST,
        ErrorCode::InvalidParams => StatusCode::UNPROCESSABLE_ENTITY,
        ErrorCode::Unauthorized | ErrorCode::NotTrusted => StatusCode::FORBIDDEN,
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

impl From<Error> for Refusal {
    fn from(error: Error) -> Refusal {
        Refusal {
            status: status_of(error.code),
            error,
        }
    }
}

impl From<AskError> for Refusal {
    fn from(error: AskError) -> Refusal {
        match error {
            AskError::Refused(error) => error.into(),
            AskError::Away(why) => Refusal::busy(why),
            AskError::Broken(why) => {
                Refusal::new(StatusCode::BAD_GATEWAY, ErrorCode::Internal, why)
            }
            AskError::TimedOut(why) => {
                Refusal::new(StatusCode::GATEWAY_TIMEOUT, ErrorCode::Internal, why)
            }
        }
    }
}

impl ResponseError for Refusal {
    fn status_code(&self) -> StatusCode {
        self.status
    }

    fn error_response(&self) -> HttpResponse<BoxBody> {
        let mut response = HttpResponse::build(self.status);
        response.content_type("application/json");
        if self.status == StatusCode::SERVICE_UNAVAILABLE {
            response.insert_header((header::RETRY_AFTER, "1"));
        }
        response.body(self.body())
    }
}

/// 404 for a path that means nothing.
pub(crate) async fn no_such_route(request: HttpRequest) -> HttpResponse {
    let (method, path) = (request.method(), request.path());
    let message = format!("there is no {method} {path}; /openapi.json lists all routes");
    Refusal::new(StatusCode::NOT_FOUND, ErrorCode::MethodNotFound, message).error_response()
}

/// 405 for a path that takes another method.
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
    Refusal::new(
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
        let table = ErrorCode::ALL.map(|code| (code.name(), status_of(code).as_u16()));
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
        ];
        assert_eq!(table, expected);
    }

    #[test]
    fn what_the_hub_could_not_answer_says_whether_it_may_have_happened() {
        let status = |error: AskError| Refusal::from(error).status.as_u16();
        assert_eq!(status(AskError::Away(String::new())), 503);
        assert_eq!(status(AskError::Broken(String::new())), 502);
        assert_eq!(status(AskError::TimedOut(String::new())), 504);
        let busy = Error::new(ErrorCode::Busy, "full");
        let busy = Refusal::from(AskError::Refused(busy)).error_response();
        assert_eq!(busy.headers().get(header::RETRY_AFTER).unwrap(), "1");
    }

    #[test]
    fn the_body_has_the_error_as_on_the_wire_and_a_detail() {
        let error = Error::new(ErrorCode::UnknownTask, "there is no task 7");
        let body: serde_json::Value = serde_json::from_str(&Refusal::from(error).body()).unwrap();
        assert_eq!(
            body,
            json!({
                "detail": "there is no task 7",
                "error": {"message": "there is no task 7", "code": -32002, "data": {"code": "unknown_task"}},
            })
        );
    }
}
