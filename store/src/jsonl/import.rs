//! The import: a new file with the schema of the export, its rows, and the migrations since. Then the file takes the place of the
//! store as a backup does (`restore`), so that the ids and fences of a later past are not given out again.

use super::JsonlError;
use super::export::{columns, tables};
use super::line::{End, FORMAT, Head, RowLine, VERSION};
use crate::backup::Part;
use crate::check;
use crate::foreign;
use crate::inspect;
use crate::lock::beside;
use crate::open;
use crate::restore::{RestoreReport, restore};
use crate::schema;
use crate::sql::{self, statement};
use diesel::connection::SimpleConnection;
use diesel::sql_types::{BigInt, Double, Nullable, Text};
use diesel::sqlite::Sqlite;
use diesel::{RunQueryDsl, SqliteConnection, sql_query};
use serde_json::{Map, Value};
use std::collections::HashMap;
use std::io::{BufRead, Read};
use std::path::Path;

/// The longest line in bytes: no text of SQLite is longer (1,000,000,000 bytes by default), and escapes of JSON add to it.
const LINE_BYTES: u64 = 1 << 30;

/// SQLite's table of the highest ids that tables have given out. Its names are not unique to SQLite.
const SEQUENCE: &str = "sqlite_sequence";

statement! {
    /// Removes the highest id that a table has given out.
    DeleteSequence<'a> { name: &'a str } "DELETE FROM sqlite_sequence WHERE name = ?"
}

/// The result of an import.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JsonlImport {
    /// The number of rows.
    pub rows: u64,
    /// The number of tasks.
    pub tasks: u64,
    /// The files that were replaced; `None` if the file was only examined.
    pub placed: Option<RestoreReport>,
}

/// Choices of an import.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JsonlTarget<'a> {
    /// The database file of the store.
    pub path: &'a Path,
    /// Part of the names of replaced files.
    pub stamp: &'a str,
    /// Whether an existing store is replaced.
    pub replace: bool,
    /// Whether to do everything except put the file in place.
    pub dry_run: bool,
}

/// Reads an export and makes it the store. `progress` gets the rows so far. Memory does not depend on the number of rows; the disk of
/// the store needs twice the size of the new file for the time of the import.
///
/// # Errors
/// A hub has the store, or there is one; the export cannot be read, was cut off, is of a newer version, or its rows do
/// not belong together; the disk failed. The store is then unchanged.
pub fn import_jsonl(
    input: &mut dyn BufRead,
    target: &JsonlTarget<'_>,
    progress: &mut dyn FnMut(u64),
) -> Result<JsonlImport, JsonlError> {
    let store = &*foreign::real_path(target.path);
    let last_id = inspect::last_id(store)?;
    // Also one without tasks may have keys and schedules.
    if !target.replace && store.exists() {
        let path = store.to_owned();
        return Err(JsonlError::NotEmpty { path, last_id });
    }
    open::make_directory(store)?;
    let part = Part(beside(store, &format!(".import-{}", std::process::id())));
    let rows = write_file(&part.0, ExportLines::of(input), progress)?;
    let checked = check::check(&part.0)?;
    if !checked.findings.is_empty() {
        let findings = checked.findings;
        return Err(JsonlError::Unsound { findings });
    }
    let placed = match target.dry_run {
        true => None,
        false => Some(restore(&part.0, store, target.stamp)?),
    };
    Ok(JsonlImport {
        rows,
        tasks: checked.tasks,
        placed,
    })
}

/// The lines of an export, with their numbers.
struct ExportLines<'a> {
    input: &'a mut dyn BufRead,
    number: u64,
}

impl ExportLines<'_> {
    fn of(input: &mut dyn BufRead) -> ExportLines<'_> {
        ExportLines { input, number: 0 }
    }

    /// The next line; `None` at the end.
    fn next(&mut self) -> Result<Option<String>, JsonlError> {
        let mut line = Vec::new();
        let mut bounded = (&mut *self.input).take(LINE_BYTES + 1);
        bounded
            .read_until(b'\n', &mut line)
            .map_err(JsonlError::Read)?;
        if line.is_empty() {
            return Ok(None);
        }
        self.number += 1;
        if line.len() as u64 > LINE_BYTES {
            return Err(self.fault(format!("it is longer than {LINE_BYTES} bytes")));
        }
        String::from_utf8(line)
            .map(Some)
            .map_err(|_| self.fault("it is not UTF-8".to_owned()))
    }

    /// The error of the present line.
    fn fault(&self, why: String) -> JsonlError {
        JsonlError::Line {
            line: self.number,
            why,
        }
    }
}

/// Writes the rows into a new file and brings its schema up to date. Returns their number.
fn write_file(
    part: &Path,
    mut lines: ExportLines<'_>,
    progress: &mut dyn FnMut(u64),
) -> Result<u64, JsonlError> {
    let scratch = |why: &dyn std::fmt::Display| JsonlError::Scratch {
        path: part.to_owned(),
        why: why.to_string(),
    };
    let schema = read_head(&mut lines)?;
    let _ = std::fs::remove_file(part);
    let mut conn = open::new_file(part)?;
    if !schema::migrate_to(&mut conn, part, &schema)? {
        return Err(lines.fault(format!(
            "the export has the schema {schema}, which this version of Kirosu does not know: use the version that wrote it, or a newer one"
        )));
    }
    conn.batch_execute("BEGIN").map_err(|why| scratch(&why))?;
    let rows = write_rows(&mut conn, part, &mut lines, progress)?;
    conn.batch_execute("COMMIT").map_err(|why| scratch(&why))?;
    schema::migrate(&mut conn, part)?;
    drop(conn);
    open::mark_as_backup(part).map_err(|why| scratch(&why))?;
    Ok(rows)
}

fn read_head(lines: &mut ExportLines<'_>) -> Result<String, JsonlError> {
    let first = lines.next()?.unwrap_or_default();
    match serde_json::from_str::<Head>(&first) {
        Ok(head) if head.format == FORMAT && head.version == VERSION => Ok(head.schema),
        Ok(head) if head.format == FORMAT => Err(lines.fault(format!(
            "version {} of the format is not known, only {VERSION}",
            head.version
        ))),
        _ => Err(JsonlError::Line {
            line: 1,
            why: "it is not the first line of an export of `kirosu db export`".to_owned(),
        }),
    }
}

/// Writes all rows up to the last line. Returns their number.
fn write_rows(
    conn: &mut SqliteConnection,
    part: &Path,
    lines: &mut ExportLines<'_>,
    progress: &mut dyn FnMut(u64),
) -> Result<u64, JsonlError> {
    let what = "its schema cannot be read";
    let mut known = HashMap::new();
    for table in tables(conn).map_err(open::database(part, what))? {
        let columns = columns(conn, &table).map_err(open::database(part, what))?;
        // Migrations make rows, too, such as counters.
        conn.batch_execute(&format!("DELETE FROM \"{table}\""))
            .map_err(open::database(part, what))?;
        known.insert(table, columns);
    }
    let mut rows = 0;
    while let Some(line) = lines.next()? {
        match serde_json::from_str::<RowLine>(&line) {
            Ok(row) => {
                insert(conn, &known, row).map_err(|why| lines.fault(why))?;
                rows += 1;
                progress(rows);
            }
            Err(why) => {
                return read_end(lines, &line, rows)
                    .ok_or_else(|| lines.fault(format!("it is not a row: {why}")))?;
            }
        }
    }
    Err(JsonlError::CutOff { rows })
}

/// The number of rows, if the line is the last one.
fn read_end(lines: &mut ExportLines<'_>, line: &str, rows: u64) -> Option<Result<u64, JsonlError>> {
    let end = serde_json::from_str::<End>(line).ok()?;
    if end.rows != rows {
        let why = format!("the export should have {} rows, not {rows}", end.rows);
        return Some(Err(lines.fault(why)));
    }
    Some(match lines.next() {
        Ok(None) => Ok(rows),
        Ok(Some(_)) => {
            Err(lines.fault("there is text after the last line of the export".to_owned()))
        }
        Err(error) => Err(error),
    })
}

/// Writes one row. The error is a clause.
fn insert(
    conn: &mut SqliteConnection,
    known: &HashMap<String, Vec<String>>,
    row: RowLine,
) -> Result<(), String> {
    let RowLine { table, row } = row;
    let columns = known
        .get(&table)
        .ok_or_else(|| format!("there is no table {table:?}"))?;
    if let Some(other) = row.keys().find(|key| !columns.contains(key)) {
        return Err(format!("the table {table} has no column {other:?}"));
    }
    if let Some(missing) = columns.iter().find(|it| !row.contains_key(*it)) {
        return Err(format!(
            "the column {missing} of the table {table} is missing"
        ));
    }
    if table == SEQUENCE {
        // SQLite makes the row when it adds the first row of the table that it counts for.
        let name = row["name"].as_str().unwrap_or_default();
        sql::run(conn, DeleteSequence { name }).map_err(|why| why.to_string())?;
    }
    run_insert(conn, &table, columns, &row).map_err(|why| format!("SQLite refuses it: {why}"))
}

fn run_insert(
    conn: &mut SqliteConnection,
    table: &str,
    columns: &[String],
    row: &Map<String, Value>,
) -> Result<(), String> {
    let marks = vec!["?"; columns.len()].join(", ");
    // Only names of the schema are in the text.
    let text = format!("INSERT INTO \"{table}\" VALUES ({marks})");
    let mut query = sql_query(text).into_boxed::<Sqlite>();
    for column in columns {
        query = match &row[column] {
            Value::Null => query.bind::<Nullable<Text>, _>(None::<String>),
            Value::String(text) => query.bind::<Text, _>(text.clone()),
            Value::Number(number) => match (number.as_i64(), number.as_f64()) {
                (Some(whole), _) => query.bind::<BigInt, _>(whole),
                (None, Some(real)) if number.is_f64() => query.bind::<Double, _>(real),
                _ => return Err(format!("{number} is out of range")),
            },
            _ => {
                return Err(format!(
                    "the value of {column} is not a text, number or null"
                ));
            }
        };
    }
    query.execute(conn).map(drop).map_err(|why| why.to_string())
}
