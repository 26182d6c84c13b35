//! `kirosu up`: a hub and its agents in one process, supervised.

use super::failure::Failure;
use super::globals::Globals;
use super::hub::Serving;
use super::log;
use std::path::PathBuf;

const EXAMPLES: &str = "\
Examples:
  kirosu config example > kirosu.toml       a commented file of every setting
  kirosu up                                 runs what ./kirosu.toml says
  kirosu up fleet.toml                      or another file
  kirosu up --set pool.coders.provider=codex --set pool.coders.size=4

Ctrl-C or SIGTERM ends it in good order: running tasks may finish, unfinished ones are given back.";

/// Runs the hub and the agent pools of the settings
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Settings file, as with --config
    #[arg(value_name = "FILE", conflicts_with = "config")]
    file: Option<PathBuf>,
    #[command(flatten)]
    serving: Serving,
}

/// Runs until it is told to stop.
pub fn run(args: &Args, globals: &Globals) -> Result<u8, Failure> {
    let mut globals = globals.clone();
    globals.config = args.file.clone().or(globals.config);
    let loaded = globals.for_server(args.serving.flags())?;
    log::for_server(&loaded, &globals)?;
    if loaded.settings.pools.is_empty() {
        tracing::warn!(
            "the settings have no pool, so nothing will run the tasks; add a [[pool]], or start `kirosu agent`"
        );
    }
    crate::boot::run(loaded, crate::boot::Role::HubAndPools)?;
    Ok(0)
}
