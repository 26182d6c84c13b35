//! State that all HTTP handlers share.

use crate::http::HttpCounts;
use crate::link::HubLink;
use kirosu_supervision::{ChildContext, StopToken};
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

/// State of one incarnation of the actor `http`, passed to handlers as `web::Data<AppState>`.
pub(crate) struct AppState {
    pub(crate) hub: HubLink,
    /// The key that clients must send. `None` means that only local clients are accepted.
    pub(crate) key: Option<Arc<str>>,
    /// Whether MCP clients get the tools that decide in a person's name.
    pub(crate) mcp_decisions: bool,
    /// Maximum size of a request body in bytes.
    pub(crate) body_bytes: usize,
    /// Maximum time to receive a request body.
    pub(crate) body_time: Duration,
    /// Total bytes of the bodies of all current requests.
    pub(crate) bodies: Arc<AtomicUsize>,
    pub(crate) counts: Arc<HttpCounts>,
    pub(crate) child: ChildContext,
}

impl AppState {
    /// Signals that the gateway is to stop.
    pub(crate) fn stop_token(&self) -> StopToken {
        self.child.stop_token()
    }
}
