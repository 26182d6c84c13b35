//! Writes answers, notifications and requests as lines into the caller's buffer.

use crate::{Effect, Error, ErrorCode, RawId};
use serde::ser::{Serialize, SerializeMap, Serializer};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

/// Appends a successful answer and its line end. Text is written as UTF-8, not escaped.
///
/// If `result` cannot be serialised, an `internal` error with the effect `unknown` is appended instead.
pub fn write_result(out: &mut Vec<u8>, id: &RawId, jsonrpc: bool, result: &impl Serialize) {
    let before = out.len();
    open_result(out, id, jsonrpc);
    if let Err(error) = serde_json::to_writer(&mut *out, result) {
        out.truncate(before);
        let why =
            format!("the answer could not be written: {error}; the request may have taken effect");
        return write_error(out, id, jsonrpc, &Error::internal(Effect::Unknown, why));
    }
    close_result(out, jsonrpc);
}

/// Appends the part of a successful answer that precedes its result. The caller appends the result as JSON, then calls
/// [`close_result`].
pub fn open_result(out: &mut Vec<u8>, id: &RawId, jsonrpc: bool) {
    open(out, id, jsonrpc);
    out.extend_from_slice(b",\"result\":");
}

/// Appends the part of a successful answer that follows its result, with the line end.
pub fn close_result(out: &mut Vec<u8>, jsonrpc: bool) {
    out.extend_from_slice(if jsonrpc {
        b"}\n"
    } else {
        b",\"error\":null}\n"
    });
}

/// Appends an error answer and its line end.
pub fn write_error(out: &mut Vec<u8>, id: &RawId, jsonrpc: bool, error: &Error) {
    open(out, id, jsonrpc);
    if !jsonrpc {
        out.extend_from_slice(b",\"result\":null");
    }
    out.extend_from_slice(b",\"error\":");
    // Writing strings, numbers and a `Value` into memory cannot fail.
    let _ = serde_json::to_writer(&mut *out, error);
    out.extend_from_slice(b"}\n");
}

/// Appends a notification and its line end. It always has the form of JSON-RPC 2.0, without an id. Appends nothing if
/// `params` cannot be serialised.
pub fn write_notification(out: &mut Vec<u8>, method: &str, params: &impl Serialize) {
    let before = out.len();
    out.extend_from_slice(b"{\"jsonrpc\":\"2.0\"");
    if write_call(out, method, params).is_err() {
        out.truncate(before);
    }
}

/// Appends a request in the plain form and its line end.
///
/// # Errors
/// `invalid_params` if `params` cannot be serialised; nothing is appended then.
pub fn write_request(
    out: &mut Vec<u8>,
    id: &RawId,
    method: &str,
    params: &(impl Serialize + ?Sized),
) -> Result<(), Error> {
    let before = out.len();
    open(out, id, false);
    write_call(out, method, params).map_err(|error| {
        out.truncate(before);
        let message = format!("the parameters of {method} cannot be written as JSON: {error}");
        Error::invalid_params(message)
    })
}

/// Appends the method and the parameters of an object that is open, its end and the line end.
fn write_call(
    out: &mut Vec<u8>,
    method: &str,
    params: &(impl Serialize + ?Sized),
) -> serde_json::Result<()> {
    out.extend_from_slice(b",\"method\":");
    serde_json::to_writer(&mut *out, method)?;
    out.extend_from_slice(b",\"params\":");
    serde_json::to_writer(&mut *out, params)?;
    out.extend_from_slice(b"}\n");
    Ok(())
}

fn open(out: &mut Vec<u8>, id: &RawId, jsonrpc: bool) {
    out.extend_from_slice(if jsonrpc {
        b"{\"jsonrpc\":\"2.0\",\"id\":"
    } else {
        b"{\"id\":"
    });
    out.extend_from_slice(id.as_str().as_bytes());
}

/// `{"message", "code", "data"}`; `data.code` is the name of the code.
impl Serialize for Error {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut data = match &self.data {
            None => Map::new(),
            Some(Value::Object(fields)) => fields.clone(),
            Some(other) => Map::from_iter([("value".to_owned(), other.clone())]),
        };
        data.insert("code".into(), self.code.as_str().into());
        let mut map = serializer.serialize_map(Some(3))?;
        map.serialize_entry("message", &self.message)?;
        map.serialize_entry("code", &self.code.number())?;
        map.serialize_entry("data", &data)?;
        map.end()
    }
}

/// A code that this version does not know is read as `internal`.
impl<'de> Deserialize<'de> for Error {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Error, D::Error> {
        #[derive(Deserialize)]
        struct Wire {
            message: String,
            #[serde(default)]
            code: i64,
            #[serde(default)]
            data: Option<Value>,
        }
        let wire = Wire::deserialize(deserializer)?;
        let data = match wire.data {
            Some(Value::Object(mut fields)) => {
                fields.remove("code");
                (!fields.is_empty()).then_some(Value::Object(fields))
            }
            other => other,
        };
        let code = ErrorCode::from_number(wire.code).unwrap_or(ErrorCode::Internal);
        Ok(Error {
            code,
            message: wire.message,
            data,
        })
    }
}
