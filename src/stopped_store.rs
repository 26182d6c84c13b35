//! Work on the store of this machine without a hub: the import of the Python version's tasks, export and import as JSON lines, and
//! the check (`kirosu db`).

use crate::{options, restoring};
use kirosu_config::Settings;
pub use kirosu_store::{
    JsonlError, JsonlImport, LegacyOptions, LegacyProgress, LegacyReport, StoreCheck,
};
use kirosu_store::{JsonlTarget, export_jsonl, import_jsonl};
use std::io::{BufRead, Write};
use std::path::Path;

/// Takes over the tasks of a file of the Python version into the store of these settings.
///
/// # Errors
/// A hub uses the store, or the file cannot be taken over. The store is then unchanged. The error is a sentence.
pub fn import_legacy(
    file: &Path,
    settings: &Settings,
    how: LegacyOptions,
    progress: &mut dyn FnMut(LegacyProgress),
) -> Result<LegacyReport, String> {
    let (store, limits) = (options::store(settings), options::limits(settings));
    kirosu_store::import_legacy(file, &store, &limits, how, progress)
        .map_err(|error| error.to_string())
}

/// Checks the store of these settings.
///
/// # Errors
/// There is none, a hub uses it, or it cannot be read. The error is a sentence.
pub fn check(settings: &Settings) -> Result<StoreCheck, String> {
    let store = &settings.store.path;
    match store.exists() {
        true => kirosu_store::check(store).map_err(|error| error.to_string()),
        false => Err(format!("there is no store {}", store.display())),
    }
}

/// Writes the store of these settings as JSON lines. Returns the number of rows.
///
/// # Errors
/// There is none, a hub uses it, it cannot be read, or the lines cannot be written.
pub fn export(
    settings: &Settings,
    out: &mut dyn Write,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<u64, JsonlError> {
    let store = settings.store.path.as_path();
    match store.exists() {
        true => export_jsonl(store, out, progress),
        false => Err(JsonlError::Unreadable {
            path: store.to_owned(),
            why: "there is no such file".to_owned(),
        }),
    }
}

/// Makes an export the store of these settings; with `dry_run` only examines it.
///
/// # Errors
/// There is a store and `replace` is false, a hub uses it, or the export cannot be taken. The store is then unchanged.
pub fn import(
    settings: &Settings,
    input: &mut dyn BufRead,
    replace: bool,
    dry_run: bool,
    progress: &mut dyn FnMut(u64),
) -> Result<JsonlImport, JsonlError> {
    let target = JsonlTarget {
        path: &settings.store.path,
        stamp: &restoring::stamp(),
        replace,
        dry_run,
    };
    import_jsonl(input, &target, progress)
}
