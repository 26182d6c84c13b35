//! The hub's faces to the web: REST, MCP and metrics. Each is a client of the hub like any other.
//!
//! # Theory of operation
//!
//! ```text
//! gateway          supervisor, on a thread of its own
//! ├── http         REST and MCP: one socket, one connection to the hub
//! └── metrics      figures for Prometheus, on a socket of its own
//! ```
//!
//! Nothing here knows the hub but through [`HubLink`], a connection that says at once when the hub is away, and bounds
//! how much is asked of it. Beside a hub (`kirosu up`) the connection is a pipe in memory, alone (`kirosu api`) it is TCP
//! or a Unix socket; the code is the same.
//!
//! actix-web routes and answers, but the accept loop is ours: `HttpServer` brings threads that no supervisor sees, and
//! stops accepting when it is full. Ours runs in the actor, so that its crash closes its connections and nothing else;
//! the listening socket belongs to the recipe and outlives it, so a client that waits in the kernel's queue is served by
//! the next incarnation. A client beyond the limit of connections is told so (503), not left waiting.
//!
//! What one client can cost is bounded: head, body and each stalled write have a time, bodies a size, all bodies
//! together a budget, requests to the hub a number. A panic of a handler is one answer 500.

pub mod mcp;
pub mod metrics;

mod http;
mod link;
mod options;
mod passage;
mod rest;
mod specs;

#[cfg(test)]
mod tests;

pub use http::Counts;
pub use link::{AskError, HubLink};
pub use options::{GatewayOptions, HttpOptions, MetricsOptions, Patience};
pub use specs::{GatewayHandle, specs};
