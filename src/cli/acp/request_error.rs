//! Errors as the editor gets them.

use crate::cli::Failure;
use kirosu_providers::rpc::{self, INTERNAL_ERROR, INVALID_PARAMS};
use serde_json::{Value, json};

/// ACP's error code: there is no such session.
pub const NOT_FOUND: i64 = -32002;

/// A request that fails.
#[derive(Clone, Debug, PartialEq)]
pub struct RequestError {
    /// The error code.
    pub code: i64,
    /// A sentence for a person.
    pub message: String,
    /// Facts for programs.
    pub data: Option<Value>,
}

impl RequestError {
    /// An error without further facts.
    pub fn new(code: i64, message: impl Into<String>) -> RequestError {
        RequestError {
            code,
            message: message.into(),
            data: None,
        }
    }

    /// There is no such session.
    pub fn no_session(id: &str) -> RequestError {
        RequestError::new(
            NOT_FOUND,
            format!(
                "there is no session {id} here; begin one with session/new, or load it with session/load"
            ),
        )
    }

    /// The response to a request.
    pub fn response(self, id: &Value) -> Value {
        rpc::error(id, self.code, &self.message, self.data)
    }
}

impl From<Failure> for RequestError {
    fn from(failure: Failure) -> RequestError {
        let code = match &failure {
            Failure::Usage(_) | Failure::Local(_) | Failure::Plan { .. } => INVALID_PARAMS,
            _ => INTERNAL_ERROR,
        };
        // The rest of it is in the message, or means something on a command line only.
        let mut error = failure.to_json();
        let mut data = json!({"code": error["error"]["code"].take()});
        if let facts @ Value::Object(_) = error["error"]["data"].take() {
            data["data"] = facts;
        }
        RequestError {
            code,
            message: failure.to_string(),
            data: Some(data),
        }
    }
}
