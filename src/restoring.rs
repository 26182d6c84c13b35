//! Restore of a backup into the store of this machine, without a hub (`kirosu restore`).

use crate::options;
use kirosu_config::Settings;
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

/// Result of a restore.
pub struct RestoreSummary {
    /// File of the store.
    pub store: PathBuf,
    /// The backup that was restored.
    pub copy: PathBuf,
    /// Size of the file in bytes.
    pub bytes: u64,
    /// The previous files of the store, under their new names.
    pub replaced: Vec<PathBuf>,
}

/// Replaces the store of these settings by a backup. `file` is a path, or the name of a file in the folder of backups.
///
/// # Errors
/// A hub uses the store, or the backup is invalid. The store is then unchanged. The error is a sentence.
pub fn restore(file: &Path, settings: &Settings) -> Result<RestoreSummary, String> {
    let in_backups = settings.data_dir.join("backups").join(file);
    let copy = match file.exists() || !in_backups.exists() {
        true => file.to_owned(),
        false => in_backups,
    };
    let store = settings.store.path.clone();
    let restored =
        kirosu_store::restore(&copy, &store, &stamp()).map_err(|error| error.to_string())?;
    Ok(RestoreSummary {
        store,
        copy,
        bytes: restored.bytes,
        replaced: restored.replaced,
    })
}

/// The part of the names of files that are replaced now: `20261122T173905Z`.
pub fn stamp() -> String {
    let now = UNIX_EPOCH + Duration::from_millis(u64::try_from(options::now_ms()).unwrap_or(0));
    let text = humantime::format_rfc3339_seconds(now).to_string();
    text.replace(['-', ':'], "")
}
