//! A sound copy of the file while the hub works on.
//!
//! `VACUUM INTO` on a connection of its own: one read transaction, so the copy is the state of one moment, and nobody
//! waits for it. (The write-ahead log cannot begin anew before that transaction ends.) The copy is written under another
//! name, checked, synced, and only then gets its name: a file with that name is a whole backup. Its header says that it is
//! one (`generation`), so that the hub that opens it skips ids that were given out since.

use crate::open;
use crate::sql::{self, statement};
use diesel::SqliteConnection;
use diesel::connection::SimpleConnection;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// What an unfinished copy's name ends with.
const SUFFIX: &str = ".part";

/// Why there is no backup.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// There is a file of that name.
    #[error("there is a file {0} already; name another one")]
    Exists(PathBuf),
    /// The folder, the file or the disk.
    #[error("cannot write the backup {path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// SQLite could not copy.
    #[error("cannot copy the store to {path}: {why}")]
    Copy {
        /// The file.
        path: PathBuf,
        /// What SQLite said.
        why: String,
    },
    /// The copy is not sound.
    #[error(
        "the copy {path} is damaged ({found}) and was removed; check the disk, and the store itself"
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What the check found first.
        found: String,
    },
}

statement! {
    /// Looks through a whole file.
    IntegrityCheck {} "PRAGMA integrity_check(1)"
}

/// Copies the store at `source`, which a store of this process has open, to `target`, which must not exist. Blocks for as
/// long as the copy takes. Answers its size in bytes.
pub fn backup(source: &Path, target: &Path) -> Result<u64, BackupError> {
    let wrap = |source| BackupError::Io {
        path: target.to_owned(),
        source,
    };
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
    // Unlike a rename, a link does not replace what has come there meanwhile.
    fs::hard_link(&part.0, target).map_err(|source| match source.kind() {
        io::ErrorKind::AlreadyExists => BackupError::Exists(target.to_owned()),
        _ => wrap(source),
    })?;
    drop(part);
    File::open(folder)
        .and_then(|folder| folder.sync_all())
        .map_err(wrap)?;
    Ok(bytes)
}

/// An unfinished copy that nobody has touched for so long was left behind by a hub that ended meanwhile.
const ABANDONED: Duration = Duration::from_secs(24 * 3600);

/// Removes unfinished copies that were left behind. A folder that cannot be looked through is found out by the copy.
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

/// The unfinished copy; it goes whatever happens.
pub(crate) struct Part(pub PathBuf);

impl Drop for Part {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

/// Copies what a connection sees into a new file, marks it as a backup, checks it and has it on the disk. Answers its size
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
    // Made before SQLite writes into it: prompts and results are for the owner of the store alone.
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(part)
        .map_err(io)?;
    // It writes nothing into the store, but into the copy.
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
    let said: Option<String> =
        sql::first(&mut conn, IntegrityCheck {}).map_err(|e| damaged(e.to_string()))?;
    match said.as_deref() {
        Some("ok") => Ok(()),
        said => Err(damaged(said.unwrap_or("no answer").to_owned())),
    }
}

fn sync(part: &Path) -> io::Result<u64> {
    let file = File::options().write(true).open(part)?;
    file.sync_all()?;
    Ok(file.metadata()?.len())
}
