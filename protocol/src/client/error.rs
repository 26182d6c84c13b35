//! How a call can fail, and whether it may have taken effect.

use crate::error::Error;
use std::sync::Arc;
use std::time::Duration;

/// Why a call has no result.
#[derive(Clone, Debug, thiserror::Error)]
pub enum CallError {
    /// The hub refused it: nothing changed.
    #[error("{0}")]
    Refused(Error),
    /// The connection broke after the request was sent: it may have taken effect or not.
    #[error(
        "the connection to the hub at {endpoint} broke before it answered `{method}`, which may or may not have taken effect"
    )]
    Disconnected {
        /// Where the hub is.
        endpoint: String,
        /// What was asked.
        method: String,
    },
    /// It was sent, but no answer came in time: it may have taken effect or not.
    #[error(
        "the hub at {endpoint} did not answer `{method}` within {after:?}, which may or may not have taken effect"
    )]
    Timeout {
        /// Where the hub is.
        endpoint: String,
        /// What was asked.
        method: String,
        /// How long was waited.
        after: Duration,
    },
    /// No connection stood in time: the request was never sent.
    #[error(
        "cannot reach the hub at {endpoint}: {}; {}",
        words(source),
        advice(source)
    )]
    Unreachable {
        /// Where the hub should be.
        endpoint: String,
        /// Why not.
        source: Arc<std::io::Error>,
    },
    /// The answer came but is not what the protocol says; the request has taken effect.
    #[error(
        "the hub at {endpoint} answered `{method}` with something else than expected: {why}; are its version and this one's the same?"
    )]
    BadAnswer {
        /// Where the hub is.
        endpoint: String,
        /// What was asked.
        method: String,
        /// What does not fit.
        why: String,
    },
    /// This client was closed, or its delays came to an end; the request was never sent.
    #[error("the connection to the hub at {endpoint} is closed")]
    Closed {
        /// Where the hub was.
        endpoint: String,
    },
}

impl CallError {
    /// Whether the request may have taken effect although there is no result.
    pub fn is_unknown(&self) -> bool {
        matches!(
            self,
            CallError::Disconnected { .. }
                | CallError::Timeout { .. }
                | CallError::BadAnswer { .. }
        )
    }

    /// The hub's refusal, where it is one.
    pub fn refusal(&self) -> Option<&Error> {
        match self {
            CallError::Refused(error) => Some(error),
            _ => None,
        }
    }
}

/// What can be done about it.
fn advice(error: &std::io::Error) -> &'static str {
    match error.kind() {
        std::io::ErrorKind::PermissionDenied => {
            "your user may not use this socket: its owner and group may"
        }
        _ => "start one with `kirosu up` or `kirosu hub`",
    }
}

/// The reason in the words people know, without "(os error 111)".
pub(super) fn words(error: &std::io::Error) -> String {
    use std::io::ErrorKind::{ConnectionRefused, NotFound, PermissionDenied, TimedOut};
    match error.kind() {
        ConnectionRefused => "connection refused".into(),
        NotFound => "no such socket".into(),
        PermissionDenied => "permission denied".into(),
        TimedOut => "timed out".into(),
        _ => error.to_string(),
    }
}
