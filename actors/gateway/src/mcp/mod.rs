//! MCP: the hub's queue as tools for models, at `/mcp` of the gateway and on standard input and output.
//!
//! # Theory of operation
//!
//! ```text
//! stdio (kirosu mcp) ─┐                   ┌─ tools, resources, prompts ── HubLink ── hub
//!                     ├─ rmcp ── handler ─┤
//! http  (/mcp) ───────┘                   └─ waiting, subscriptions ── a connection each ── hub
//! ```
//!
//! rmcp, the protocol's official library, implements MCP; the tools are the same over both transports. A tool reads its
//! arguments with the hub's parser (`arguments`), sends a request to the hub, and returns a sentence and the data
//! (`reports`). An error is a result with `isError` and a sentence with a remedy (`error`), because models see results
//! but not protocol errors. The list of tools holds those that the client's rights allow (`rights`).
//!
//! Tasks and runs are resources as well (`resources`), and saved plans are prompts (`prompts`). A client that has declared the
//! Tasks extension gets handles of long calls (`as_tasks`); a handle is the number of the task, so that the server keeps nothing.
//!
//! Only a wait takes long: it is parked in the hub, receives its task's events over a connection of its own (`waiting`),
//! and sends them as progress notifications (`progress`). It ends with its call.

mod arguments;
mod as_tasks;
mod batch_arguments;
mod batch_reports;
mod batch_tools;
mod decision_arguments;
mod decision_reports;
mod decision_tools;
mod error;
mod handler;
mod http;
mod map_plan;
mod progress;
mod prompts;
mod reports;
mod resources;
mod rights;
mod run_arguments;
mod run_reports;
mod run_tools;
mod schema;
mod stdio;
mod subscriptions;
mod tools;
mod waiting;

pub(crate) use http::configure;
pub use prompts::{PlansFuture, SavedInput, SavedPlan, SavedPlans};
pub use stdio::{McpOptions, StdioError, serve_stdio};
