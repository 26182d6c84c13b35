//! JSON-RPC 2.0 as lines, read tolerantly: an id may be a number or a text, `params` and `result` may be missing.

use serde_json::{Value, json};

/// A method that is not known.
pub(super) const METHOD_NOT_FOUND: i64 = -32601;
/// ACP's own: the agent wants to be logged in first.
pub(super) const AUTH_REQUIRED: i64 = -32000;

/// What an agent sent.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Message {
    /// It waits for our answer.
    Request {
        /// Its own id of it, to be given back as it is.
        id: Value,
        method: String,
        params: Value,
    },
    Notification {
        method: String,
        params: Value,
    },
    /// The answer to a request of ours.
    Answer {
        id: u64,
        outcome: Result<Value, RpcError>,
    },
}

/// What an agent refused a request with.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct RpcError {
    pub(super) code: i64,
    /// Its message, with what it says besides.
    pub(super) message: String,
}

/// Reads one line; `None` for what is no message.
pub(super) fn read(line: &[u8]) -> Option<Message> {
    let mut message: Value = serde_json::from_slice(line).ok()?;
    let message = message.as_object_mut()?;
    let id = message.remove("id").filter(|id| !id.is_null());
    let method = message.remove("method");
    let mut params = || message.remove("params").unwrap_or(Value::Null);
    match (method, id) {
        (Some(Value::String(method)), Some(id)) => Some(Message::Request {
            id,
            method,
            params: params(),
        }),
        (Some(Value::String(method)), None) => Some(Message::Notification {
            method,
            params: params(),
        }),
        (None, Some(id)) => {
            let outcome = match message.remove("error") {
                Some(error) if !error.is_null() => Err(error_of(&error)),
                _ => Ok(message.remove("result").unwrap_or(Value::Null)),
            };
            let id = id.as_u64().or_else(|| id.as_str()?.parse().ok())?;
            Some(Message::Answer { id, outcome })
        }
        _ => None,
    }
}

fn error_of(error: &Value) -> RpcError {
    let said = error["message"].as_str().unwrap_or("no reason given");
    let data = &error["data"];
    let more = ["/details", "/message", "/error/message", ""]
        .iter()
        .find_map(|at| data.pointer(at)?.as_str())
        .filter(|more| !said.contains(more));
    let message = match more {
        Some(more) => format!("{said}: {more}"),
        None => said.to_owned(),
    };
    RpcError {
        code: error["code"].as_i64().unwrap_or_default(),
        message,
    }
}

/// A request of ours.
pub(super) fn request(id: u64, method: &str, params: Value) -> Value {
    json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params})
}

/// A notification of ours.
pub(super) fn notification(method: &str, params: Value) -> Value {
    json!({"jsonrpc": "2.0", "method": method, "params": params})
}

/// The good answer to a request of the agent's.
pub(super) fn answer(id: &Value, result: Value) -> Value {
    json!({"jsonrpc": "2.0", "id": id, "result": result})
}

/// The answer to a request that we do not know.
pub(super) fn unknown_method(id: &Value, method: &str) -> Value {
    let message = format!("this client has no method {method}");
    json!({"jsonrpc": "2.0", "id": id, "error": {"code": METHOD_NOT_FOUND, "message": message}})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_numbers_or_texts_and_errors_say_all_they_know() {
        let request = read(br#"{"id":"u-1","method":"x"}"#);
        assert!(matches!(request, Some(Message::Request { id, .. }) if id == "u-1"));
        let error = br#"{"id":"7","error":{"code":-1,"message":"Internal error","data":{"details":"no disk"}}}"#;
        let Some(Message::Answer { id: 7, outcome }) = read(error) else {
            panic!("not read as an answer");
        };
        assert_eq!(outcome.unwrap_err().message, "Internal error: no disk");
        assert_eq!(read(b"[1]"), None);
        assert_eq!(read(br#"{"id":null}"#), None);
    }
}
