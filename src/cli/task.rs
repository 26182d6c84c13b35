//! `kirosu task add`: another spelling of `kirosu enqueue`.

use super::{Context, Failure, enqueue};
use clap::Subcommand;

const EXAMPLES: &str = "\
Examples:
  kirosu task add \"Summarise README.md\" --wait
  kirosu help enqueue                       flags and examples";

/// Adds tasks: task add is another spelling of enqueue
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    #[command(subcommand)]
    command: TaskCommand,
}

#[derive(Debug, Subcommand)]
enum TaskCommand {
    /// Adds a task, as kirosu enqueue does
    Add(Box<enqueue::Args>),
}

/// Runs the subcommand.
///
/// # Errors
/// As those of `kirosu enqueue`.
pub async fn run(args: &Args, context: &Context) -> Result<u8, Failure> {
    match &args.command {
        TaskCommand::Add(args) => enqueue::run(args, context).await,
    }
}
