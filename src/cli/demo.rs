//! `kirosu demo`: a small swarm that shows itself.

use super::failure::Failure;
use super::globals::Globals;
use super::log;
use std::path::PathBuf;

const EXAMPLES: &str = "\
Examples:
  kirosu demo                               counts the words of the text files under this folder
  kirosu demo ~/notes --keep                and leaves its database to look around in";

/// Shows what Kirosu does on your own files: a swarm, a crash on purpose, a result
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Folder whose text files are counted [default: this one]
    folder: Option<PathBuf>,
    /// Leaves the demo's data folder in place
    #[arg(long)]
    keep: bool,
}

/// Runs the demo to its end.
pub fn run(args: Args, globals: &Globals) -> Result<u8, Failure> {
    // The story tells what happens; the log would tell it again.
    log::for_client(&Globals {
        quiet: !globals.verbose,
        ..globals.clone()
    });
    crate::demo::run(crate::demo::DemoArgs {
        folder: args.folder,
        keep: args.keep,
        json: globals.json,
    })?;
    Ok(0)
}
