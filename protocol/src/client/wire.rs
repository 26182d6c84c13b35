//! Reads the hub's lines.

use crate::{Error, Notice};
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

/// A notification from the hub: `cancel`, `lease_lost`, `decided`, `event`, `approval`.
#[derive(Clone, Debug, PartialEq)]
pub struct Notification {
    /// The notification's method.
    pub method: String,
    /// The notification's parameters.
    pub params: Value,
}

impl Notification {
    /// The notification as a type. `None` if this version does not know it.
    pub fn notice(&self) -> Option<Notice> {
        serde_json::from_value(serde_json::json!({ "method": self.method, "params": self.params }))
            .ok()
    }
}

/// A line from the hub.
#[derive(Debug)]
pub(super) enum Incoming {
    /// The answer to the call with this id.
    Answer(u64, Result<Box<RawValue>, Error>),
    /// A notification.
    Notification(Notification),
    /// An error without an id: the hub cannot read a line, or refuses the connection.
    Complaint(Error),
    /// A line that does not follow the protocol, with the reason.
    Garbage(String),
}

#[derive(Deserialize)]
struct HubLine<'a> {
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
    match serde_json::from_slice::<HubLine<'_>>(line) {
        Err(error) => Incoming::Garbage(error.to_string()),
        Ok(HubLine {
            method: Some(method),
            params,
            ..
        }) => Incoming::Notification(Notification {
            method,
            params: params.unwrap_or_default(),
        }),
        Ok(HubLine {
            id: Some(id),
            error: Some(error),
            ..
        }) => Incoming::Answer(id, Err(error)),
        Ok(HubLine {
            id: Some(id),
            result,
            ..
        }) => Incoming::Answer(id, Ok(result.unwrap_or(RawValue::NULL).to_owned())),
        Ok(HubLine {
            error: Some(error), ..
        }) => Incoming::Complaint(error),
        Ok(_) => Incoming::Garbage("neither an answer nor a notification".into()),
    }
}
