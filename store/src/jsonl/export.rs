//! The export: every row of every table.

use super::line::{End, FORMAT, Head, VERSION, row_line};
use super::{JsonlError, unreadable};
use crate::foreign;
use crate::generation;
use crate::inspect;
use crate::open;
use crate::schema::{self, Schema};
use crate::sql::{self, RowReader, statement};
use diesel::connection::LoadConnection;
use diesel::{SqliteConnection, sql_query};
use std::io::Write;
use std::path::Path;

statement! {
    /// The tables with rows of the store. `sqlite_sequence` has the ids that a table has given out.
    SelectTables {}
    "SELECT name FROM sqlite_schema WHERE type = 'table' AND name <> '__diesel_schema_migrations' \
     AND (name NOT LIKE 'sqlite\\_%' ESCAPE '\\' OR name = 'sqlite_sequence') ORDER BY name"
}

statement! {
    /// The columns of a table.
    SelectColumns<'a> { table: &'a str } "SELECT name FROM pragma_table_info(?)"
}

/// The names of the tables.
pub(super) fn tables(conn: &mut SqliteConnection) -> diesel::QueryResult<Vec<String>> {
    sql::all(conn, SelectTables {})
}

/// The names of a table's columns.
pub(super) fn columns(
    conn: &mut SqliteConnection,
    table: &str,
) -> diesel::QueryResult<Vec<String>> {
    sql::all(conn, SelectColumns { table })
}

/// Writes the store with this database file, which must exist and which no hub may have. Memory does not depend on the number
/// of rows. `progress` gets the rows so far and all rows. Returns the number of rows.
///
/// # Errors
/// A hub has the store; it cannot be read, or the hub of this version has not migrated it yet; the lines cannot be written.
pub fn export_jsonl(
    path: &Path,
    out: &mut dyn Write,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<u64, JsonlError> {
    let path = &*foreign::real_path(path);
    // The lock is held until the last row is written.
    let exported = inspect::alone(path, |path| {
        generation::examine(path)?;
        let conn = open::read_only(path)?;
        Ok(export_file(conn, path, out, progress))
    })?;
    exported
        .map_err(|holder| inspect::locked(path, holder))
        .flatten()?
}

fn export_file(
    mut conn: SqliteConnection,
    path: &Path,
    out: &mut dyn Write,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<u64, JsonlError> {
    let schema = current_schema(&mut conn, path)?;
    let conn = &mut conn;
    let mut counted = Vec::new();
    for table in tables(conn).map_err(unreadable(path))? {
        let columns = columns(conn, &table).map_err(unreadable(path))?;
        let rows = count(conn, &table).map_err(unreadable(path))?;
        counted.push((table, columns, rows));
    }
    let all = counted.iter().map(|(_, _, rows)| rows).sum();
    let head = Head {
        format: FORMAT.to_owned(),
        version: VERSION,
        schema,
    };
    write_line(out, &head)?;
    let mut written = 0;
    for (table, columns, _) in &counted {
        let query = sql_query(select(table, columns));
        for row in conn.load(query).map_err(unreadable(path))? {
            let row: String = row
                .and_then(|row| RowReader::of(&row).read_last())
                .map_err(unreadable(path))?;
            out.write_all(row_line(table, &row).as_bytes())
                .map_err(JsonlError::Write)?;
            written += 1;
            progress(written, all);
        }
    }
    let end = End {
        end: true,
        rows: written,
    };
    write_line(out, &end)?;
    out.flush().map_err(JsonlError::Write)?;
    Ok(written)
}

fn write_line(out: &mut dyn Write, line: &impl serde::Serialize) -> Result<(), JsonlError> {
    let mut text = serde_json::to_vec(line).map_err(|why| JsonlError::Write(why.into()))?;
    text.push(b'\n');
    out.write_all(&text).map_err(JsonlError::Write)
}

/// The newest migration of a file that has all of this version.
fn current_schema(conn: &mut SqliteConnection, path: &Path) -> Result<String, JsonlError> {
    match schema::compare(conn, path)? {
        Schema::Behind(0) => {}
        Schema::Newer(found) => {
            let path = path.to_owned();
            return Err(crate::OpenError::Newer { path, found }.into());
        }
        Schema::Behind(_) | Schema::Foreign => {
            return Err(JsonlError::Unreadable {
                path: path.to_owned(),
                why: "a hub of this version has not migrated it yet: start `kirosu hub` on it once"
                    .to_owned(),
            });
        }
    }
    let newest = schema::known(path)?;
    let newest = newest.iter().map(|it| it.name().version().to_string());
    Ok(newest.max().unwrap_or_default())
}

fn count(conn: &mut SqliteConnection, table: &str) -> diesel::QueryResult<u64> {
    let query = sql_query(format!("SELECT count(*) FROM \"{table}\""));
    match conn.load(query)?.next() {
        Some(row) => RowReader::of(&row?).read_last(),
        None => Ok(0),
    }
}

/// The query of all rows of a table, each as a JSON object. The names are those of the schema.
fn select(table: &str, columns: &[String]) -> String {
    let fields: Vec<String> = columns
        .iter()
        .map(|column| format!("'{column}', \"{column}\""))
        .collect();
    format!("SELECT json_object({}) FROM \"{table}\"", fields.join(", "))
}
