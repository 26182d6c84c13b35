//! `kirosu agents`: who works for the hub.

use super::connect::Context;
use super::failure::Failure;
use super::show::paint::Paint;
use super::show::table::{Cell, Column, Table};
use super::show::time::{ago, now, stamp};
use kirosu_protocol::verbs::agents::{AgentInfo, AgentsAsk};

const EXAMPLES: &str = "\
Examples:
  kirosu agents
  kirosu agents --json | jq '.agents[] | select(.leases != [])'
In a pipe the columns are: name, state, tasks, peer, since, last seen, session.";

/// Shows the agents of all processes, and the tasks they hold
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {}

/// Prints them.
pub async fn run(_args: &Args, context: &Context) -> Result<u8, Failure> {
    let answer = context.connect().await?.insist(&AgentsAsk {}).await?;
    let screen = &context.screen;
    if screen.json {
        screen.json(&answer)?;
    } else if answer.agents.is_empty() {
        screen.note("no agents")?;
    } else {
        table(&answer.agents, now()).print(screen)?;
    }
    Ok(0)
}

fn table(agents: &[AgentInfo], now: f64) -> Table {
    let mut table = Table::new([
        Column::text("NAME"),
        Column::text("STATE"),
        Column::text("TASKS"),
        Column::text("PEER").yields(2),
        Column::text("SINCE").yields(1),
        Column::text("SEEN"),
        Column::long("SESSION").yields(3),
    ]);
    for agent in agents {
        let (state, paint) = match (agent.connected, agent.leases.is_empty()) {
            (true, true) => ("idle", Paint::Plain),
            (true, false) => ("busy", Paint::Busy),
            (false, _) => ("away", Paint::Attention),
        };
        let tasks: Vec<String> = agent.leases.iter().map(|l| l.task_id.to_string()).collect();
        table.row([
            Cell::new(&agent.name),
            Cell::new(state).painted(paint),
            Cell::new(shortened(&tasks)).exact(tasks.join(",")),
            Cell::new(&agent.peer),
            Cell::new(ago(agent.since, now)).exact(stamp(agent.since)),
            Cell::new(ago(agent.last_seen, now)).exact(stamp(agent.last_seen)),
            Cell::new(agent.session_id.as_deref().unwrap_or_default()).painted(Paint::Dim),
        ]);
    }
    table
}

/// The first few of many tasks.
fn shortened(tasks: &[String]) -> String {
    match tasks {
        [first, second, third, _, ..] => {
            format!("{first},{second},{third} +{}", tasks.len() - 3)
        }
        few => few.join(","),
    }
}
