//! `kirosu db`: works on the file of a store on which no hub runs.

mod check;
mod export;
mod import;
mod import_legacy;

use super::{Context, Failure, Screen, restore, spinner, text};
use clap::Subcommand;
use kirosu_config::{Flag, Loaded};
use std::path::PathBuf;

const EXAMPLES: &str = "\
Examples:
  kirosu db import-legacy ~/.kiro/kirosu.db --dry-run
  kirosu db import-legacy ~/.kiro/kirosu.db
  kirosu db check
  kirosu db check --db /mnt/copies/kirosu.db --json | jq -r .findings[]
  kirosu db export --out kirosu.jsonl
  kirosu db import kirosu.jsonl --db /srv/kirosu/kirosu.db
  kirosu db restore nightly.db              the same as kirosu restore

Stop the hub first, and run it as the user that runs the hub. A copy while the hub runs: kirosu backup.";

/// Works on the file of a store while no hub runs on it
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    #[command(subcommand)]
    command: DbCommand,
}

#[derive(Debug, Subcommand)]
enum DbCommand {
    /// Takes over the tasks of the Python version
    ImportLegacy(import_legacy::Args),
    /// Checks the file, its rows and its counters; exit code 1 if something is wrong
    Check(StoreArgs),
    /// Writes the whole store as JSON lines
    Export(export::Args),
    /// Makes an export the store
    Import(import::Args),
    /// Replaces the store with a backup, as kirosu restore does
    Restore(restore::Args),
}

/// The store of a command.
#[derive(Debug, clap::Args)]
struct StoreArgs {
    /// The database file [default: kirosu.db in the data folder]
    #[arg(long, value_name = "FILE")]
    db: Option<PathBuf>,
}

impl StoreArgs {
    fn settings(&self, context: &Context) -> Result<Loaded, Failure> {
        let db = self.db.as_ref();
        let flags = db.map(|db| Flag::new("--db", "store.path", db.to_string_lossy()));
        context.globals.for_server(flags)
    }
}

/// Runs the subcommand.
///
/// # Errors
/// A hub has the store, or a file cannot be read or written.
pub fn run(args: &Args, context: &Context) -> Result<u8, Failure> {
    context.globals.log_as_client();
    match &args.command {
        DbCommand::ImportLegacy(args) => import_legacy::run(args, context),
        DbCommand::Check(args) => check::run(args, context),
        DbCommand::Export(args) => export::run(args, context),
        DbCommand::Import(args) => import::run(args, context),
        DbCommand::Restore(args) => restore::run(args, context),
    }
}
