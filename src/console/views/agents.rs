//! Screen 3: the pools, and the agents of all processes with their leases.

use super::canvas::{Canvas, PaintedLine};
use super::nothing;
use crate::console::model::{Model, View};
use crate::console::query::TaskFilter;
use crate::terminal::paint::Paint;
use kirosu_protocol::{AgentInfo, PoolInfo, TaskId};

/// Lines that are not rows: two titles, two headings, a blank line.
pub const OTHER_LINES: usize = 5;

/// Draws the screen.
pub fn draw(model: &Model, canvas: &mut Canvas<'_>) {
    let (pools, agents) = shown(model);
    if pools.is_empty() && agents.is_empty() {
        let none =
            "no pools and no agents: add a [[pool]] to the settings, or start `kirosu agent`";
        return nothing(model, canvas, model.agents.is_some(), none);
    }
    let width = canvas.width().saturating_sub(2);
    let mut lines: Vec<(Option<usize>, PaintedLine)> = Vec::new();
    let mut row = 0;
    let mut table =
        |title: &str, none: &str, table: crate::cli::show::table::TextTable, some: bool| {
            if !lines.is_empty() {
                lines.push((None, Vec::new()));
            }
            lines.push((None, vec![(title.to_owned(), Paint::Bold)]));
            if !some {
                lines.push((None, vec![(none.to_owned(), Paint::Dim)]));
            }
            for (at, pieces) in table.lines(width).into_iter().enumerate().filter(|_| some) {
                let number = (at > 0).then_some(row);
                row += usize::from(at > 0);
                lines.push((number, pieces));
            }
        };
    let (some_pools, some_agents) = (!pools.is_empty(), !agents.is_empty());
    table(
        "Pools",
        "none here",
        crate::cli::pool::table(&pools),
        some_pools,
    );
    table(
        "Agents",
        "none",
        crate::cli::agents::table(&agents, model.now),
        some_agents,
    );
    place(&lines, model.cursors[View::Agents as usize].at, canvas);
}

/// Draws the lines so that the chosen row is visible.
fn place(lines: &[(Option<usize>, PaintedLine)], at: usize, canvas: &mut Canvas<'_>) {
    let chosen = lines.iter().position(|(row, _)| *row == Some(at));
    let bottom = chosen.map_or(0, |line| line + 1);
    let top = bottom.saturating_sub(canvas.height());
    for (y, (row, pieces)) in lines.iter().skip(top).take(canvas.height()).enumerate() {
        canvas.pieces(1, y, pieces);
        if row.is_some() && *row == Some(at) {
            canvas.choose(y);
        }
    }
}

/// Pools and agents that match the filter.
fn shown(model: &Model) -> (Vec<PoolInfo>, Vec<AgentInfo>) {
    let query = TaskFilter::words(&model.filters[View::Agents as usize]);
    let pool = |pool: &&PoolInfo| {
        let texts = [&pool.name, &pool.provider, &pool.state].map(String::as_str);
        query.matches_texts(
            texts
                .into_iter()
                .chain(pool.queues.iter().map(String::as_str)),
        )
    };
    let agent = |agent: &&AgentInfo| {
        let session = agent.session_id.as_deref().unwrap_or_default();
        query.matches_texts([agent.name.as_str(), agent.peer.as_str(), session].into_iter())
    };
    let pools = model.pools.iter().flatten().filter(pool).cloned().collect();
    let agents = model
        .agents
        .iter()
        .flatten()
        .filter(agent)
        .cloned()
        .collect();
    (pools, agents)
}

/// Number of rows that can be chosen.
pub fn len(model: &Model) -> usize {
    let (pools, agents) = shown(model);
    pools.len() + agents.len()
}

/// The task that the chosen agent runs.
pub fn chosen_task(model: &Model) -> Option<TaskId> {
    let (pools, agents) = shown(model);
    let at = model.cursors[View::Agents as usize]
        .at
        .checked_sub(pools.len())?;
    agents.get(at)?.leases.first().map(|lease| lease.task_id)
}
