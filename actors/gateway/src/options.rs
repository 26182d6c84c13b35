//! What the gateway is told at start; `src/boot/` fills it from the settings.

use kirosu_protocol::client::Endpoint;
use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

/// Where the hub is, and what is served.
#[derive(Clone)]
pub struct GatewayOptions {
    /// Where the hub is.
    pub endpoint: Endpoint,
    /// The hub's key, which the gateway's clients must show too; none: only loopback, and every client is let in.
    pub key: Option<String>,
    /// REST and MCP; none: not served.
    pub http: Option<HttpOptions>,
    /// Figures for Prometheus; none: not served.
    pub metrics: Option<MetricsOptions>,
}

impl std::fmt::Debug for GatewayOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Never the key itself.
        f.debug_struct("GatewayOptions")
            .field("endpoint", &self.endpoint)
            .field("key", &self.key.as_ref().map(|_| "set"))
            .field("http", &self.http)
            .field("metrics", &self.metrics)
            .finish()
    }
}

/// The socket of REST and MCP, and its limits.
#[derive(Clone, Debug)]
pub struct HttpOptions {
    /// The listening socket. It outlives crashes of the server: who waits in the kernel's queue is served afterwards.
    pub socket: Arc<TcpListener>,
    /// Longest request body, in bytes.
    pub body_bytes: usize,
    /// Most connections at once; further ones are turned away with 503.
    pub connections: usize,
    /// How patient it is.
    pub patience: Patience,
}

/// How long a client may take. Nobody should need to change these; tests do.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// For the head of a request.
    pub head: Duration,
    /// For its body.
    pub body: Duration,
    /// Between two requests on one connection.
    pub idle: Duration,
    /// To take the next bytes of an answer.
    pub stall: Duration,
}

impl Default for Patience {
    fn default() -> Patience {
        Patience {
            head: Duration::from_secs(5),
            body: Duration::from_secs(20),
            idle: Duration::from_secs(15),
            stall: Duration::from_secs(20),
        }
    }
}

/// The socket of the figures.
#[derive(Clone, Debug)]
pub struct MetricsOptions {
    /// The listening socket. It outlives crashes of the server: who waits in the kernel's queue is served afterwards.
    pub socket: Arc<TcpListener>,
}
