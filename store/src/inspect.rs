//! Examines a store from outside, for `kirosu doctor`. It changes nothing.
//!
//! A running hub locks its file, so for such a store only the holder is reported. For any other store the lock is held
//! during the examination: a hub that starts meanwhile reports that the store is in use.

use crate::error::OpenError;
use crate::foreign;
use crate::generation;
use crate::lock::beside;
use crate::open;
use crate::schema::{self, Schema};
use crate::sql::generation::SelectLastId;
use crate::sql::{self, statement};
use kirosu_protocol::TaskId;
use rustix::fs::{FlockOperation, flock};
use std::fs::{self, File};
use std::io::Read;
use std::path::Path;

/// Larger files are not checked as a whole.
const CHECKED_BYTES: u64 = 4 << 30;

statement! {
    /// Whether the file is consistent, except for differences between indexes and tables.
    QuickCheck {} "PRAGMA quick_check(3)"
}

/// The result of an examination.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inspection {
    /// Bytes of the database file.
    pub bytes: u64,
    /// Bytes of its write-ahead log.
    pub log_bytes: u64,
    /// The state of the file.
    pub state: StoreState,
}

/// The state of a store's file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoreState {
    /// A hub has it open: the process id.
    Held(String),
    /// It is consistent. `pending`: migrations that the next start will run.
    Sound {
        /// The number of pending migrations.
        pending: usize,
        /// False if the file is too large to be checked as a whole.
        checked: bool,
    },
    /// A later version of the hub has written it: its newest migration.
    Newer(String),
    /// It is damaged: SQLite's message.
    Damaged(String),
}

/// Examines the store with this database file, which must exist.
///
/// # Errors
/// It cannot be read, or is not a database.
pub fn inspect(path: &Path) -> Result<Inspection, OpenError> {
    let path = &*foreign::real_path(path);
    let size = |path: &Path| fs::metadata(path).map_or(0, |meta| meta.len());
    let seen = |state| Inspection {
        bytes: size(path),
        log_bytes: size(&beside(path, "-wal")),
        state,
    };
    match alone(path, examine)? {
        Ok(state) => state.map(seen),
        Err(holder) => Ok(seen(StoreState::Held(holder))),
    }
}

/// The highest task id that the store with this database file has given out; 0 if there is no file. It changes nothing.
///
/// # Errors
/// A hub has the store, or it cannot be read.
pub(crate) fn last_id(path: &Path) -> Result<TaskId, OpenError> {
    if !path.exists() {
        return Ok(0);
    }
    alone(path, |path| {
        generation::examine(path)?;
        let mut conn = open::read_only(path)?;
        match schema::compare(&mut conn, path)? {
            // A file without tables.
            Schema::Foreign => return Ok(0),
            Schema::Newer(found) => {
                let path = path.to_owned();
                return Err(OpenError::Newer { path, found });
            }
            Schema::Behind(_) => {}
        }
        let last: Option<TaskId> = sql::first(&mut conn, SelectLastId {})
            .map_err(open::database(path, "its ids cannot be read"))?;
        Ok(last.unwrap_or(0))
    })?
    .map_err(|holder| locked(path, holder))
    .flatten()
}

/// The error of a store that a hub has.
pub(crate) fn locked(path: &Path, holder: String) -> OpenError {
    OpenError::Locked {
        path: path.to_owned(),
        lock: beside(path, ".lock"),
        holder,
    }
}

/// Reads a store that no hub has, while its lock is held if it has one. `Err` inside: the process id of the holder.
pub(crate) fn alone<T>(
    path: &Path,
    read: impl FnOnce(&Path) -> Result<T, OpenError>,
) -> Result<Result<Result<T, OpenError>, String>, OpenError> {
    foreign::check(path)?;
    // Held until the end.
    let lock = match hold(&beside(path, ".lock")) {
        Ok(lock) => lock,
        Err(holder) => return Ok(Err(holder)),
    };
    // SQLite creates these while reading, empty, if they are missing; so would the next start.
    let made = ["-shm", "-wal"].map(|suffix| beside(path, suffix));
    let made: Vec<_> = made.into_iter().filter(|file| !file.exists()).collect();
    let found = read(path);
    // Without the lock they may belong to a hub that starts at this moment.
    for file in made.iter().filter(|_| lock.is_some()) {
        let _ = fs::remove_file(file);
    }
    Ok(Ok(found))
}

/// Takes the lock; `None` without a lock file, as then no hub ever had the store. The error is the process id of the
/// holder.
fn hold(lock: &Path) -> Result<Option<File>, String> {
    let Ok(mut file) = File::open(lock) else {
        return Ok(None);
    };
    if flock(&file, FlockOperation::NonBlockingLockExclusive).is_ok() {
        return Ok(Some(file));
    }
    let mut holder = String::new();
    let _ = file.read_to_string(&mut holder);
    Err(match holder.trim() {
        "" => "unknown".to_owned(),
        pid => pid.to_owned(),
    })
}

fn examine(path: &Path) -> Result<StoreState, OpenError> {
    generation::examine(path)?;
    let mut conn = open::read_only(path)?;
    let pending = match schema::compare(&mut conn, path)? {
        Schema::Newer(newest) => return Ok(StoreState::Newer(newest)),
        Schema::Behind(pending) => pending,
        Schema::Foreign => schema::known(path)?.len(),
    };
    let checked = fs::metadata(path).is_ok_and(|meta| meta.len() <= CHECKED_BYTES);
    if checked {
        let findings: Result<Vec<String>, _> = sql::all(&mut conn, QuickCheck {});
        match findings {
            Ok(findings) if findings == ["ok"] => {}
            Ok(findings) => return Ok(StoreState::Damaged(findings.join("; "))),
            Err(why) => return Ok(StoreState::Damaged(why.to_string())),
        }
    }
    Ok(StoreState::Sound { pending, checked })
}
