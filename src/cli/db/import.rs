//! `kirosu db import`: makes an export the store.

use super::{Context, Failure, StoreArgs, spinner, text};
use crate::stopped_store::import;
use serde_json::json;
use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::PathBuf;

/// Bytes of one read.
const BUFFER: usize = 256 << 10;

const EXAMPLES: &str = "\
Examples:
  kirosu db import kirosu.jsonl --dry-run
  kirosu db import kirosu.jsonl
  zstd -dc kirosu.jsonl.zst | kirosu db import -
  kirosu db import kirosu.jsonl --replace       the present files are kept under other names

Reads what `kirosu db export` of this or an earlier version has written. All rows are written and checked before anything
changes; a file that was cut off is refused. As after a restore, ids go on above those that may have been given out.

Exit codes: 0 imported, or could be (--dry-run); 1 nothing was imported; 2 wrong usage.";

/// Makes an export the store
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// The export; - for standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,
    #[command(flatten)]
    store: StoreArgs,
    /// Writes all rows into a scratch file and checks them, and leaves the store as it is
    #[arg(long)]
    dry_run: bool,
    /// Replaces an existing store
    #[arg(long)]
    replace: bool,
}

/// Imports the rows and prints their number.
pub(super) fn run(args: &Args, context: &Context) -> Result<u8, Failure> {
    let screen = &context.screen;
    let settings = args.store.settings(context)?.settings;
    let shown = args.file.display();
    let mut input: Box<dyn BufRead> = match args.file.to_str() {
        Some("-") => Box::new(io::stdin().lock()),
        _ => {
            let file = File::open(&args.file)
                .map_err(|why| Failure::local(format!("cannot read {shown}"), why))?;
            Box::new(BufReader::with_capacity(BUFFER, file))
        }
    };
    let spinner = spinner::spinner(screen, "reading rows");
    let imported = import(
        &settings,
        &mut *input,
        args.replace,
        args.dry_run,
        &mut |rows| {
            if rows % 1000 == 0 {
                spinner.set_message(format!("{} written", text::count(rows, "row")));
            }
        },
    );
    spinner.finish_and_clear();
    let imported = imported.map_err(|error| Failure::Local(error.to_string()))?;
    let store = &settings.store.path;
    let replaced = imported.placed.as_ref().map(|it| it.replaced.as_slice());
    let answer = json!({
        "imported": imported.placed.is_some(),
        "dry_run": args.dry_run,
        "file": args.file,
        "path": store,
        "rows": imported.rows,
        "tasks": imported.tasks,
        "replaced": replaced.unwrap_or_default(),
    });
    screen.answer(&answer, || {
        let (rows, tasks) = (
            text::count(imported.rows, "row"),
            text::count(imported.tasks, "task"),
        );
        let store = store.display();
        match replaced {
            None => screen.print(&format!(
                "{rows} with {tasks} can be imported from {shown} into {store}; nothing was changed"
            )),
            Some(replaced) => {
                screen.print(&format!(
                    "imported {rows} with {tasks} from {shown} into {store}"
                ))?;
                let kept: Vec<String> =
                    replaced.iter().map(|it| it.display().to_string()).collect();
                match kept.is_empty() {
                    true => Ok(()),
                    false => {
                        screen.note(&format!("the replaced files are kept: {}", kept.join(", ")))
                    }
                }
            }
        }
    })?;
    Ok(0)
}
