//! Work on the store of this machine without a hub: the import of the Python version's tasks, and the check (`kirosu db`).

use crate::options;
use kirosu_config::Settings;
pub use kirosu_store::{LegacyOptions, LegacyProgress, LegacyReport, StoreCheck};
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
