//! Options of the gateway, filled from the settings by `src/options/`.

use kirosu_protocol::client::Endpoint;
use kirosu_tls::TlsAcceptor;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

/// The hub's endpoint and key, and the services of the gateway.
#[derive(Clone)]
pub struct GatewayOptions {
    /// Endpoint of the hub.
    pub endpoint: Endpoint,
    /// The key that the gateway sends to the hub.
    pub hub_key: Option<String>,
    /// The key that the gateway's clients send. `None` means that only requests over loopback are accepted, without a key.
    pub key: Option<String>,
    /// REST and MCP. `None` means that they are not served.
    pub http: Option<HttpServerOptions>,
    /// Metrics for Prometheus. `None` means that they are not served.
    pub metrics: Option<MetricsOptions>,
}

impl std::fmt::Debug for GatewayOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Without the key itself, which must not reach the log.
        f.debug_struct("GatewayOptions")
            .field("endpoint", &self.endpoint)
            .field("key", &self.key.as_ref().map(|_| "set"))
            .field("http", &self.http)
            .field("metrics", &self.metrics)
            .finish()
    }
}

/// The process at the other end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HttpPeer {
    /// A process of this process's user on this machine.
    Own,
    /// One that belongs to a run.
    Run,
    /// Another user's, on another machine, or not known.
    Other,
}

/// Finds the process with a connection from the first address to the second.
pub type PeerCheck = fn(SocketAddr, SocketAddr) -> HttpPeer;

/// The socket of REST and MCP, and its limits.
#[derive(Clone, Debug)]
pub struct HttpServerOptions {
    /// The listening socket. It outlives crashes of the server, so that clients in the system's queue are served after
    /// the restart.
    pub socket: Arc<TcpListener>,
    /// TLS on this socket. `None` means plain connections.
    pub tls: Option<TlsAcceptor>,
    /// Decides whose requests are admitted without a key.
    pub peer: PeerCheck,
    /// Whether MCP clients get the tools that decide in a person's name.
    pub mcp_decisions: bool,
    /// Maximum size of a request body in bytes.
    pub body_bytes: usize,
    /// Maximum number of connections. A further one receives 503.
    pub connections: usize,
    /// Timeouts of clients.
    pub timeouts: HttpTimeouts,
}

/// Timeouts of clients. Not settings; only tests change them.
#[derive(Clone, Copy, Debug)]
pub struct HttpTimeouts {
    /// For the head of a request.
    pub head: Duration,
    /// For the body of a request.
    pub body: Duration,
    /// Between two requests on one connection.
    pub idle: Duration,
    /// For a write that makes no progress because the client does not read.
    pub stall: Duration,
}

impl Default for HttpTimeouts {
    fn default() -> HttpTimeouts {
        HttpTimeouts {
            head: Duration::from_secs(5),
            body: Duration::from_secs(20),
            idle: Duration::from_secs(15),
            stall: Duration::from_secs(20),
        }
    }
}

/// The socket of the metrics.
#[derive(Clone, Debug)]
pub struct MetricsOptions {
    /// The listening socket. It outlives crashes of the server.
    pub socket: Arc<TcpListener>,
    /// TLS on this socket. `None` means plain connections.
    pub tls: Option<TlsAcceptor>,
}
