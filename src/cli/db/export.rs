//! `kirosu db export`: the whole store as JSON lines.

use super::{Context, Failure, StoreArgs, spinner, text};
use crate::stopped_store::{JsonlError, export};
use serde_json::json;
use std::fs::{self, OpenOptions};
use std::io::{self, BufWriter, ErrorKind, IsTerminal, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Bytes that are collected before a write.
const BUFFER: usize = 256 << 10;

const EXAMPLES: &str = "\
Examples:
  kirosu db export --out kirosu.jsonl
  kirosu db export | zstd > kirosu.jsonl.zst
  kirosu db export | jq -c 'select(.table == \"attempt\") | .row.error // empty'
  kirosu backup copy.db && kirosu db export --db ~/.local/share/kirosu/backups/copy.db --out kirosu.jsonl

One line for the format, one for each row of each table, and one for the end. It has prompts, results and the hashes of keys, not
the keys. No hub may run on the store; the last example exports while one runs. `kirosu db import` reads it.";

/// Writes the whole store as JSON lines
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    #[command(flatten)]
    store: StoreArgs,
    /// A new file, readable by its owner only [default: standard output]
    #[arg(long, short, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// Writes the export. With `--json` the answer follows on standard output, so it needs `--out`.
pub(super) fn run(args: &Args, context: &Context) -> Result<u8, Failure> {
    let settings = args.store.settings(context)?.settings;
    match &args.out {
        Some(file) => to_file(file, &settings, context),
        None if context.screen.json => Err(Failure::Usage(
            "--json needs --out FILE: standard output has the export".to_owned(),
        )),
        None if io::stdout().is_terminal() => Err(Failure::Usage(
            "the export has a line for each row: name a file with --out, or use a pipe".to_owned(),
        )),
        None => {
            let mut out = BufWriter::with_capacity(BUFFER, io::stdout().lock());
            write(&settings, &mut out, context)?;
            Ok(0)
        }
    }
}

fn to_file(
    file: &Path,
    settings: &kirosu_config::Settings,
    context: &Context,
) -> Result<u8, Failure> {
    let shown = file.display();
    let created = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(file)
        .map_err(|why| match why.kind() {
            ErrorKind::AlreadyExists => Failure::Local(format!(
                "the file {shown} exists already; choose another name"
            )),
            _ => Failure::local(format!("cannot create {shown}"), why),
        })?;
    let mut out = BufWriter::with_capacity(BUFFER, created);
    let written = write(settings, &mut out, context).and_then(|rows| {
        let synced = out.flush().and_then(|()| out.get_ref().sync_all());
        synced.map_err(|why| Failure::local(format!("cannot write {shown}"), why))?;
        Ok(rows)
    });
    let rows = match written {
        Ok(rows) => rows,
        Err(failure) => {
            // An import would refuse it, as its last line is missing.
            let _ = fs::remove_file(file);
            return Err(failure);
        }
    };
    let (store, bytes) = (
        &settings.store.path,
        file.metadata().map_or(0, |it| it.len()),
    );
    let answer = json!({ "exported": store, "file": file, "rows": rows, "bytes": bytes });
    context.screen.answer(&answer, || {
        let (rows, bytes) = (text::count(rows, "row"), text::grouped(bytes));
        let store = store.display();
        context.screen.print(&format!(
            "exported {store} to {shown} ({rows}, {bytes} bytes)"
        ))
    })?;
    Ok(0)
}

fn write(
    settings: &kirosu_config::Settings,
    out: &mut dyn Write,
    context: &Context,
) -> Result<u64, Failure> {
    let bar = spinner::bar(&context.screen, 0, "rows");
    let written = export(settings, out, &mut |rows, all| {
        bar.set_length(all);
        bar.set_position(rows);
    });
    bar.finish_and_clear();
    written.map_err(|error| match error {
        JsonlError::Write(why) if why.kind() == ErrorKind::BrokenPipe => Failure::PipeClosed,
        other => Failure::Local(other.to_string()),
    })
}
