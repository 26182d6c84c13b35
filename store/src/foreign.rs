//! Whether a file may be the store. Files of other programs are not touched.

use crate::error::OpenError;
use crate::lock::beside;
use crate::open;
use crate::sql::{self, statement};
use std::fs::{self, File};
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

/// The first bytes of every SQLite file.
const MAGIC: &[u8] = b"SQLite format 3\0";

statement! {
    /// The number of tables, without that of the migrations, which a start creates first.
    CountTables {}
    "SELECT count(*) FROM sqlite_schema
     WHERE type = 'table' AND name NOT IN ('__diesel_schema_migrations', 'sqlite_sequence', 'sqlite_stat1')"
}

statement! {
    /// Whether it has a table that only a store has.
    CountOurs {} "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = 'task_input'"
}

statement! {
    /// Whether it has the tables of the Python version.
    CountLegacy {} "SELECT count(*) FROM pragma_table_info('tasks') WHERE name IN ('task_id', 'prompt', 'status', 'worker_id')"
}

/// The file to which a path leads, with links resolved. Lock and log of a store are in the directory of the file
/// itself, so that a hub that opens the path and one that opens a link to it conflict. A dangling link means the file
/// that it names.
pub(crate) fn real_path(path: &Path) -> PathBuf {
    match fs::canonicalize(path) {
        Ok(real) => real,
        Err(_) => match fs::read_link(path) {
            // One step is enough: such a link was made by a person for a store to be created.
            Ok(target) => path.parent().unwrap_or(Path::new("")).join(target),
            Err(_) => path.to_owned(),
        },
    }
}

/// Refuses an existing file that is not a store.
///
/// # Errors
/// It is not a file, not a database, or has tables but none of a store.
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
        // Created by a start that failed early, or by a person.
        [] => Ok(()),
        MAGIC => other_content(path).map_or(Ok(()), |what| Err(other(what))),
        _ => Err(other("not a database")),
    }
}

/// Its content, if it has tables, but none of a store. A file that cannot be read may be a damaged store or one that a hub
/// has open; opening it reports that.
fn other_content(path: &Path) -> Option<&'static str> {
    let has_log = fs::metadata(beside(path, "-wal")).is_ok_and(|it| it.len() > 0);
    let count = || {
        let mut conn = open::untouched(path, has_log).ok()?;
        let tables: i64 = sql::first(&mut conn, CountTables {}).ok()??;
        let ours: i64 = sql::first(&mut conn, CountOurs {}).ok()??;
        let legacy: i64 = sql::first(&mut conn, CountLegacy {}).ok()??;
        Some((tables, ours, legacy))
    };
    let index = beside(path, "-shm");
    let had_index = index.exists();
    let counted = count();
    if !had_index {
        // Reading a file with a log creates it and leaves it behind.
        let _ = fs::remove_file(index);
    }
    match counted? {
        (1.., 0, 4) => Some(
            "a database of the Python version, whose tasks `kirosu db import-legacy` brings into a new store",
        ),
        (1.., 0, _) => Some("a database of another program"),
        _ => None,
    }
}
