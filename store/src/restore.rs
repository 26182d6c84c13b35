//! Replaces a store that no hub has open by a backup, or by another copy of a store.
//!
//! The copy is copied once more into the directory of the store, checked and synced before anything else changes. Then
//! the existing files get second names, and one rename puts the copy in place: at each moment either the old file with
//! its log is there, or the copy. A log that a crash in between leaves behind is detected by the next start
//! (`generation`).

use crate::backup::{self, BackupError, Part};
use crate::error::OpenError;
use crate::foreign;
use crate::generation::{self, BACKUP};
use crate::lock::{self, beside, sync_directory};
use crate::open;
use crate::schema::{self, Schema};
use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};

/// Suffixes of the files that belong to a database file.
const LOGS: [&str; 2] = ["-wal", "-shm"];

/// An error that prevents a restore.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// The store is in use, or the copy cannot be read.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The copy cannot be copied, or is damaged.
    #[error("nothing was restored: {0}")]
    Copy(#[from] BackupError),
    /// There is no such file, or it is not a copy of a store.
    #[error("cannot restore {path}: {why}")]
    Unfit {
        /// The copy.
        path: PathBuf,
        /// The reason.
        why: String,
    },
    /// A file could not be put in place.
    #[error("cannot put {path} in place: {source}; the files of the store are as they were")]
    Io {
        /// The file.
        path: PathBuf,
        /// The error of the operating system.
        source: io::Error,
    },
}

/// The result of a restore.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RestoreReport {
    /// The size of the store's file in bytes.
    pub bytes: u64,
    /// The files that were replaced, under their new names.
    pub replaced: Vec<PathBuf>,
}

/// Replaces the store with this database file by a copy. The existing files stay in the same directory with
/// `.replaced-STAMP` in their names. Blocks while it copies.
///
/// # Errors
/// [`OpenError::Locked`] if a hub has the store open. After any error the store is unchanged.
pub fn restore(copy: &Path, store: &Path, stamp: &str) -> Result<RestoreReport, RestoreError> {
    let unfit = |why: String| RestoreError::Unfit {
        path: copy.to_owned(),
        why,
    };
    fs::metadata(copy)
        .and_then(|meta| match meta.is_file() {
            true => Ok(()),
            false => Err(io::Error::other("it is not a file")),
        })
        .map_err(|error| unfit(error.to_string()))?;
    let store = &*foreign::real_path(store);
    open::make_directory(store)?;
    let _lock = lock::take(store)?;
    let mut conn = match generation::mark_of_file(copy) {
        Ok(Some(BACKUP)) => open::read_alone(copy)?,
        Ok(Some(_)) => {
            generation::examine(copy)?;
            open::read_only(copy)?
        }
        Ok(None) => return Err(unfit("it is empty".to_owned())),
        Err(error) => return Err(unfit(error.to_string())),
    };
    match schema::compare(&mut conn, copy)? {
        Schema::Behind(_) => {}
        Schema::Newer(newest) => {
            return Err(unfit(format!(
                "it was written by a newer version (schema {newest}); use that version"
            )));
        }
        Schema::Foreign => return Err(unfit("it is not a store of Kirosu".to_owned())),
    }
    let part = Part(beside(store, ".restore"));
    let _ = fs::remove_file(&part.0);
    let bytes = backup::copy(conn, &part.0)?;
    like_before(&part.0, store);
    let replaced = put_in_place(&part.0, store, stamp)?;
    Ok(RestoreReport { bytes, replaced })
}

/// Gives the new file the owner and mode of the one that it replaces. If that is not allowed, it keeps its own.
fn like_before(part: &Path, store: &Path) {
    if let Ok(before) = fs::metadata(store) {
        let _ = chown(part, Some(before.uid()), Some(before.gid()));
        let _ = fs::set_permissions(part, fs::Permissions::from_mode(before.mode() & 0o777));
    }
}

fn put_in_place(part: &Path, store: &Path, stamp: &str) -> Result<Vec<PathBuf>, RestoreError> {
    let aside = beside(store, &format!(".replaced-{stamp}"));
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source| RestoreError::Io { path, source }
    };
    let mut replaced = Vec::new();
    for suffix in [""].iter().chain(&LOGS[..1]) {
        let (file, name) = (beside(store, suffix), beside(&aside, suffix));
        match fs::hard_link(&file, &name) {
            Ok(()) => replaced.push(name),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => {
                for name in replaced {
                    let _ = fs::remove_file(name);
                }
                return Err(failed(&name)(error));
            }
        }
    }
    fs::rename(part, store).map_err(failed(store))?;
    for suffix in LOGS {
        // The next start detects one that stays.
        let _ = fs::remove_file(beside(store, suffix));
    }
    let _ = sync_directory(store);
    Ok(replaced)
}
