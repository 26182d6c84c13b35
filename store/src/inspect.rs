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
use crate::sql::{self, statement};
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
    foreign::check(path)?;
    let size = |path: &Path| fs::metadata(path).map_or(0, |meta| meta.len());
    let seen = |state| Inspection {
        bytes: size(path),
        log_bytes: size(&beside(path, "-wal")),
        state,
    };
    // Held until the end of the examination.
    let lock = match hold(&beside(path, ".lock")) {
        Ok(lock) => lock,
        Err(holder) => return Ok(seen(StoreState::Held(holder))),
    };
    // SQLite creates these while reading, empty, if they are missing; so would the next start.
    let made = ["-shm", "-wal"].map(|suffix| beside(path, suffix));
    let made: Vec<_> = made.into_iter().filter(|file| !file.exists()).collect();
    let state = examine(path);
    // Without the lock they may belong to a hub that starts at this moment.
    for file in made.iter().filter(|_| lock.is_some()) {
        let _ = fs::remove_file(file);
    }
    Ok(seen(state?))
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
