//! Whether a file may be the store: what belongs to another program is not touched.

use crate::error::OpenError;
use crate::lock::beside;
use crate::open;
use crate::sql::{self, statement};
use std::fs::{self, File};
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

/// What every SQLite file begins with.
const MAGIC: &[u8] = b"SQLite format 3\0";

statement! {
    /// Tables beside that of the schema's steps, which a start makes first.
    CountTables {}
    "SELECT count(*) FROM sqlite_schema
     WHERE type = 'table' AND name NOT IN ('__diesel_schema_migrations', 'sqlite_sequence', 'sqlite_stat1')"
}

statement! {
    /// Whether it has a table that only a store has.
    CountOurs {} "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = 'task_input'"
}

/// The file that a path means, links followed: the lock and the log of a store are beside the file itself, so that a hub
/// that names it and one that names a link to it meet. A link to nothing means the file that it names.
pub(crate) fn real_path(path: &Path) -> PathBuf {
    match fs::canonicalize(path) {
        Ok(real) => real,
        Err(_) => match fs::read_link(path) {
            // One step is enough for a link that a person has made for a store that comes later.
            Ok(target) => path.parent().unwrap_or(Path::new("")).join(target),
            Err(_) => path.to_owned(),
        },
    }
}

/// Refuses what is there and is not a store.
///
/// # Errors
/// It is not a file, not a database, or has tables and none of ours.
pub(crate) fn check(path: &Path) -> Result<(), OpenError> {
    let other = |what| OpenError::NotAStore {
        path: path.to_owned(),
        what,
    };
    let io = |source| OpenError::Io {
        path: path.to_owned(),
        what: "it cannot be read",
        source,
    };
    let found = match fs::metadata(path) {
        Ok(found) => found,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(io(error)),
    };
    if !found.is_file() {
        return Err(other(match found.is_dir() {
            true => "a folder",
            false => "not a regular file",
        }));
    }
    let mut head = Vec::new();
    let file = File::open(path).map_err(io)?;
    file.take(MAGIC.len() as u64)
        .read_to_end(&mut head)
        .map_err(io)?;
    match head.as_slice() {
        // Made by a start that came no further, or by a person.
        [] => Ok(()),
        MAGIC => match has_other_tables(path) {
            true => Err(other("a database of another program")),
            false => Ok(()),
        },
        _ => Err(other("not a database")),
    }
}

/// Whether it has tables, and none of a store. What cannot be read may be a damaged store, or one that a hub has; opening it
/// says so.
fn has_other_tables(path: &Path) -> bool {
    let has_log = fs::metadata(beside(path, "-wal")).is_ok_and(|it| it.len() > 0);
    let count = || {
        let mut conn = open::untouched(path, has_log).ok()?;
        let tables: i64 = sql::first(&mut conn, CountTables {}).ok()??;
        let ours: i64 = sql::first(&mut conn, CountOurs {}).ok()??;
        Some((tables, ours))
    };
    count().is_some_and(|(tables, ours)| tables > 0 && ours == 0)
}
