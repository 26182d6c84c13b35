//! The SQLite file of the Python version, which is only read.
//!
//! SQLite would write next to the file: the index of its log, and the log itself when the last connection closes. So a file
//! without a log is opened as one that cannot change, and of any other a copy in the store's directory is read.

use super::LegacyError;
use super::row::{SourceRow, SourceText, TextLimits};
use crate::foreign::CountOurs;
use crate::lock::beside;
use crate::open;
use crate::sql::{self, RowReader, statement};
use diesel::connection::LoadConnection;
use diesel::{QueryResult, SqliteConnection, sql_query};
use rustix::process::getpid;
use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

/// The files next to a database that have changes which are not in it.
const LOGS: [&str; 2] = ["-wal", "-journal"];

statement! {
    /// The columns of the table of tasks.
    SelectColumns {} "SELECT name FROM pragma_table_info('tasks')"
}

statement! {
    /// The number of tasks.
    CountTasks {} "SELECT count(*) FROM tasks"
}

statement! {
    /// The highest id that the Python version has given out.
    SelectSequence {} "SELECT CAST(seq AS INTEGER) FROM sqlite_sequence WHERE name = 'tasks'"
}

/// The file, opened for reading.
pub(super) struct LegacyFile {
    conn: SqliteConnection,
    columns: Vec<String>,
    /// The number of rows.
    pub rows: u64,
    /// The highest id that was given out, also of deleted tasks; 0 if that is unknown.
    pub last_id: i64,
    // Dropped after the connection.
    _copy: Option<Copies>,
}

/// The name of a copy, in a folder of its own.
const COPY: &str = "legacy.db";

/// A folder with copies; removed when dropped.
struct Copies(PathBuf);

impl Drop for Copies {
    fn drop(&mut self) {
        remove_copies(&self.0);
    }
}

impl LegacyFile {
    /// Opens the file, by its real path: SQLite keeps the log next to that. `scratch`: the beginning of the name of a folder for a copy,
    /// which is needed if the file has a log.
    ///
    /// # Errors
    /// A process has it open, it cannot be read, or it is not a file of the Python version.
    pub fn open(path: &Path, scratch: &Path) -> Result<LegacyFile, LegacyError> {
        let unfit = |why: String| LegacyError::Unfit {
            path: path.to_owned(),
            why,
        };
        let cannot_read = |why: &dyn std::fmt::Display| unfit(format!("it cannot be read: {why}"));
        match fs::metadata(path) {
            Ok(meta) if meta.is_file() => {}
            Ok(_) => return Err(unfit("it is not a file".to_owned())),
            Err(why) => return Err(cannot_read(&why)),
        }
        if let Some(holder) = holder_of(path) {
            return Err(LegacyError::InUse {
                path: path.to_owned(),
                holder,
            });
        }
        let (mut conn, copy) = match has_log(path) {
            false => (
                open::read_alone(path).map_err(|why| cannot_read(&why))?,
                None,
            ),
            true => {
                let (copied, copy) = copies(path, scratch).map_err(|why| {
                    unfit(format!(
                        "it has a log, and cannot be copied to {}: {why}",
                        scratch.display()
                    ))
                })?;
                let conn = open::copy_of_other(&copied).map_err(|why| cannot_read(&why))?;
                (conn, Some(copy))
            }
        };
        let columns: Vec<String> =
            sql::all(&mut conn, SelectColumns {}).map_err(|why| cannot_read(&why))?;
        let own: Option<i64> =
            sql::first(&mut conn, CountOurs {}).map_err(|why| cannot_read(&why))?;
        if own != Some(0) {
            return Err(unfit(
                "it is a store of this version; `kirosu restore` puts it in place".to_owned(),
            ));
        }
        for needed in ["task_id", "prompt", "status"] {
            if !columns.iter().any(|column| column == needed) {
                return Err(unfit(format!(
                    "it is not a database of the Python version: it has no column tasks.{needed}"
                )));
            }
        }
        let rows: Option<u64> =
            sql::first(&mut conn, CountTasks {}).map_err(|why| cannot_read(&why))?;
        // The table exists if any table has AUTOINCREMENT.
        let last_id: Option<i64> = sql::first(&mut conn, SelectSequence {}).unwrap_or_default();
        Ok(LegacyFile {
            conn,
            columns,
            rows: rows.unwrap_or(0),
            last_id: last_id.unwrap_or(0),
            _copy: copy,
        })
    }

    /// Reads all rows in the order of their ids, one at a time, until `visit` answers an error.
    ///
    /// # Errors
    /// The file is damaged, or the error of `visit`.
    pub fn visit<E: From<diesel::result::Error>>(
        &mut self,
        limits: TextLimits,
        mut visit: impl FnMut(SourceRow) -> Result<(), E>,
    ) -> Result<(), E> {
        let query = sql_query(select(&self.columns, limits));
        for row in self.conn.load(query)? {
            visit(read(&row?)?)?;
        }
        Ok(())
    }
}

/// The query of all rows. Of a text its length, and its bytes unless it is empty or longer than the limit; a column that
/// is missing is null.
fn select(columns: &[String], limits: TextLimits) -> String {
    let given = |name: &str| match columns.iter().any(|column| column == name) {
        true => name.to_owned(),
        false => "NULL".to_owned(),
    };
    let number = |name| {
        let column = given(name);
        format!("CASE WHEN typeof({column}) IN ('integer', 'real') THEN CAST({column} AS REAL) END")
    };
    let text = |(name, most): (&str, usize)| {
        let column = given(name);
        format!(
            "octet_length({column}), CASE WHEN octet_length({column}) BETWEEN 1 AND {most} THEN CAST({column} AS BLOB) END"
        )
    };
    let texts = [
        ("status", limits.name),
        ("type", limits.name),
        ("worker_id", limits.name),
        ("prompt", limits.prompt),
        ("system_prompt", limits.prompt),
        ("result", limits.result),
        ("error", limits.result),
    ];
    format!(
        "SELECT CAST(task_id AS INTEGER), {}, {}, {} FROM tasks ORDER BY task_id",
        number("created_at"),
        number("updated_at"),
        texts.map(text).join(", ")
    )
}

fn read<'a>(row: &impl diesel::row::Row<'a, diesel::sqlite::Sqlite>) -> QueryResult<SourceRow> {
    let mut columns = RowReader::of(row);
    let id: Option<i64> = columns.read()?;
    let (created_at, updated_at) = (columns.read()?, columns.read()?);
    let mut text = || -> QueryResult<SourceText> {
        let (bytes, text): (Option<u64>, Option<Vec<u8>>) = columns.read()?;
        Ok(match (bytes, text) {
            (None, _) => SourceText::Null,
            (Some(0), _) => SourceText::Text(String::new()),
            (Some(bytes), None) => SourceText::TooLong(bytes),
            (Some(_), Some(text)) => match String::from_utf8(text) {
                Ok(text) => SourceText::Text(text),
                Err(_) => SourceText::NotUtf8,
            },
        })
    };
    Ok(SourceRow {
        id: id.unwrap_or(0),
        created_at,
        updated_at,
        status: text()?,
        task_type: text()?,
        worker: text()?,
        prompt: text()?,
        system_prompt: text()?,
        result: text()?,
        error: text()?,
    })
}

fn has_log(path: &Path) -> bool {
    let has_bytes = |suffix| fs::metadata(beside(path, suffix)).is_ok_and(|meta| meta.len() > 0);
    LOGS.iter().any(|suffix| has_bytes(suffix))
}

/// Copies the file and its logs into a new folder that only this user can read.
fn copies(path: &Path, scratch: &Path) -> io::Result<(PathBuf, Copies)> {
    remove_left(scratch);
    let folder = beside(scratch, &format!("-{}", std::process::id()));
    DirBuilder::new().mode(0o700).create(&folder)?;
    let copied = folder.join(COPY);
    let copies = Copies(folder);
    fs::copy(path, &copied)?;
    for suffix in LOGS {
        match fs::copy(beside(path, suffix), beside(&copied, suffix)) {
            Err(why) if why.kind() != io::ErrorKind::NotFound => return Err(why),
            _ => {}
        }
    }
    Ok((copied, copies))
}

/// Removes what killed imports have left behind: folders of this name and the id of a process that has ended.
fn remove_left(scratch: &Path) {
    let name = scratch.file_name().unwrap_or_default().to_string_lossy();
    let entries = scratch.parent().map(fs::read_dir);
    for entry in entries.into_iter().flatten().flatten().flatten() {
        let found = entry.file_name();
        let id = found
            .to_str()
            .and_then(|found| found.strip_prefix(&*name)?.strip_prefix('-')?.parse().ok());
        let has_ended =
            |id: u32| id == std::process::id() || !Path::new("/proc").join(id.to_string()).exists();
        if id.is_some_and(has_ended) {
            remove_copies(&entry.path());
        }
    }
}

/// Removes a folder with copies, and nothing else that may be in it.
fn remove_copies(folder: &Path) {
    let copy = folder.join(COPY);
    for suffix in ["", "-shm"].iter().chain(&LOGS) {
        let _ = fs::remove_file(beside(&copy, suffix));
    }
    let _ = fs::remove_dir(folder);
}

/// The process id of another process that has the file open, as far as this user can see that (`/proc`).
fn holder_of(path: &Path) -> Option<i32> {
    let file = fs::metadata(path).ok()?;
    let own = getpid().as_raw_nonzero().get();
    let pids = fs::read_dir("/proc").ok()?.flatten();
    let pids = pids.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    pids.filter(|pid| *pid != own).find(|pid| {
        let Ok(open) = fs::read_dir(format!("/proc/{pid}/fd")) else {
            return false;
        };
        let mut open = open.flatten().filter_map(|fd| fs::metadata(fd.path()).ok());
        open.any(|it| (it.dev(), it.ino()) == (file.dev(), file.ino()))
    })
}
