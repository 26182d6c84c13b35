//! The whole contents of a file as text, read by SQL without the store.

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::sql_query;
use diesel::sql_types::Text;
use std::path::Path;

#[derive(QueryableByName)]
struct Line {
    #[diesel(sql_type = Text)]
    line: String,
}

fn connect(path: &Path) -> SqliteConnection {
    let mut conn = SqliteConnection::establish(&path.to_string_lossy()).unwrap();
    conn.batch_execute("PRAGMA busy_timeout = 5000").unwrap();
    conn
}

fn lines(conn: &mut SqliteConnection, query: &str) -> Vec<String> {
    let rows: Vec<Line> = sql_query(query).load(conn).unwrap();
    rows.into_iter().map(|row| row.line).collect()
}

/// Every row of every table, ordered, without the number of starts.
pub fn contents(path: &Path) -> String {
    let conn = &mut connect(path);
    let tables = lines(
        conn,
        "SELECT name AS line FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name",
    );
    let mut all = String::new();
    for table in tables {
        let columns = lines(
            conn,
            &format!(
                "SELECT 'quote(\"' || name || '\")' AS line FROM pragma_table_info('{table}')"
            ),
        );
        let row = columns.join(" || ',' || ");
        for line in lines(
            conn,
            &format!("SELECT {row} AS line FROM {table} ORDER BY line"),
        ) {
            if line.starts_with("'generation'") {
                // Each examination of the file is a start of its own.
                continue;
            }
            all += &format!("{table}: {line}\n");
        }
    }
    all
}

/// The result of `PRAGMA integrity_check`.
pub fn integrity(path: &Path) -> String {
    let query = "SELECT integrity_check AS line FROM pragma_integrity_check";
    lines(&mut connect(path), query).join("\n")
}

/// The stored counters of tasks by lane and state.
pub fn kept_counts(path: &Path) -> Vec<String> {
    let states = "queued blocked scheduled awaiting_approval leased done failed cancelled";
    let each = states.split(' ').enumerate().map(|(number, name)| {
        format!("SELECT id || ' ' || {number} || ' ' || {name} AS line FROM lane WHERE {name} <> 0")
    });
    let query = each.collect::<Vec<_>>().join(" UNION ALL ");
    lines(
        &mut connect(path),
        &format!("SELECT line FROM ({query}) ORDER BY line"),
    )
}

/// The same numbers, counted.
pub fn real_counts(path: &Path) -> Vec<String> {
    let query = "SELECT lane || ' ' || state || ' ' || count(*) AS line FROM task GROUP BY lane, state ORDER BY line";
    lines(&mut connect(path), query)
}

/// Copies the log into the database without waiting for readers, as SQLite does by itself now and then; the next commit
/// then restarts the log from its beginning.
pub fn passive_checkpoint(path: &Path) {
    let conn = &mut connect(path);
    sql_query("PRAGMA wal_checkpoint(PASSIVE)")
        .execute(conn)
        .unwrap();
}
