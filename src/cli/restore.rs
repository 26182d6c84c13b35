//! `kirosu restore`: replaces the store with a backup, while no hub runs on it.

use super::{Context, Failure, spinner, text};
use crate::restoring;
use kirosu_config::Flag;
use serde_json::json;
use std::path::PathBuf;
use std::time::Instant;

const EXAMPLES: &str = "\
Examples:
  kirosu restore nightly.db                 from the hub's backup folder
  kirosu restore /mnt/copies/kirosu.db --db /var/lib/kirosu/kirosu.db
  kirosu restore nightly.db --json | jq -r .replaced[]

Stop the hub first. The copy is checked before anything changes, and is not removed. The replaced files are kept next to
the store. Run it as the user that runs the hub.";

/// Replaces the store with a backup; no hub may run on it
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// The backup: a path, or the name of a file in the backup folder
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The database file to replace [default: kirosu.db in the data folder]
    #[arg(long, value_name = "FILE")]
    db: Option<PathBuf>,
}

/// Restores the backup and prints the files that it replaced.
pub fn run(args: &Args, context: &Context) -> Result<u8, Failure> {
    context.globals.log_as_client();
    let db = args.db.as_ref();
    let flags = db.map(|db| Flag::new("--db", "store.path", db.to_string_lossy()));
    let loaded = context.globals.for_server(flags)?;
    let screen = &context.screen;
    let spinner = spinner::spinner(screen, "checking and copying the backup");
    let began = Instant::now();
    let restored = restoring::restore(&args.file, &loaded.settings);
    spinner.finish_and_clear();
    let restored = restored.map_err(Failure::Local)?;
    let (store, copy) = (restored.store.display(), restored.copy.display());
    let replaced: Vec<String> = restored
        .replaced
        .iter()
        .map(|path| path.display().to_string())
        .collect();
    let seconds = began.elapsed().as_secs_f64();
    let answer = json!({
        "path": store.to_string(),
        "restored": copy.to_string(),
        "bytes": restored.bytes,
        "seconds": (seconds * 1000.0).round() / 1000.0,
        "replaced": replaced,
    });
    screen.answer(&answer, || {
        let size = text::grouped(restored.bytes);
        screen.print(&format!(
            "restored {store} from {copy} ({size} bytes, {seconds:.1} s)"
        ))?;
        match replaced.as_slice() {
            [] => Ok(()),
            files => screen.note(&format!(
                "the replaced files are kept: {}",
                files.join(", ")
            )),
        }
    })
}
