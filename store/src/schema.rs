//! The migrations of a file, compared with those of this version and brought up to date.

use crate::error::OpenError;
use crate::open::database;
use diesel::SqliteConnection;
use diesel::migration::{Migration, MigrationSource};
use diesel::sqlite::Sqlite;
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};
use std::path::Path;

pub(crate) const MIGRATIONS: EmbeddedMigrations = embed_migrations!("../migrations");

const UNREADABLE: &str = "its schema cannot be read";

/// The migrations of a file compared with those of this version.
pub(crate) enum Schema {
    /// This many migrations are missing.
    Behind(usize),
    /// The newest migration is of a later version.
    Newer(String),
    /// No migration of a store is in it: it is not a store.
    Foreign,
}

/// The migrations of this version.
pub(crate) fn known(path: &Path) -> Result<Vec<Box<dyn Migration<Sqlite>>>, OpenError> {
    MIGRATIONS.migrations().map_err(database(path, UNREADABLE))
}

/// Compares the migrations of a file with those of this version.
pub(crate) fn compare(conn: &mut SqliteConnection, path: &Path) -> Result<Schema, OpenError> {
    let applied = conn
        .applied_migrations()
        .map_err(database(path, UNREADABLE))?;
    let known = known(path)?;
    let is_known = |version: &_| known.iter().any(|it| it.name().version() == *version);
    if applied.is_empty() {
        return Ok(Schema::Foreign);
    }
    Ok(match applied.iter().max().filter(|it| !is_known(it)) {
        Some(newest) => Schema::Newer(newest.to_string()),
        None => Schema::Behind(known.len().saturating_sub(applied.len())),
    })
}

/// Brings the schema of a file up to date.
///
/// # Errors
/// A newer version has written the file, or it cannot be read or written.
pub(crate) fn migrate(conn: &mut SqliteConnection, path: &Path) -> Result<(), OpenError> {
    if let Schema::Newer(found) = compare(conn, path)? {
        return Err(OpenError::Newer {
            path: path.to_owned(),
            found,
        });
    }
    conn.run_pending_migrations(MIGRATIONS)
        .map_err(database(path, "its schema cannot be brought up to date"))?;
    Ok(())
}

/// Gives a new file the schema that a version with this newest migration had. False, and nothing is done, if that migration is not
/// known.
///
/// # Errors
/// The file cannot be written.
pub(crate) fn migrate_to(
    conn: &mut SqliteConnection,
    path: &Path,
    newest: &str,
) -> Result<bool, OpenError> {
    let mut known = known(path)?;
    known.sort_by(|a, b| a.name().version().cmp(&b.name().version()));
    let Some(last) = known
        .iter()
        .position(|it| it.name().version().to_string() == newest)
    else {
        return Ok(false);
    };
    let what = "its schema cannot be made";
    // Creates the table of the migrations.
    conn.applied_migrations().map_err(database(path, what))?;
    for migration in &known[..=last] {
        conn.run_migration(migration.as_ref())
            .map_err(database(path, what))?;
    }
    Ok(true)
}
