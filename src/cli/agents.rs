//! `kirosu agents`: the agents that work for the hub.

use super::{Cell, Column, Context, Failure, Paint, TextTable};
use crate::terminal::time::{ago, now, stamp};
use kirosu_protocol::{AgentInfo, AgentsParams, ConnectionInfo};

const EXAMPLES: &str = "\
Examples:
  kirosu agents
  kirosu agents --all                       every connection, with and without a session
  kirosu agents --json | jq '.agents[] | select(.leases != [])'
In a pipe the columns are: name, state, tasks, peer, since, last seen, session;
with --all: connection, peer, since, in flight, session.";

/// Shows the agents of all processes, and the tasks they run
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Shows every connection instead, also of clients that are not agents
    #[arg(long)]
    all: bool,
}

/// Connections per request.
const PAGE: u32 = 1000;

/// Prints the agents, or with `--all` the connections.
///
/// # Errors
/// The hub cannot be reached or refuses, or standard output fails.
pub async fn run(args: &Args, context: &Context) -> Result<u8, Failure> {
    let hub = context.connect().await?;
    let mut params = AgentsParams {
        all: args.all,
        limit: args.all.then_some(PAGE),
        after: None,
    };
    let mut answer = hub.request_idempotent(&params).await?;
    while let (true, Some(next)) = (args.all, answer.next) {
        params.after = Some(next);
        let page = hub.request_idempotent(&params).await?;
        answer.next = page.next;
        let connections = answer.connections.get_or_insert_default();
        connections.extend(page.connections.unwrap_or_default());
    }
    let screen = &context.screen;
    screen.answer(&answer, || {
        match (&answer.connections, answer.agents.as_slice()) {
            (Some(connections), _) => connection_table(connections, now()).print(screen),
            (None, []) => screen.note("no agents"),
            (None, agents) => table(agents, now()).print(screen),
        }
    })
}

/// A table with one row per agent.
pub(crate) fn table(agents: &[AgentInfo], now: f64) -> TextTable {
    let mut table = TextTable::new([
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
            Cell::new(first_tasks(&tasks)).exact(tasks.join(",")),
            Cell::new(&agent.peer),
            time_cell(agent.since, now),
            time_cell(agent.last_seen, now),
            Cell::new(agent.session_id.as_deref().unwrap_or_default()).painted(Paint::Dim),
        ]);
    }
    table
}

/// A point in time; empty if the hub does not know it (0), as for leases that are older than the hub's start.
fn time_cell(at: f64, now: f64) -> Cell {
    match at > 0.0 {
        true => Cell::new(ago(at, now)).exact(stamp(at)),
        false => Cell::new(""),
    }
}

fn connection_table(connections: &[ConnectionInfo], now: f64) -> TextTable {
    let mut table = TextTable::new([
        Column::number("CONNECTION"),
        Column::text("PEER"),
        Column::text("SINCE"),
        Column::number("IN FLIGHT"),
        Column::long("SESSION"),
    ]);
    for connection in connections {
        let since = connection.since;
        table.row([
            Cell::new(connection.connection.to_string()),
            Cell::new(&connection.peer),
            Cell::new(ago(since, now)).exact(stamp(since)),
            Cell::new(connection.in_flight.to_string()),
            Cell::new(connection.session_id.as_deref().unwrap_or_default()).painted(Paint::Dim),
        ]);
    }
    table
}

/// The first three tasks and the number of the others.
fn first_tasks(tasks: &[String]) -> String {
    match tasks {
        [first, second, third, _, ..] => {
            format!("{first},{second},{third} +{}", tasks.len() - 3)
        }
        few => few.join(","),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_time_is_shown_as_empty() {
        let agent = AgentInfo {
            name: "leased before".into(),
            ..AgentInfo::default()
        };
        let text = table(&[agent], 10.0).render(None, false);
        assert!(!text.contains("1970"), "{text}");
    }
}
