//! JSON-RPC 2.0, one message per line, read tolerantly: an id may be a number or a string, `params` and `result` may be
//! missing, a line may hold several messages or a batch, and text next to them. JSON log lines are not messages. Both sides of
//! the Agent Client Protocol use it: the client of agents here, and `kirosu acp`, which is an agent.

use serde_json::{Map, Value, json};

use crate::output::json_line;

/// The error code for a line that is not JSON.
pub const PARSE_ERROR: i64 = -32700;
/// The error code for JSON that is no message, and for a request that does not fit the state.
pub const INVALID_REQUEST: i64 = -32600;
/// The error code for an unknown method.
pub const METHOD_NOT_FOUND: i64 = -32601;
/// The error code for wrong parameters.
pub const INVALID_PARAMS: i64 = -32602;
/// The error code for a failure that the request did not cause.
pub const INTERNAL_ERROR: i64 = -32603;
/// ACP's error code: the agent needs a login first.
pub const AUTH_REQUIRED: i64 = -32000;

/// A message from the other side.
#[derive(Debug, Clone, PartialEq)]
pub enum RpcMessage {
    /// A request, which needs a response.
    Request {
        /// The other side's id, sent back unchanged.
        id: Value,
        /// The method.
        method: String,
        /// The parameters; null where they are missing.
        params: Value,
    },
    /// A message without a response.
    Notification {
        /// The method.
        method: String,
        /// The parameters; null where they are missing.
        params: Value,
    },
    /// The response to a request of ours.
    Answer {
        /// The id of our request.
        id: u64,
        /// The result or the error.
        outcome: Result<Value, RpcError>,
    },
}

/// An error response.
#[derive(Debug, Clone, PartialEq)]
pub struct RpcError {
    /// The number of its kind.
    pub code: i64,
    /// The message, with further text from `data`.
    pub message: String,
    /// The whole error, as it was sent.
    pub raw: Value,
}

/// The content of one line.
#[derive(Debug, Default, PartialEq)]
pub struct RpcLine {
    /// The messages, in order.
    pub messages: Vec<RpcMessage>,
    /// Input that is not a message: text, and JSON of another form. Empty where there is none.
    pub noise: String,
}

/// Members of a message. An object without `"jsonrpc": "2.0"` that has others is not a message but, say, a log line.
const MEMBERS: &[&str] = &["id", "method", "params", "result", "error"];

/// Reads one line, without its line end. A blank one has neither messages nor noise.
#[must_use]
pub fn read(line: &[u8]) -> RpcLine {
    let read = json_line::read(line);
    let mut found = RpcLine {
        messages: Vec::new(),
        noise: read.noise,
    };
    for value in read.values {
        match value {
            Value::Array(batch) if !batch.is_empty() => {
                batch.into_iter().for_each(|it| found.take(it));
            }
            value => found.take(value),
        }
    }
    found
}

impl RpcLine {
    fn take(&mut self, value: Value) {
        match message(&value) {
            Some(message) => self.messages.push(message),
            None => self.noise.push_str(&value.to_string()),
        }
    }
}

/// The message in a value; `None` where it is not one.
fn message(value: &Value) -> Option<RpcMessage> {
    let message = value.as_object()?;
    let is_marked = message.get("jsonrpc").is_some_and(|it| it == "2.0");
    if !is_marked && !message.keys().all(|key| MEMBERS.contains(&key.as_str())) {
        return None;
    }
    let id = message.get("id").filter(|id| !id.is_null());
    let params = || message.get("params").cloned().unwrap_or(Value::Null);
    match (message.get("method"), id) {
        (Some(Value::String(method)), Some(id)) => Some(RpcMessage::Request {
            id: id.clone(),
            method: method.clone(),
            params: params(),
        }),
        (Some(Value::String(method)), None) => Some(RpcMessage::Notification {
            method: method.clone(),
            params: params(),
        }),
        (None, Some(id)) => Some(RpcMessage::Answer {
            id: number(id)?,
            outcome: outcome(message, is_marked)?,
        }),
        _ => None,
    }
}

/// The result or the error. A message without either is accepted only with `"jsonrpc": "2.0"`.
fn outcome(message: &Map<String, Value>, is_marked: bool) -> Option<Result<Value, RpcError>> {
    let error = message.get("error").filter(|it| !it.is_null());
    match (error, message.get("result")) {
        (Some(error), _) => Some(Err(error_of(error))),
        (None, Some(result)) => Some(Ok(result.clone())),
        (None, None) => is_marked.then_some(Ok(Value::Null)),
    }
}

/// The number of our request. Some agents send it back as a string or with a decimal point.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
fn number(id: &Value) -> Option<u64> {
    let whole = |it: f64| ((0.0..1e15).contains(&it) && it.fract() == 0.0).then_some(it as u64);
    id.as_u64()
        .or_else(|| id.as_str()?.parse().ok())
        .or_else(|| whole(id.as_f64()?))
}

fn error_of(error: &Value) -> RpcError {
    let stated = error["message"].as_str().or_else(|| error.as_str());
    let stated = stated.unwrap_or("no reason given");
    let data = &error["data"];
    let more = [
        "/details",
        "/message",
        "/error/message",
        "/error",
        "/reason",
        "/errors/0/message",
        "/errors/0",
        "/cause/message",
        "/cause",
        "",
    ]
    .iter()
    .find_map(|at| data.pointer(at)?.as_str())
    .filter(|more| !stated.contains(more));
    let message = match more {
        Some(more) => format!("{stated}: {more}"),
        None => stated.to_owned(),
    };
    RpcError {
        code: error["code"].as_i64().unwrap_or_default(),
        message,
        raw: error.clone(),
    }
}

/// A request.
#[must_use]
pub fn request(id: u64, method: &str, params: Value) -> Value {
    json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params})
}

/// A notification.
#[must_use]
pub fn notification(method: &str, params: Value) -> Value {
    json!({"jsonrpc": "2.0", "method": method, "params": params})
}

/// The response to a request of the other side.
#[must_use]
pub fn answer(id: &Value, result: Value) -> Value {
    json!({"jsonrpc": "2.0", "id": id, "result": result})
}

/// The error response to a request with an unknown method.
#[must_use]
pub fn unknown_method(id: &Value, method: &str) -> Value {
    let message = format!("this client has no method {method}");
    error(id, METHOD_NOT_FOUND, &message, None)
}

/// An error response. `data`: further facts.
#[must_use]
pub fn error(id: &Value, code: i64, message: &str, data: Option<Value>) -> Value {
    let mut error = json!({"code": code, "message": message});
    if let Some(data) = data {
        error["data"] = data;
    }
    json!({"jsonrpc": "2.0", "id": id, "error": error})
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(line: &[u8]) -> RpcMessage {
        let read = read(line);
        let shown = String::from_utf8_lossy(line);
        assert_eq!(
            (read.messages.len(), read.noise.as_str()),
            (1, ""),
            "{shown}"
        );
        read.messages.into_iter().next().unwrap()
    }

    #[test]
    fn ids_are_numbers_or_strings_and_errors_include_their_details() {
        let request = one(br#"{"id":"u-1","method":"x"}"#);
        assert!(matches!(request, RpcMessage::Request { id, .. } if id == "u-1"));
        let error = br#"{"id":"7","error":{"code":-1,"message":"Internal error","data":{"details":"no disk"}}}"#;
        let RpcMessage::Answer { id: 7, outcome } = one(error) else {
            panic!("not read as an answer");
        };
        assert_eq!(outcome.unwrap_err().message, "Internal error: no disk");
        for id in ["3", "3.0", "\"3\""] {
            let text = format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{{}}}}"#);
            assert!(matches!(
                one(text.as_bytes()),
                RpcMessage::Answer { id: 3, .. }
            ));
        }
    }

    #[test]
    fn json_that_is_no_message_is_noise() {
        for line in [
            "[1]",
            "[]",
            "42",
            r#""a word""#,
            "null",
            r#"{"id":null}"#,
            r#"{"id":1}"#,
            r#"{"level":"info","msg":"starting","id":1}"#,
            r#"{"level":"info","id":1,"result":{"nonsense":true}}"#,
            r#"{"method":"GET","path":"/x","id":4}"#,
            r#"{"jsonrpc":"2.0"}"#,
            "Loaded cached credentials.",
        ] {
            let read = read(line.as_bytes());
            assert_eq!(read.messages, [], "{line}");
            assert!(!read.noise.is_empty(), "{line}");
        }
    }

    #[test]
    fn several_messages_on_a_line_are_all_read() {
        let note = r#"{"jsonrpc":"2.0","method":"session/update","params":{}}"#;
        let answer = r#"{"jsonrpc":"2.0","id":2,"result":{}}"#;
        for (line, count, noise) in [
            (format!("{note}{answer}"), 2, ""),
            (format!("[{note},{answer}]"), 2, ""),
            (format!("[[{note}],{answer}]"), 1, "[{"),
            (format!("\u{feff}{answer}"), 1, ""),
            (format!("Ready.{note} {answer}"), 2, "Ready."),
            (format!("{{\"level\":\"info\"}}{answer}"), 1, "{\"level"),
        ] {
            let read = read(line.as_bytes());
            assert_eq!(read.messages.len(), count, "{line}");
            assert!(read.noise.contains(noise), "{line}: {}", read.noise);
            assert_eq!(read.noise.is_empty(), noise.is_empty(), "{line}");
        }
    }
}
