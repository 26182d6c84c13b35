//! `kirosu up`: runs a hub and its agents in one process, supervised.

use super::hub::Serving;
use super::{Context, Failure};
use std::path::PathBuf;

const EXAMPLES: &str = "\
Examples:
  kirosu config example > kirosu.toml       a commented file with every setting
  kirosu trust && kirosu up                 runs the pools of ./kirosu.toml
  kirosu up fleet.toml                      uses another file
  kirosu up --set pool.coders.provider=codex --set pool.coders.size=4

Ctrl-C or SIGTERM stops it in order: running tasks may finish, unfinished ones return to the queue.";

/// Runs the hub and the agent pools of the settings
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Settings file, same as --config
    #[arg(value_name = "FILE", conflicts_with = "config")]
    file: Option<PathBuf>,
    #[command(flatten)]
    serving: Serving,
}

/// Runs until a signal stops it.
pub fn run(args: &Args, context: &Context) -> Result<u8, Failure> {
    let mut globals = context.globals.clone();
    globals.config = args.file.clone().or(globals.config);
    let loaded = globals.for_server(args.serving.flags())?;
    globals.log_as_server(&loaded)?;
    if loaded.settings.pools.is_empty() {
        tracing::warn!(
            "the settings have no pool, so no task will run; add a [[pool]], or start `kirosu agent`"
        );
    }
    crate::boot::run(loaded, crate::boot::Role::HubAndPools)?;
    Ok(0)
}
