//! A backup takes the place of the store of this machine: what `kirosu restore` does, which asks no hub.

use crate::options;
use kirosu_config::Settings;
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

/// What was restored, for people and programs.
pub struct Restored {
    /// The store's file.
    pub store: PathBuf,
    /// The copy that it is now.
    pub copy: PathBuf,
    /// Bytes of the file.
    pub bytes: u64,
    /// The files that were there before, under their new names.
    pub replaced: Vec<PathBuf>,
}

/// Puts a copy, a path or the name of a file in the folder of backups, in the place of the store of these settings.
///
/// # Errors
/// A sentence: a hub has the store, or the copy is not fit. Then the store is as it was.
pub fn restore(file: &Path, settings: &Settings) -> Result<Restored, String> {
    let in_backups = settings.data_dir.join("backups").join(file);
    let copy = match file.exists() || !in_backups.exists() {
        true => file.to_owned(),
        false => in_backups,
    };
    let store = settings.store.path.clone();
    let restored = kirosu_store::restore(&copy, &store, &stamp(options::now_ms()))
        .map_err(|error| error.to_string())?;
    Ok(Restored {
        store,
        copy,
        bytes: restored.bytes,
        replaced: restored.replaced,
    })
}

/// `20261122T173905Z`.
fn stamp(now_ms: i64) -> String {
    let now = UNIX_EPOCH + Duration::from_millis(u64::try_from(now_ms).unwrap_or(0));
    let text = humantime::format_rfc3339_seconds(now).to_string();
    text.replace(['-', ':'], "")
}
