//! The gateway: REST, MCP and metrics over HTTP. Each is a client of the hub like any other.
//!
//! # Theory of operation
//!
//! ```text
//! gateway          supervisor, on a thread of its own
//! ├── http         REST and MCP: one socket, one connection to the hub
//! └── metrics      metrics for Prometheus, on a socket of its own
//! ```
//!
//! The gateway reaches the hub only through [`HubLink`], a connection that fails immediately when the hub is unreachable
//! and limits the number of requests. In a process with a hub (`kirosu up`) the connection is a pipe in memory, in
//! `kirosu api` it is TCP or a Unix socket; the code is the same.
//!
//! actix-web routes requests, but the accept loop is the gateway's own: actix-web's server starts threads outside of the
//! supervision, and stops accepting connections at its limit. The gateway's loop runs in the actor, so its crash closes
//! only its connections. The listening socket belongs to the factory and outlives the actor, so the next incarnation
//! serves a client that waits in the system's queue. A client beyond the limit of connections receives 503.
//!
//! The cost of one client is bounded: a timeout for the head, the body and each stalled write, a maximum size of a body
//! and of all bodies together, and a maximum number of requests to the hub. A panic of a handler is one response 500.

pub mod mcp;
pub mod metrics;

mod clients;
mod http;
mod link;
mod new_run;
mod options;
mod page;
mod rest;
mod specs;
mod state;
mod streaming;
mod v1;
mod waiting;

#[cfg(test)]
mod tests;

pub use http::HttpCounts;
pub use link::{HubError, HubLink};
pub use options::{
    GatewayOptions, HttpPeer, HttpServerOptions, HttpTimeouts, MetricsOptions, PeerCheck,
};
pub use specs::{GatewayHandle, specs};
