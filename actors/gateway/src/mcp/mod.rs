//! MCP: the hub's queue as tools for models, at `/mcp` of the gateway and on standard input and output.
//!
//! # Theory of operation
//!
//! ```text
//! stdio (kirosu mcp) ─┐
//!                     ├─ rmcp ── tools ── HubLink ── hub
//! http  (/mcp) ───────┘            └─ waiting ── a connection each ── hub
//! ```
//!
//! rmcp, the protocol's official library, implements MCP; the tools are the same over both transports. A tool reads its
//! arguments with the hub's parser (`arguments`), sends a request to the hub, and returns a sentence and the data
//! (`reports`). An error is a result with `isError` and a sentence with a remedy (`error`), because models see results
//! but not protocol errors.
//!
//! Only a wait takes long: it is parked in the hub, receives its task's events over a connection of its own (`waiting`),
//! and sends them as progress notifications (`progress`). It ends with its call.

mod arguments;
mod error;
mod http;
mod progress;
mod reports;
mod run_arguments;
mod run_reports;
mod run_tools;
mod schema;
mod stdio;
mod tools;
mod waiting;

pub(crate) use http::configure;
pub use stdio::{StdioError, serve_stdio};
