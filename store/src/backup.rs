//! A consistent copy of the file while the hub runs.
//!
//! `VACUUM INTO` runs on a connection of its own: one read transaction, so the copy is the state of one moment and
//! delays no request. (The write-ahead log cannot restart before that transaction ends.) The copy is written under
//! another name, checked and synced before it gets its name: a file with that name is a complete backup. Its header
//! marks it as one (`generation`), so that a hub that opens it skips ids that were given out since.

use crate::lock::sync_directory;
use crate::open;
use crate::sql::{self, statement};
use diesel::SqliteConnection;
use diesel::connection::SimpleConnection;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The end of an unfinished copy's name. No backup has such a name: it would be removed as one that was left behind.
const SUFFIX: &str = ".kirosu-part";

/// An error that prevents a backup.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// A file with that name exists.
    #[error("the file {0} exists already; choose another name")]
    Exists(PathBuf),
    /// The name is that of an unfinished copy.
    #[error(
        "the name {0} is that of an unfinished backup; choose one that does not end with {SUFFIX}"
    )]
    Name(PathBuf),
    /// The directory, the file or the disk failed.
    #[error("cannot write the backup {path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// The error of the operating system.
        source: io::Error,
    },
    /// SQLite could not copy.
    #[error("cannot copy the store to {path}: {why}")]
    Copy {
        /// The file.
        path: PathBuf,
        /// SQLite's message.
        why: String,
    },
    /// The copy is damaged.
    #[error(
        "the copy {path} is damaged ({found}) and was removed; check the disk, and the store itself"
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// The first finding of the check.
        found: String,
    },
}

statement! {
    /// Checks a whole file.
    IntegrityCheck {} "PRAGMA integrity_check(1)"
}

/// Copies the store at `source`, which a store of this process has open, to `target`, which must not exist. Blocks
/// while it copies. Returns the size of the copy in bytes.
///
/// # Errors
/// `target` exists or has the name of an unfinished copy, the disk failed, or the copy is damaged; nothing is left at `target`.
pub fn backup(source: &Path, target: &Path) -> Result<u64, BackupError> {
    let wrap = |source| BackupError::Io {
        path: target.to_owned(),
        source,
    };
    if target.to_string_lossy().ends_with(SUFFIX) {
        return Err(BackupError::Name(target.to_owned()));
    }
    if target.symlink_metadata().is_ok() {
        return Err(BackupError::Exists(target.to_owned()));
    }
    let folder = target.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder).map_err(wrap)?;
    let mut part = target.as_os_str().to_owned();
    part.push(SUFFIX);
    let part = Part(part.into());
    let _ = fs::remove_file(&part.0);
    sweep(folder);
    let conn = open::reader(source).map_err(|error| BackupError::Copy {
        path: part.0.clone(),
        why: error.to_string(),
    })?;
    let bytes = copy(conn, &part.0)?;
    // Unlike a rename, a link does not replace a file that was created meanwhile.
    fs::hard_link(&part.0, target).map_err(|source| match source.kind() {
        io::ErrorKind::AlreadyExists => BackupError::Exists(target.to_owned()),
        _ => wrap(source),
    })?;
    drop(part);
    sync_directory(target).map_err(wrap)?;
    Ok(bytes)
}

/// The age after which an unfinished copy counts as left behind by a hub that ended.
const ABANDONED: Duration = Duration::from_secs(24 * 3600);

/// Removes unfinished copies that were left behind. If the directory cannot be read, the copy itself fails and reports
/// it.
fn sweep(folder: &Path) {
    let Ok(files) = fs::read_dir(folder) else {
        return;
    };
    for file in files.flatten() {
        let is_part = file.file_name().to_string_lossy().ends_with(SUFFIX);
        let age = file.metadata().and_then(|meta| meta.modified());
        let age = age.ok().and_then(|at| at.elapsed().ok());
        if is_part && age.is_some_and(|age| age > ABANDONED) {
            let _ = fs::remove_file(file.path());
        }
    }
}

/// An unfinished copy; removed when dropped.
pub(crate) struct Part(pub PathBuf);

impl Drop for Part {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

/// Copies the database of a connection into a new file, marks it as a backup, checks it and syncs it. Returns its size
/// in bytes.
pub(crate) fn copy(mut conn: SqliteConnection, part: &Path) -> Result<u64, BackupError> {
    let failed = |why: String| BackupError::Copy {
        path: part.to_owned(),
        why,
    };
    let io = |source| BackupError::Io {
        path: part.to_owned(),
        source,
    };
    // Created before SQLite writes to it: prompts and results are for the owner of the store only.
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(part)
        .map_err(io)?;
    // It writes to the copy, not to the store.
    conn.batch_execute("PRAGMA query_only = OFF")
        .map_err(|error| failed(error.to_string()))?;
    let target = open::paced_uri(part).map_err(|code| {
        failed(format!(
            "SQLite refused the layer for paced files with code {code}"
        ))
    })?;
    sql::run(&mut conn, sql::tx::VacuumInto { target: &target })
        .map_err(|error| failed(error.to_string()))?;
    drop(conn);
    open::mark_as_backup(part).map_err(|error| failed(error.to_string()))?;
    check(part)?;
    sync(part).map_err(io)
}

fn check(part: &Path) -> Result<(), BackupError> {
    let damaged = |found: String| BackupError::Damaged {
        path: part.to_owned(),
        found,
    };
    let mut conn: SqliteConnection = open::reader(part).map_err(|e| damaged(e.to_string()))?;
    let findings: Option<String> =
        sql::first(&mut conn, IntegrityCheck {}).map_err(|e| damaged(e.to_string()))?;
    match findings.as_deref() {
        Some("ok") => Ok(()),
        findings => Err(damaged(findings.unwrap_or("no answer").to_owned())),
    }
}

fn sync(part: &Path) -> io::Result<u64> {
    let file = File::options().write(true).open(part)?;
    file.sync_all()?;
    Ok(file.metadata()?.len())
}
