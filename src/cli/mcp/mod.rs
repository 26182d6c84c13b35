//! `kirosu mcp`: offers the hub's queue as MCP tools, over standard input and output.

mod plans;

use super::connect;
use super::running_task;
use super::{Context, Failure};
use kirosu_gateway::HubLink;
use kirosu_gateway::mcp::{McpOptions, StdioError, serve_stdio};
use plans::PlansHere;
use std::io::{self, IsTerminal};
use std::sync::Arc;

const EXAMPLES: &str = "\
Examples:
  claude mcp add kirosu -- kirosu mcp
  gemini mcp add kirosu kirosu mcp
  kirosu mcp --host hub.lan --port 8765     for a remote hub

Configuration of other clients: {\"mcpServers\": {\"kirosu\": {\"command\": \"kirosu\", \"args\": [\"mcp\"]}}}
The tools: enqueue_task, enqueue_tasks, list_tasks, get_task_status, get_results, wait_for_task, wait_for_tasks, wait_for_children,
cancel_task, cancel_tasks; for plans map_items, run_plan, list_runs, get_run, list_run_items, retry_run; list_questions,
list_schedules; with --decisions answer_task, approve_task and reject_task, too. A key gets those that its role allows.
Tasks and runs are resources (kirosu://tasks/42), the plans in .kirosu/plans prompts.
If the agent of a task starts it, tasks that it enqueues are children of that task (KIROSU_TASK_ID) and use the budgets of
its tree. It starts without a hub too; the tools fail until one can be reached. `kirosu api`, and `kirosu up` with
[gateway] enabled = true, serve the same over HTTP, at /mcp. See docs/mcp.md.";

/// Offers the queue to a model as MCP tools, over standard input and output
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Also offers answer_task, approve_task and reject_task, which decide in your name: the model can then approve what it enqueued
    #[arg(long)]
    decisions: bool,
}

/// Serves until standard input ends.
pub async fn run(args: &Args, context: &Context) -> Result<u8, Failure> {
    let loaded = context.globals.for_client()?;
    for warning in &loaded.warnings {
        context.screen.note(&format!("kirosu: {warning}"))?;
    }
    let endpoint = connect::endpoint(&loaded)?;
    let key = loaded.settings.client_key();
    if io::stdin().is_terminal() {
        context.screen.note(
            "kirosu: waiting for an MCP client on standard input, which is the terminal; \
             `kirosu mcp --help` shows how a client starts it; Ctrl-C ends it",
        )?;
    }
    let hub = HubLink::start(endpoint, key, "mcp");
    let options = McpOptions {
        parent: running_task(),
        decisions: args.decisions,
        plans: Some(Arc::new(PlansHere)),
    };
    match serve_stdio(hub, options).await {
        Ok(()) => Ok(0),
        Err(error @ StdioError::NotMcp(_)) => Err(Failure::Usage(error.to_string())),
        Err(error) => Err(Failure::Local(error.to_string())),
    }
}
