//! `kirosu demo`: runs a small swarm and shows what happens.

use super::show::output_failure;
use super::{Context, Failure};
use crate::demo::DemoError;
use crate::log;
use std::path::PathBuf;

const EXAMPLES: &str = "\
Examples:
  kirosu demo                               counts the words of the text files under this folder
  kirosu demo ~/notes --keep                keeps its database for inspection

It counts at most 5000 files of at most 4 MiB each, and prints how many it leaves out. It skips hidden files, links, and
the folders target, node_modules and __pycache__.";

/// Shows what Kirosu does with your own files: a swarm, a deliberate crash, a result
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Folder whose text files are counted [default: the current one]
    folder: Option<PathBuf>,
    /// Keeps the demo's data folder
    #[arg(long)]
    keep: bool,
}

/// Runs the demo to its end.
///
/// # Errors
/// The demo cannot start or does not finish.
pub fn run(args: &Args, context: &Context) -> Result<u8, Failure> {
    let globals = &context.globals;
    // The demo prints its events itself, so the log is quiet unless `--verbose` is given.
    log::for_client(globals.verbose, true, !globals.no_color);
    let run = crate::demo::run(crate::demo::DemoArgs {
        folder: args.folder.clone(),
        keep: args.keep,
        json: globals.json,
    });
    match run {
        Err(DemoError::Stopped(cause)) => Ok(cause.exit_code()),
        Err(DemoError::Output(why)) => Err(output_failure(why)),
        run => run.map(|()| 0).map_err(Failure::from),
    }
}
