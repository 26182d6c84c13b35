//! `kirosu demo`: a small swarm that shows itself.

use super::failure::Failure;
use super::globals::Globals;
use super::log;
use super::show::output_failure;
use crate::demo::DemoError;
use std::path::PathBuf;

const EXAMPLES: &str = "\
Examples:
  kirosu demo                               counts the words of the text files under this folder
  kirosu demo ~/notes --keep                and leaves its database to look around in

It counts at most 5000 files of at most 4 MiB each, and says how many it leaves out. Hidden files, links and the folders
target, node_modules and __pycache__ are passed over.";

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
    let run = crate::demo::run(crate::demo::DemoArgs {
        folder: args.folder,
        keep: args.keep,
        json: globals.json,
    });
    match run {
        Err(DemoError::Stopped(cause)) => Ok(cause.exit_code()),
        Err(DemoError::Output(why)) => Err(output_failure(why)),
        run => run.map(|()| 0).map_err(Failure::from),
    }
}
