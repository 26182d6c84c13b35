//! `kirosu db import-legacy`: takes over the tasks of the Python version.

use super::{Context, Failure, Screen, StoreArgs, spinner, text};
use crate::stopped_store::{LegacyOptions, LegacyProgress, LegacyReport, import_legacy};
use kirosu_config::Settings;
use serde_json::json;
use std::path::PathBuf;

/// Rows that are printed for people.
const PRINTED: usize = 20;

const EXAMPLES: &str = "\
Examples:
  kirosu db import-legacy ~/.kiro/kirosu.db --dry-run
  kirosu db import-legacy ~/.kiro/kirosu.db
  kirosu db import-legacy old.db --renumber     into a store that has tasks; kirosu list --label legacy:42
  kirosu db import-legacy old.db --json | jq .states

Stop both hubs first. The file is only read. Tasks keep their ids, results, errors, workers and times; leased tasks are queued
again. All tasks are written, or none: after an interruption, start it again. More: docs/operations.md, \"Coming from the
Python version\".

Exit codes: 0 imported, or could be (--dry-run); 1 nothing was imported; 2 wrong usage.";

/// Takes over the tasks of the Python version
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// The database file of the Python version, such as ~/.kiro/kirosu.db
    #[arg(value_name = "FILE")]
    file: PathBuf,
    #[command(flatten)]
    store: StoreArgs,
    /// Only prints what would be imported
    #[arg(long)]
    dry_run: bool,
    /// Gives the tasks new ids, for a store that has tasks; the old id becomes the label legacy:ID
    #[arg(long)]
    renumber: bool,
    /// Leaves out the rows that cannot be taken
    #[arg(long)]
    skip_bad: bool,
}

/// Imports the tasks and prints their numbers by state.
pub(super) fn run(args: &Args, context: &Context) -> Result<u8, Failure> {
    let screen = &context.screen;
    let settings = args.store.settings(context)?.settings;
    let how = LegacyOptions {
        renumber: args.renumber,
        skip_bad: args.skip_bad,
        dry_run: args.dry_run,
    };
    let bar = spinner::bar(screen, 0, "rows");
    let mut progress = |at: LegacyProgress| {
        // Both passes are half of it.
        bar.set_length(at.of * 2);
        bar.set_position(at.rows + if at.is_writing { at.of } else { 0 });
    };
    let report = import_legacy(&args.file, &settings, how, &mut progress);
    bar.finish_and_clear();
    let report = report.map_err(Failure::Local)?;
    screen.answer(&to_json(args, &report, &settings), || {
        print(args, &report, &settings, screen)
    })?;
    let is_refused = !report.written && !args.dry_run;
    let is_unfit = args.dry_run && report.bad > 0 && !args.skip_bad;
    Ok(u8::from(is_refused || is_unfit))
}

fn to_json(args: &Args, report: &LegacyReport, settings: &Settings) -> serde_json::Value {
    let states = report.states.iter();
    let states = states.map(|it| json!({ "from": it.from, "to": it.to, "tasks": it.tasks }));
    let bad = report.bad_rows.iter();
    let bad = bad.map(|it| json!({ "task_id": it.task_id, "why": it.why }));
    json!({
        "imported": report.written,
        "dry_run": args.dry_run,
        "file": args.file,
        "path": settings.store.path,
        "tasks": report.tasks,
        "states": states.collect::<Vec<_>>(),
        "leases_dropped": report.leases_dropped,
        "bad": report.bad,
        "bad_rows": bad.collect::<Vec<_>>(),
        "last_id": report.last_id,
    })
}

fn print(
    args: &Args,
    report: &LegacyReport,
    settings: &Settings,
    screen: &Screen,
) -> Result<(), Failure> {
    for state in &report.states {
        let (from, to) = (&state.from, state.to);
        let change = match *from == to.as_str() {
            true => String::new(),
            false => format!(" -> {to}"),
        };
        let tasks = text::grouped(state.tasks);
        screen.print_untrusted(&format!("{tasks:>10}  {from}{change}"))?;
    }
    for bad in report.bad_rows.iter().take(PRINTED) {
        screen.note(&format!(
            "task {} cannot be taken: {}",
            bad.task_id, bad.why
        ))?;
    }
    if report.bad > PRINTED as u64 {
        let more = text::grouped(report.bad - PRINTED as u64);
        screen.note(&format!("and {more} more (--json lists up to 1000)"))?;
    }
    if report.leases_dropped > 0 {
        let tasks = text::count(report.leases_dropped, "task");
        screen.note(&format!(
            "{tasks} had a lease, which is gone: they are queued and run again"
        ))?;
    }
    let (file, store) = (args.file.display(), settings.store.path.display());
    let tasks = text::count(report.tasks, "task");
    match (report.written, report.bad > 0 && !args.skip_bad) {
        (true, _) => {
            screen.print(&format!(
                "imported {tasks} from {file} into {store}; the next id is {}",
                report.last_id + 1
            ))?;
            match settings.store.retention {
                Some(_) => screen.note(
                    "store.retention is set: the hub deletes tasks that ended before that time soon after its start",
                ),
                None => Ok(()),
            }
        }
        (false, true) => screen.note(&format!(
            "nothing was imported: {} cannot be taken; --skip-bad leaves them out",
            text::count(report.bad, "row")
        )),
        (false, false) => screen.print(&format!(
            "{tasks} can be imported from {file} into {store}; nothing was changed"
        )),
    }
}
