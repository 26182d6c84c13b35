//! The failures of a call, and whether it may have taken effect.

use super::endpoint::ForeignServer;
use crate::Error;
use std::sync::Arc;
use std::time::Duration;

/// The reason why a call has no result.
#[derive(Clone, Debug, thiserror::Error)]
pub enum CallError {
    /// The hub refused the request; it had no effect.
    #[error("{0}")]
    Refused(Error),
    /// The connection broke after the request was sent. The request may have taken effect.
    #[error(
        "the connection to the hub at {endpoint} broke before it answered `{method}`, which may or may not have taken effect"
    )]
    Disconnected {
        /// The hub's address.
        endpoint: String,
        /// The request's method.
        method: String,
    },
    /// The request was sent and not answered in time. It may have taken effect.
    #[error(
        "the hub at {endpoint} did not answer `{method}` within {after:?}, which may or may not have taken effect"
    )]
    Timeout {
        /// The hub's address.
        endpoint: String,
        /// The request's method.
        method: String,
        /// The timeout.
        after: Duration,
    },
    /// There was no connection in time. The request was not sent.
    #[error("cannot reach the hub at {endpoint}: {}", reason(source))]
    Unreachable {
        /// The hub's address.
        endpoint: String,
        /// The error of the last attempt to connect.
        source: Arc<std::io::Error>,
    },
    /// The answer cannot be read. The request has taken effect.
    #[error(
        "the hub at {endpoint} answered `{method}` with something else than expected: {why}; are its version and this one's the same?"
    )]
    BadAnswer {
        /// The hub's address.
        endpoint: String,
        /// The request's method.
        method: String,
        /// The reason, such as the parser's error.
        why: String,
    },
    /// The client was closed, or its delays ended. The request was not sent.
    #[error("the connection to the hub at {endpoint} is closed")]
    Closed {
        /// The hub's address.
        endpoint: String,
    },
}

impl CallError {
    /// Whether the request may have taken effect.
    pub fn is_unknown(&self) -> bool {
        matches!(
            self,
            CallError::Disconnected { .. }
                | CallError::Timeout { .. }
                | CallError::BadAnswer { .. }
        )
    }

    /// The hub's error, if the hub refused the request.
    pub fn refusal(&self) -> Option<&Error> {
        match self {
            CallError::Refused(error) => Some(error),
            _ => None,
        }
    }
}

/// The reason why a client cannot connect, with advice.
fn reason(error: &std::io::Error) -> String {
    if let Some(error) = kirosu_tls::explain(error) {
        return error.to_string();
    }
    let advice = match error.kind() {
        _ if ForeignServer::is_source_of(error) => {
            "stop it and start the hub, or give the key yourself (KIRO_SWARM_KEY, --key-file) if that server is yours"
        }
        std::io::ErrorKind::PermissionDenied => {
            "your user may not use this socket: its owner and group may"
        }
        _ => "start one with `kirosu up` or `kirosu hub`",
    };
    format!("{}; {advice}", words(error))
}

/// The error in common terms, without "(os error 111)".
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
