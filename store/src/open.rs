//! Opening connections: pragmas, schema, checks.

use crate::begin;
use crate::error::OpenError;
use crate::generation::{BACKUP, Found, Generation};
use crate::options::{Durability, StoreOptions};
use crate::sql::sets::ExtendLeases;
use crate::sql::{self, statement};
use crate::vfs;
use crate::wal;
use diesel::connection::SimpleConnection;
use diesel::migration::MigrationSource;
use diesel::sqlite::Sqlite;
use diesel::{Connection, SqliteConnection};
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};
use std::fs::{DirBuilder, OpenOptions};
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

pub(crate) const MIGRATIONS: EmbeddedMigrations = embed_migrations!("../migrations");

/// Older versions can corrupt a write-ahead log when a checkpoint and a writer meet.
const OLDEST_SQLITE: [u32; 3] = [3, 51, 3];

/// How long a reader waits for a lock, in milliseconds: it only ever meets the moment of a recovery.
const READER_BUSY_MS: u32 = 5_000;

/// How long the writer waits for readers when it cuts the log back, in milliseconds: nobody is answered meanwhile.
const WRITER_BUSY_MS: u32 = 200;

/// A page's size in bytes, for new files. With one request a commit, each page that a commit changes is written whole to
/// the log: smaller ones save a tenth of its time. Of the many in a large batch they cost nothing (docs/decisions/003).
const PAGE_BYTES: u32 = 2_048;

/// The writer moves the log into the file after this many pages, as far as the checkpointer has not done it before. Measured
/// under a constant load without a checkpointer: 4 MiB cost a third of the throughput, 64 MiB make stalls of a tenth of a
/// second, these 16 MiB of 20 to 30 ms once in a thousand batches.
pub(crate) const CHECKPOINT_PAGES: u32 = 8_000;

statement! {
    /// The linked SQLite's version.
    SelectVersion {} "SELECT sqlite_version()"
}

type Cause = Box<dyn std::error::Error + Send + Sync>;

pub(crate) fn database<E: Into<Cause>>(
    path: &Path,
    what: &'static str,
) -> impl FnOnce(E) -> OpenError {
    move |source| OpenError::Database {
        path: path.to_owned(),
        what,
        source: source.into(),
    }
}

/// Makes the directory of the file, if it is missing, for its owner alone.
pub(crate) fn make_directory(path: &Path) -> Result<(), OpenError> {
    let Some(directory) = path.parent().filter(|d| !d.as_os_str().is_empty()) else {
        return Ok(());
    };
    let made = DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(directory);
    made.map_err(|source| OpenError::Io {
        path: path.to_owned(),
        what: "its directory cannot be made",
        source,
    })
}

/// Makes the file, if it is missing, for its owner alone: prompts and results are nobody else's business. SQLite gives its
/// log the file's mode. One that is there keeps the mode that somebody has given it.
pub(crate) fn make_file(path: &Path) -> Result<(), OpenError> {
    let made = OpenOptions::new()
        .append(true)
        .create_new(true)
        .mode(0o600)
        .open(path);
    match made {
        Err(source) if source.kind() != ErrorKind::AlreadyExists => Err(OpenError::Io {
            path: path.to_owned(),
            what: "it cannot be made",
            source,
        }),
        _ => Ok(()),
    }
}

/// The writer's connection, with the schema up to date, in a new generation.
pub(crate) fn writer(
    options: &StoreOptions,
    found: &Found,
) -> Result<(SqliteConnection, Generation), OpenError> {
    let path = options.path.as_path();
    let mut conn = connect(options)?;
    check_version(&mut conn, path)?;
    conn.batch_execute(&writer_pragmas(options))
        .map_err(database(path, "its settings cannot be made"))?;
    migrate(&mut conn, path)?;
    extend_leases(&mut conn, options).map_err(database(path, "its leases cannot be extended"))?;
    let generation = begin::begin_generation(&mut conn, options, found)?;
    Ok((conn, generation))
}

/// A connection to a store whose disk takes nothing, with what is to be read. It begins no generation that the file knows
/// of, and changes nothing.
pub(crate) fn without_writing(
    options: &StoreOptions,
    found: &Found,
) -> Result<(SqliteConnection, Generation), OpenError> {
    let path = options.path.as_path();
    let mut conn = connect(options)?;
    let what = "its generation cannot be read";
    conn.batch_execute(&pragmas_of_memory(options))
        .map_err(database(path, what))?;
    let what = "its schema cannot be read";
    let pending = conn
        .has_pending_migration(MIGRATIONS)
        .map_err(database(path, what))?;
    if pending {
        return Err(OpenError::Database {
            path: path.to_owned(),
            what: "its schema cannot be brought up to date",
            source: "the disk takes nothing".into(),
        });
    }
    let (generation, _) = begin::next_generation(&mut conn, options, found)?;
    Ok((conn, generation))
}

/// Leases that are alive from before have holders who must find the hub again first.
fn extend_leases(conn: &mut SqliteConnection, options: &StoreOptions) -> diesel::QueryResult<()> {
    let until = options.now_ms + options.restart_grace_ms as i64;
    let below = until;
    sql::run(conn, ExtendLeases { until, below }).map(|_| ())
}

/// A small commit that writes the file's first page and changes nothing that is looked at: SQLite's number for
/// applications, which has no other use here.
pub(crate) fn write_first_page(conn: &mut SqliteConnection) -> diesel::QueryResult<()> {
    let version = sql::first::<i64, _>(conn, sql::tx::UserVersion {})?;
    let next = version.unwrap_or(0) % 1_000_000 + 1;
    conn.batch_execute(&format!("PRAGMA user_version = {next}"))
}

/// The writer's connection again, to a file that `writer` has opened before.
pub(crate) fn writer_again(options: &StoreOptions) -> Result<SqliteConnection, OpenError> {
    let path = options.path.as_path();
    let mut conn = connect(options)?;
    conn.batch_execute(&writer_pragmas(options))
        .map_err(database(path, "its settings cannot be made"))?;
    Ok(conn)
}

/// Opens a file to write to, without any settings.
fn connect(options: &StoreOptions) -> Result<SqliteConnection, OpenError> {
    let layer = match options.durability {
        Durability::Full => match vfs::register() {
            Ok(()) => vfs::NAME,
            Err(code) => {
                tracing::warn!(
                    code,
                    "SQLite does not take the layer that writes its log in one call; commits are slower"
                );
                vfs::PLAIN
            }
        },
        // Such a connection does not sync its log before others may read it.
        Durability::Normal => vfs::PLAIN,
    };
    SqliteConnection::establish(&uri(&options.path, layer))
        .map_err(database(&options.path, "it cannot be opened"))
}

/// The name under which `VACUUM INTO` writes a copy without filling the disk's queue.
///
/// # Errors
/// SQLite's result code, if it does not take the layer for paced files.
pub(crate) fn paced_uri(path: &Path) -> Result<String, std::ffi::c_int> {
    vfs::register()?;
    Ok(uri(path, vfs::PACED))
}

/// A connection that moves the log into the file without filling the disk's queue.
///
/// # Errors
/// SQLite cannot open the file, or does not take the layer for paced files.
pub(crate) fn checkpointer(path: &Path) -> Result<SqliteConnection, String> {
    let uri = paced_uri(path).map_err(|code| format!("SQLite's result code {code}"))?;
    let mut conn = SqliteConnection::establish(&uri).map_err(|error| error.to_string())?;
    // The log's pages count as moved only after the sync of the file, with which the layer writes what it keeps.
    conn.batch_execute(
        "PRAGMA synchronous = FULL; PRAGMA cache_size = -256; PRAGMA mmap_size = 0;",
    )
    .map_err(|error| error.to_string())?;
    Ok(conn)
}

/// The file's name as SQLite's URI: any character may be in a path, and only a URI can name a layer.
fn uri(path: &Path, layer: &str) -> String {
    use std::fmt::Write;
    let mut uri = String::from("file:");
    for byte in path.as_os_str().as_encoded_bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'.' | b'-' | b'_' => {
                uri.push(char::from(*byte))
            }
            // Writing to a string does not fail.
            _ => drop(write!(uri, "%{byte:02x}")),
        }
    }
    uri.push_str("?vfs=");
    uri.push_str(layer);
    uri
}

/// `page_size` and `auto_vacuum` only take effect before the first table, and before the switch to a write-ahead log. On a
/// file that exists they change nothing and still write, so a file on a disk that takes nothing is not opened: what waits
/// for the disk is then known not to have begun.
fn writer_pragmas(options: &StoreOptions) -> String {
    let synchronous = match options.durability {
        Durability::Full => "FULL",
        Durability::Normal => "NORMAL",
    };
    format!(
        "PRAGMA busy_timeout = {WRITER_BUSY_MS};
         PRAGMA page_size = {PAGE_BYTES};
         PRAGMA auto_vacuum = INCREMENTAL;
         PRAGMA journal_mode = WAL;
         PRAGMA synchronous = {synchronous};
         PRAGMA journal_size_limit = {wal};
         PRAGMA wal_autocheckpoint = {pages};
         {memory}",
        wal = options.wal_limit_bytes,
        memory = pragmas_of_memory(options),
        pages = wal::pages_before_checkpoint(&options.path, CHECKPOINT_PAGES, PAGE_BYTES),
    )
}

/// Settings that touch no file.
fn pragmas_of_memory(options: &StoreOptions) -> String {
    format!(
        "PRAGMA cache_size = -{cache};
         PRAGMA temp_store = MEMORY;
         PRAGMA mmap_size = 0;
         PRAGMA foreign_keys = ON;",
        cache = options.cache_bytes / 1024,
    )
}

/// A reader's settings: it never writes, and keeps little in memory.
pub(crate) fn reader(path: &Path) -> Result<SqliteConnection, diesel::ConnectionError> {
    let mut conn = SqliteConnection::establish(&uri(path, vfs::PLAIN))?;
    let pragmas = format!(
        "PRAGMA busy_timeout = {READER_BUSY_MS};
         PRAGMA query_only = ON;
         PRAGMA cache_size = -8192;
         PRAGMA temp_store = MEMORY;
         PRAGMA mmap_size = 0;"
    );
    conn.batch_execute(&pragmas)
        .map_err(diesel::ConnectionError::CouldntSetupConfiguration)?;
    Ok(conn)
}

/// Marks a copy that no hub has opened.
pub(crate) fn mark_as_backup(copy: &Path) -> Result<(), diesel::result::Error> {
    let cannot = |error| diesel::result::Error::DeserializationError(Box::new(error));
    let mut conn = SqliteConnection::establish(&uri(copy, "unix")).map_err(cannot)?;
    conn.batch_execute(&format!("PRAGMA application_id = {BACKUP}"))
}

/// A connection that cannot write at all, to a file that no process has open.
pub(crate) fn read_only(path: &Path) -> Result<SqliteConnection, OpenError> {
    read_only_as(path, "&mode=ro")
}

/// The same to a file alone: whatever log lies beside it is not its own.
pub(crate) fn read_alone(path: &Path) -> Result<SqliteConnection, OpenError> {
    read_only_as(path, "&mode=ro&immutable=1")
}

fn read_only_as(path: &Path, how: &str) -> Result<SqliteConnection, OpenError> {
    // The hub's own layer keeps others out by a lock that only who may write can take.
    let uri = uri(path, "unix") + how;
    let what = "it cannot be opened to be read";
    let mut conn = SqliteConnection::establish(&uri).map_err(database(path, what))?;
    let pragmas = format!("PRAGMA busy_timeout = {READER_BUSY_MS}; PRAGMA query_only = ON;");
    conn.batch_execute(&pragmas).map_err(database(path, what))?;
    Ok(conn)
}

/// A connection that leaves a file as it is, for a look at what it is. Without a log nothing is made beside it either.
pub(crate) fn untouched(
    path: &Path,
    has_log: bool,
) -> Result<SqliteConnection, diesel::ConnectionError> {
    let mut uri = uri(path, "unix") + "&mode=ro";
    if !has_log {
        uri.push_str("&immutable=1");
    }
    SqliteConnection::establish(&uri)
}

fn check_version(conn: &mut SqliteConnection, path: &Path) -> Result<(), OpenError> {
    let found: String = sql::first(conn, SelectVersion {})
        .map_err(database(path, "it cannot be read as a database"))?
        .unwrap_or_default();
    let mut numbers = found
        .split('.')
        .map(|part| part.parse::<u32>().unwrap_or(0));
    let version = [(); 3].map(|()| numbers.next().unwrap_or(0));
    if version < OLDEST_SQLITE {
        return Err(OpenError::SqliteTooOld {
            path: path.to_owned(),
            found,
        });
    }
    Ok(())
}

fn migrate(conn: &mut SqliteConnection, path: &Path) -> Result<(), OpenError> {
    let what = "its schema cannot be read";
    let applied = conn.applied_migrations().map_err(database(path, what))?;
    let known = MigrationSource::<Sqlite>::migrations(&MIGRATIONS).map_err(database(path, what))?;
    if let Some(newest) = applied.iter().max()
        && !known
            .iter()
            .any(|migration| migration.name().version() == *newest)
    {
        return Err(OpenError::Newer {
            path: path.to_owned(),
            found: newest.to_string(),
        });
    }
    conn.run_pending_migrations(MIGRATIONS)
        .map_err(database(path, "its schema cannot be brought up to date"))?;
    Ok(())
}
