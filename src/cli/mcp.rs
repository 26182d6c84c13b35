//! `kirosu mcp`: the hub's queue as tools for a model, over standard input and output.

use super::connect::{self, Context};
use super::failure::Failure;
use super::running_task;
use kirosu_gateway::HubLink;
use kirosu_gateway::mcp::{StdioError, serve_stdio};
use std::io::{self, IsTerminal};

const EXAMPLES: &str = "\
Examples:
  claude mcp add kirosu -- kirosu mcp
  gemini mcp add kirosu kirosu mcp
  kirosu mcp --host hub.lan --port 8765     for a hub elsewhere

Other clients take: {\"mcpServers\": {\"kirosu\": {\"command\": \"kirosu\", \"args\": [\"mcp\"]}}}
The tools: enqueue_task, list_tasks, get_task_status, wait_for_task, cancel_task, approve_task.
Started by the agent of a task, what it enqueues is a child of that task (KIROSU_TASK_ID), and counts for the budgets of
its tree. It starts without a hub too; the tools say so until one is there. `kirosu api`, and `kirosu up` with
[gateway] enabled = true, serve the same over HTTP, at /mcp. docs/mcp.md says more.";

/// Gives a model the queue as MCP tools, over standard input and output
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {}

/// Serves until standard input ends.
pub async fn run(_args: &Args, context: &Context) -> Result<u8, Failure> {
    let loaded = context.globals.for_client()?;
    for warning in &loaded.warnings {
        context.screen.note(&format!("kirosu: {warning}"))?;
    }
    let endpoint = connect::endpoint(&loaded)?;
    let key = loaded.settings.hub.key.as_ref();
    let key = key.map(|key| key.expose().to_owned());
    if io::stdin().is_terminal() {
        context.screen.note(
            "kirosu: waiting for an MCP client on standard input, which is the terminal; \
             `kirosu mcp --help` says how a client starts this, Ctrl-C ends it",
        )?;
    }
    match serve_stdio(HubLink::start(endpoint, key, "mcp"), running_task()).await {
        Ok(()) => Ok(0),
        Err(error @ StdioError::NotMcp(_)) => Err(Failure::Usage(error.to_string())),
        Err(error) => Err(Failure::Local(error.to_string())),
    }
}
