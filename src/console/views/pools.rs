//! Screen 3: the pools, the accounts of their providers, and the agents of all processes with their leases.

use super::canvas::Canvas;
use super::nothing;
use super::sections::{self, TableSection};
use crate::cli::agents;
use crate::cli::show::table::{Cell, Column, TextTable};
use crate::console::model::Model;
use crate::console::query::TaskFilter;
use crate::console::transcript::wrap;
use crate::console::view::View;
use crate::terminal::paint::Paint;
use crate::terminal::text::{grouped, one_line};
use crate::terminal::time::{ago, minute};

use kirosu_protocol::{ALL_QUEUES, AgentInfo, LaneInfo, PoolInfo, TaskId};
use ratatui::layout::Rect;
use std::ops::Range;

/// Lines of the chosen row below the tables: a blank one, and its queues or pools with its note.
const DETAIL: usize = 4;
/// Lines that are not rows: three titles, three headings, two blank lines, and the chosen row.
pub const OTHER_LINES: usize = 8 + DETAIL;

/// An account with the names of the pools that use it.
struct Account<'a> {
    lane: &'a LaneInfo,
    pools: Vec<&'a str>,
}

/// The rows that match the filter.
struct PoolRows<'a> {
    pools: Vec<&'a PoolInfo>,
    accounts: Vec<Account<'a>>,
    agents: Vec<&'a AgentInfo>,
}

/// A row.
enum Row<'a> {
    Pool(&'a PoolInfo),
    Account(&'a Account<'a>),
    Agent(&'a AgentInfo),
}

/// Draws the screen.
pub fn draw(model: &Model, canvas: &mut Canvas<'_>) {
    let shown = shown(model);
    if shown.len() == 0 {
        let none =
            "no pools and no agents: add a [[pool]] to the settings, or start `kirosu agent`";
        return nothing(model, canvas, model.agents.is_some(), none);
    }
    let pools = |rows: Range<usize>| pool_table(&shown.pools[rows], model);
    let accounts = |rows: Range<usize>| account_table(&shown.accounts[rows], model);
    let agents = |rows: Range<usize>| {
        let rows: Vec<AgentInfo> = shown.agents[rows].iter().copied().cloned().collect();
        agents::table(&rows, model.now)
    };
    let sections = [
        TableSection {
            title: "Pools",
            rows: shown.pools.len(),
            table: &pools,
        },
        TableSection {
            title: "Accounts",
            rows: shown.accounts.len(),
            table: &accounts,
        },
        TableSection {
            title: "Agents",
            rows: shown.agents.len(),
            table: &agents,
        },
    ];
    let at = model.cursors[View::Pools as usize].at.min(shown.len() - 1);
    let (area, high) = (canvas.area, canvas.height());
    let height = high.saturating_sub(DETAIL).max(1) as u16;
    sections::draw(&sections, at, &mut canvas.part(Rect { height, ..area }));
    let text = shown.row(at).map_or(String::new(), |row| row.detail(model));
    let lines = wrap(&one_line(&text), canvas.width().saturating_sub(2));
    for (y, line) in lines.iter().take(DETAIL - 1).enumerate() {
        canvas.line(1, high + 1 + y - DETAIL.min(high), line, Paint::Dim);
    }
}

fn pool_table(pools: &[&PoolInfo], model: &Model) -> TextTable {
    let mut table = TextTable::new([
        Column::text("NAME"),
        Column::text("STATE"),
        Column::number("SIZE"),
        Column::number("BUSY"),
        Column::number("QUEUED"),
        Column::text("PROVIDER"),
        Column::text("MODEL").yields(1),
        Column::long("QUEUES"),
        Column::long("NOTE").yields(2),
    ]);
    for pool in pools {
        let depth = depth(pool, model).map_or(String::new(), grouped);
        table.row([
            Cell::new(&pool.name),
            Cell::new(&pool.state).painted(Paint::of_state(&pool.state)),
            Cell::new(pool.size.to_string()),
            Cell::new(pool.busy.to_string()),
            Cell::new(depth),
            Cell::new(&pool.provider),
            Cell::new(pool.model.as_deref().unwrap_or_default()),
            queue_cell(pool, model),
            Cell::new(pool.note.as_deref().unwrap_or_default()),
        ]);
    }
    table
}

/// The queued tasks of a pool's queues; `None` if the hub does not count one of them on its own.
fn depth(pool: &PoolInfo, model: &Model) -> Option<u64> {
    let is_cut = model.depths.contains_key("other");
    let of = |queue: &String| match model.depths.get(queue) {
        None if is_cut => None,
        depth => Some(depth.copied().unwrap_or(0)),
    };
    pool.queues.iter().map(of).sum()
}

fn is_paused(queue: &str, model: &Model) -> bool {
    let paused = model.stats.iter().flat_map(|stats| &stats.paused);
    paused.into_iter().any(|it| it == queue || it == ALL_QUEUES)
}

/// The queues, with a mark at paused ones.
fn queues(pool: &PoolInfo, model: &Model) -> String {
    let one = |queue: &String| match is_paused(queue, model) {
        true => format!("{queue} (paused)"),
        false => queue.clone(),
    };
    pool.queues.iter().map(one).collect::<Vec<_>>().join(", ")
}

fn queue_cell(pool: &PoolInfo, model: &Model) -> Cell {
    let any = pool.queues.iter().any(|queue| is_paused(queue, model));
    let paint = if any { Paint::Attention } else { Paint::Plain };
    Cell::new(queues(pool, model)).painted(paint)
}

/// The time at which a parked account is tried again, and its distance.
fn until(lane: &LaneInfo, model: &Model) -> Option<String> {
    let until = lane.until? as f64;
    let clock = minute(until, model.now, model.zone.as_ref());
    Some(format!("{clock} ({})", ago(until, model.now)))
}

fn account_table(accounts: &[Account<'_>], model: &Model) -> TextTable {
    let mut table = TextTable::new([
        Column::text("ACCOUNT"),
        Column::text("STATE"),
        Column::text("UNTIL"),
        Column::text("RUNS"),
        Column::number("WAITING").yields(1),
        Column::long("POOLS").yields(2),
        Column::long("NOTE"),
    ]);
    for Account { lane, pools } in accounts {
        let (state, paint) = state(lane);
        let runs = match lane.concurrency {
            Some(most) => format!("{} of {most}", lane.running),
            None => lane.running.to_string(),
        };
        table.row([
            Cell::new(&lane.account),
            Cell::new(state).painted(paint),
            Cell::new(until(lane, model).unwrap_or_default()),
            Cell::new(runs),
            Cell::new(lane.waiting.to_string()),
            Cell::new(pools.join(", ")),
            Cell::new(lane.note.as_deref().unwrap_or_default()),
        ]);
    }
    table
}

/// The state of an account for people: whether it may be used, or why it is parked.
fn state(lane: &LaneInfo) -> (&str, Paint) {
    match lane.state.as_str() {
        "open" => ("available", Paint::Good),
        "probing" => ("being tried", Paint::Busy),
        "rate_limited" => ("parked: over its limit", Paint::Attention),
        "auth_required" => ("parked: login needed", Paint::Bad),
        "missing" => ("parked: program missing", Paint::Bad),
        "network" => ("parked: not reachable", Paint::Attention),
        other => (other, Paint::Attention),
    }
}

impl<'a> PoolRows<'a> {
    fn len(&self) -> usize {
        self.pools.len() + self.accounts.len() + self.agents.len()
    }

    fn row(&self, at: usize) -> Option<Row<'_>> {
        if let Some(pool) = self.pools.get(at) {
            return Some(Row::Pool(pool));
        }
        let at = at - self.pools.len();
        if let Some(account) = self.accounts.get(at) {
            return Some(Row::Account(account));
        }
        let agent = self.agents.get(at - self.accounts.len())?;
        Some(Row::Agent(agent))
    }
}

/// The accounts of pools, each once, in the order of the pools.
fn accounts(pools: &[PoolInfo]) -> Vec<Account<'_>> {
    let mut accounts: Vec<Account<'_>> = Vec::new();
    let mut places = std::collections::HashMap::new();
    for pool in pools {
        for lane in &pool.lanes {
            let at = *places.entry(lane.account.as_str()).or_insert_with(|| {
                accounts.push(Account {
                    lane,
                    pools: Vec::new(),
                });
                accounts.len() - 1
            });
            accounts[at].pools.push(&pool.name);
        }
    }
    accounts
}

/// The rows that match the filter.
fn shown(model: &Model) -> PoolRows<'_> {
    let query = TaskFilter::words(&model.filters[View::Pools as usize]);
    let pool = |pool: &&PoolInfo| {
        let texts = [&pool.name, &pool.provider, &pool.state].map(String::as_str);
        let queues = pool.queues.iter().map(String::as_str);
        query.is_empty() || query.matches_texts(texts.into_iter().chain(queues))
    };
    let account = |account: &Account<'_>| {
        let texts = [account.lane.account.as_str(), state(account.lane).0];
        let pools = account.pools.iter().copied();
        query.is_empty() || query.matches_texts(texts.into_iter().chain(pools))
    };
    let agent = |agent: &&AgentInfo| {
        let session = agent.session_id.as_deref().unwrap_or_default();
        let texts = [agent.name.as_str(), agent.peer.as_str(), session];
        query.is_empty() || query.matches_texts(texts.into_iter())
    };
    let mut accounts = accounts(model.pools.as_deref().unwrap_or_default());
    accounts.retain(account);
    PoolRows {
        pools: model.pools.iter().flatten().filter(pool).collect(),
        accounts,
        agents: model.agents.iter().flatten().filter(agent).collect(),
    }
}

/// Number of rows that can be chosen.
pub fn len(model: &Model) -> usize {
    shown(model).len()
}

/// A name for each row, unique on the screen.
pub fn names(model: &Model) -> Vec<String> {
    let shown = shown(model);
    (0..shown.len())
        .filter_map(|at| shown.row(at).map(|row| row.name()))
        .collect()
}

impl Row<'_> {
    /// The parts of the row that a narrow table cuts.
    fn detail(&self, model: &Model) -> String {
        match self {
            Row::Pool(pool) => {
                let note = pool.note.as_ref().map(|note| format!("; {note}"));
                let queues = queues(pool, model);
                format!(
                    "{} leases from {queues}{}",
                    pool.name,
                    note.unwrap_or_default()
                )
            }
            Row::Account(Account { lane, pools }) => {
                let until = until(lane, model).map(|until| format!(" until {until}"));
                let note = lane.note.as_ref().map(|note| format!("; {note}"));
                format!(
                    "{}: {}{}, used by {}{}",
                    lane.account,
                    state(lane).0,
                    until.unwrap_or_default(),
                    pools.join(", "),
                    note.unwrap_or_default()
                )
            }
            Row::Agent(_) => String::new(),
        }
    }

    fn name(&self) -> String {
        match self {
            Row::Pool(pool) => format!("pool {}", pool.name),
            Row::Account(account) => format!("account {}", account.lane.account),
            Row::Agent(agent) => {
                let session = agent.session_id.as_deref().unwrap_or_default();
                format!("agent {session} {}", agent.name)
            }
        }
    }
}

/// The name of the chosen row, if it is not the first.
pub fn chosen_name(model: &Model) -> Option<String> {
    let at = Some(model.cursors[View::Pools as usize].at).filter(|at| *at > 0)?;
    shown(model).row(at).map(|row| row.name())
}

/// The chosen pool.
pub fn chosen_pool(model: &Model) -> Option<&PoolInfo> {
    let at = model.cursors[View::Pools as usize].at;
    shown(model).pools.get(at).copied()
}

/// The chosen account, and its description.
pub fn chosen_account(model: &Model) -> Option<(String, String)> {
    let shown = shown(model);
    match shown.row(model.cursors[View::Pools as usize].at)? {
        Row::Account(Account { lane, pools }) => {
            let about = format!("{}, used by {}", state(lane).0, pools.join(", "));
            Some((lane.account.clone(), about))
        }
        _ => None,
    }
}

/// The task that the chosen agent runs.
pub fn chosen_task(model: &Model) -> Option<TaskId> {
    let shown = shown(model);
    match shown.row(model.cursors[View::Pools as usize].at)? {
        Row::Agent(agent) => agent.leases.first().map(|lease| lease.task_id),
        _ => None,
    }
}

/// A pool in one line, for a question about it.
pub fn about(pool: &PoolInfo) -> String {
    let note = pool.note.as_ref().map(|note| format!(" ({note})"));
    format!(
        "pool {}: {}{}, {} agents, {} busy",
        pool.name,
        pool.state,
        note.unwrap_or_default(),
        pool.size,
        pool.busy
    )
}
