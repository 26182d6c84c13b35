//! `kirosu pool`: shows and resizes the pools of agents.

use super::{Cell, Column, Context, Failure, Paint, Screen, TextTable, whole};
use clap::Subcommand;
use kirosu_protocol::{POOL_SIZES, PoolInfo, PoolsParams, Resize};

const EXAMPLES: &str = "\
Examples:
  kirosu pool list
  kirosu pool resize coders 8               until the hub is restarted; does not change the settings
  kirosu pool resize coders 0               stops the pool; running tasks may finish
  kirosu pool probe claude                  tries the account again, after a new login";

/// Shows and resizes the pools of agents
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    #[command(subcommand)]
    command: PoolCommand,
}

#[derive(Debug, Subcommand)]
enum PoolCommand {
    /// Shows the pools
    List,
    /// Changes the number of agents in a pool
    Resize {
        /// The pool
        name: String,
        /// Number of agents that run at the same time, 0 to 10000
        #[arg(value_parser = whole::<u32>(POOL_SIZES, 4))]
        size: u32,
    },
    /// Tries a parked provider account again, after a login or a payment
    Probe {
        /// The account, or a pool that uses it
        name: String,
    },
}

/// Runs the subcommand.
pub async fn run(args: &Args, context: &Context) -> Result<u8, Failure> {
    let hub = context.connect().await?;
    let screen = &context.screen;
    let mut params = PoolsParams::default();
    let answer = match &args.command {
        PoolCommand::List => hub.request_idempotent(&params).await?,
        PoolCommand::Resize { name, size } => {
            let (pool, size) = (name.clone(), *size);
            params.resize = Some(Resize { pool, size });
            hub.request(&params).await?
        }
        PoolCommand::Probe { name } => {
            params.probe = Some(name.clone());
            hub.request(&params).await?
        }
    };
    let is_shown = |pool: &&PoolInfo| match &args.command {
        PoolCommand::List => true,
        PoolCommand::Resize { name, .. } => pool.name == *name,
        PoolCommand::Probe { name } => {
            pool.name == *name || pool.lanes.iter().any(|lane| lane.account == *name)
        }
    };
    screen.answer(&answer, || {
        let shown: Vec<PoolInfo> = answer.pools.iter().filter(is_shown).cloned().collect();
        show(&shown, screen)
    })
}

fn show(pools: &[PoolInfo], screen: &Screen) -> Result<(), Failure> {
    if pools.is_empty() {
        return screen
            .note("this hub has no pools; agents of other processes are under `kirosu agents`");
    }
    table(pools).print(screen)
}

/// A table with one row per pool.
pub(crate) fn table(pools: &[PoolInfo]) -> TextTable {
    let mut table = TextTable::new([
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
