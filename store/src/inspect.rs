//! A look at a store from outside, for `kirosu doctor`: reads, changes nothing, and leaves a hub's store to its hub.
//!
//! A running hub keeps other processes from its file, so of such a store only the holder is told. Of one that nobody has,
//! the lock is held as long as the look takes: a hub that starts meanwhile says that it is taken, and is not disturbed.

use crate::error::OpenError;
use crate::foreign;
use crate::lock::beside;
use crate::open;
use crate::sql::{self, statement};
use diesel::migration::MigrationSource;
use diesel::sqlite::Sqlite;
use diesel_migrations::MigrationHarness;
use rustix::fs::{FlockOperation, flock};
use std::fs::{self, File};
use std::io::Read;
use std::path::Path;

/// Larger files are not read through.
const CHECKED_BYTES: u64 = 4 << 30;

statement! {
    /// Whether the file is sound, but for what only a comparison of indexes and tables would find.
    QuickCheck {} "PRAGMA quick_check(3)"
}

/// What was seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inspection {
    /// Bytes of the database file.
    pub bytes: u64,
    /// Bytes of its write-ahead log.
    pub log_bytes: u64,
    /// What a look into the file found.
    pub state: StoreState,
}

/// What a look into the file found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoreState {
    /// A hub has it: this process.
    Held(String),
    /// It is sound. `pending`: steps of the schema that the next start will make.
    Sound {
        /// How many.
        pending: usize,
        /// False: it is too large to be read through.
        checked: bool,
    },
    /// It is from a later version of the hub.
    Newer(String),
    /// It is damaged: SQLite's words.
    Damaged(String),
}

/// Looks at the store with this database file, which must be there.
///
/// # Errors
/// It cannot be read, or is no database.
pub fn inspect(path: &Path) -> Result<Inspection, OpenError> {
    let path = &*foreign::real_path(path);
    foreign::check(path)?;
    let size = |path: &Path| fs::metadata(path).map_or(0, |meta| meta.len());
    let seen = |state| Inspection {
        bytes: size(path),
        log_bytes: size(&beside(path, "-wal")),
        state,
    };
    // Held to the end of the look.
    let lock = match hold(&beside(path, ".lock")) {
        Ok(lock) => lock,
        Err(holder) => return Ok(seen(StoreState::Held(holder))),
    };
    // SQLite makes these for the look, empty, where they are not there; so would the next start.
    let made = ["-shm", "-wal"].map(|suffix| beside(path, suffix));
    let made: Vec<_> = made.into_iter().filter(|file| !file.exists()).collect();
    let state = look(path);
    // Without the lock they may be those of a hub that starts at this moment.
    for file in made.iter().filter(|_| lock.is_some()) {
        let _ = fs::remove_file(file);
    }
    Ok(seen(state?))
}

/// The lock, where there is a lock file; else nobody ever had the store. Or who has it.
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

fn look(path: &Path) -> Result<StoreState, OpenError> {
    let mut conn = open::read_only(path)?;
    let failed = |what| open::database(path, what);
    let applied = conn
        .applied_migrations()
        .map_err(failed("its schema cannot be read"))?;
    let known = MigrationSource::<Sqlite>::migrations(&open::MIGRATIONS)
        .map_err(failed("its schema cannot be read"))?;
    let is_known = |version: &_| known.iter().any(|it| it.name().version() == *version);
    if let Some(newest) = applied.iter().max().filter(|newest| !is_known(newest)) {
        return Ok(StoreState::Newer(newest.to_string()));
    }
    let pending = known.len().saturating_sub(applied.len());
    let checked = fs::metadata(path).is_ok_and(|meta| meta.len() <= CHECKED_BYTES);
    if checked {
        let said: Result<Vec<String>, _> = sql::all(&mut conn, QuickCheck {});
        match said {
            Ok(said) if said == ["ok"] => {}
            Ok(said) => return Ok(StoreState::Damaged(said.join("; "))),
            Err(why) => return Ok(StoreState::Damaged(why.to_string())),
        }
    }
    Ok(StoreState::Sound { pending, checked })
}
