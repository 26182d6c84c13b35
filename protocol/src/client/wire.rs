//! What comes from the hub, line by line.

use crate::error::Error;
use crate::notice::Notice;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

/// A line from the hub that answers nothing: `cancel`, `lease_lost`, `event`, `approval`.
#[derive(Clone, Debug, PartialEq)]
pub struct Notification {
    /// Its method.
    pub method: String,
    /// Its parameters.
    pub params: Value,
}

impl Notification {
    /// The typed notice; `None` for one this version does not know.
    pub fn notice(&self) -> Option<Notice> {
        serde_json::from_value(serde_json::json!({ "method": self.method, "params": self.params }))
            .ok()
    }
}

/// One line from the hub.
#[derive(Debug)]
pub(super) enum Incoming {
    /// The answer to the call of that id.
    Answer(u64, Result<Box<RawValue>, Error>),
    /// A notification.
    Notification(Notification),
    /// An error under no id: the hub did not understand a line, or has no room for the connection.
    Complaint(Error),
    /// Not a line of the protocol.
    Garbage(String),
}

#[derive(Deserialize)]
struct Line<'a> {
    #[serde(default)]
    id: Option<u64>,
    #[serde(default)]
    method: Option<String>,
    #[serde(default)]
    params: Option<Value>,
    #[serde(default, borrow)]
    result: Option<&'a RawValue>,
    #[serde(default)]
    error: Option<Error>,
}

/// Reads one line.
pub(super) fn read(line: &[u8]) -> Incoming {
    match serde_json::from_slice::<Line<'_>>(line) {
        Err(error) => Incoming::Garbage(error.to_string()),
        Ok(Line {
            method: Some(method),
            params,
            ..
        }) => Incoming::Notification(Notification {
            method,
            params: params.unwrap_or_default(),
        }),
        Ok(Line {
            id: Some(id),
            error: Some(error),
            ..
        }) => Incoming::Answer(id, Err(error)),
        Ok(Line {
            id: Some(id),
            result,
            ..
        }) => Incoming::Answer(id, Ok(result.unwrap_or(RawValue::NULL).to_owned())),
        Ok(Line {
            error: Some(error), ..
        }) => Incoming::Complaint(error),
        Ok(_) => Incoming::Garbage("neither an answer nor a notification".into()),
    }
}
