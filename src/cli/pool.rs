//! `kirosu pool`: the pools of agents, and their size.

use super::connect::Context;
use super::failure::Failure;
use super::numbers::whole;
use super::show::Screen;
use super::show::paint::Paint;
use super::show::table::{Cell, Column, Table};
use clap::Subcommand;
use kirosu_protocol::verbs::pools::{PoolInfo, PoolsParams, Resize, SIZES};

const EXAMPLES: &str = "\
Examples:
  kirosu pool list
  kirosu pool resize coders 8               until the hub is restarted; the settings stay as they are
  kirosu pool resize coders 0               running tasks may finish
  kirosu pool probe claude                  you have logged in again: the next task finds out";

/// Shows the pools of agents, and resizes them
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Shows the pools
    List,
    /// Changes the number of agents of a pool
    Resize {
        /// The pool
        name: String,
        /// Agents side by side, 0 to 10000
        #[arg(value_parser = whole::<u32>(SIZES, 4))]
        size: u32,
    },
    /// Tries a parked provider account again, after you have logged in or bought more
    Probe {
        /// The account, or a pool that uses it
        name: String,
    },
}

/// Shows or resizes.
pub async fn run(args: &Args, context: &Context) -> Result<u8, Failure> {
    let hub = context.connect().await?;
    let screen = &context.screen;
    let answer = match &args.what {
        What::List => hub.insist(&PoolsParams::default()).await?,
        What::Resize { name, size } => {
            let resize = Resize {
                pool: name.clone(),
                size: *size,
            };
            hub.ask(&PoolsParams {
                resize: Some(resize),
                ..PoolsParams::default()
            })
            .await?
        }
        What::Probe { name } => {
            hub.ask(&PoolsParams {
                probe: Some(name.clone()),
                ..PoolsParams::default()
            })
            .await?
        }
    };
    if screen.json {
        screen.json(&answer)?;
        return Ok(0);
    }
    match &args.what {
        What::List => show(&answer.pools, screen)?,
        What::Probe { name } => {
            let of = |pool: &PoolInfo| {
                pool.name == *name || pool.lanes.iter().any(|lane| lane.account == *name)
            };
            let tried: Vec<PoolInfo> = answer.pools.into_iter().filter(of).collect();
            show(&tried, screen)?;
        }
        What::Resize { name, .. } => {
            let changed: Vec<PoolInfo> = answer
                .pools
                .into_iter()
                .filter(|pool| pool.name == *name)
                .collect();
            show(&changed, screen)?;
        }
    }
    Ok(0)
}

fn show(pools: &[PoolInfo], screen: &Screen) -> Result<(), Failure> {
    if pools.is_empty() {
        return screen
            .note("this hub has no pools; agents of other processes are under `kirosu agents`");
    }
    table(pools).print(screen)
}

/// The pools, a row each.
pub(crate) fn table(pools: &[PoolInfo]) -> Table {
    let mut table = Table::new([
        Column::text("NAME"),
        Column::text("STATE"),
        Column::number("SIZE"),
        Column::number("BUSY"),
        Column::text("PROVIDER"),
        Column::text("MODEL").yields(1),
        Column::text("QUEUES"),
        Column::text("TRUSTED").unless("no"),
        Column::long("NOTE"),
    ]);
    for pool in pools {
        table.row([
            Cell::new(&pool.name),
            Cell::new(&pool.state).painted(Paint::of_state(&pool.state)),
            Cell::new(pool.size.to_string()),
            Cell::new(pool.busy.to_string()),
            Cell::new(&pool.provider),
            Cell::new(pool.model.as_deref().unwrap_or_default()),
            Cell::new(pool.queues.join(",")),
            Cell::new(if pool.trusted { "yes" } else { "no" }),
            Cell::new(pool.note.as_deref().unwrap_or_default()),
        ]);
    }
    table
}
