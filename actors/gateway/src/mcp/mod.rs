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
//! rmcp, the protocol's official library, speaks MCP; the tools are the same over both transports. A tool reads its
//! arguments with the hub's own parser (`arguments`), asks the hub, and answers facts with a sentence before them
//! (`reports`). What goes wrong is a result with `isError` and a sentence that says what to do (`refusal`), as a model
//! sees results and not protocol errors.
//!
//! Only a wait lasts: it is parked in the hub and hears its task's events over a connection of its own (`waiting`), which
//! it passes on as progress notifications (`progress`). It ends with the call that began it.

mod arguments;
mod http;
mod progress;
mod refusal;
mod reports;
mod schema;
mod stdio;
mod tools;
mod waiting;

pub(crate) use http::configure;
pub use stdio::{StdioError, serve_stdio};
