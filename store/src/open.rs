//! Opens connections: pragmas, schema, checks.

use crate::begin;
use crate::error::OpenError;
use crate::generation::{BACKUP, FilesFound, Generation};
use crate::options::{StoreOptions, SyncMode};
use crate::schema;
use crate::sql::sets::ExtendLeases;
use crate::sql::{self, statement};
use crate::vfs;
use crate::wal;
use diesel::connection::SimpleConnection;
use diesel::{Connection, SqliteConnection};
use diesel_migrations::MigrationHarness;
use std::fs::{DirBuilder, OpenOptions};
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

/// Older versions can corrupt a write-ahead log when a checkpoint and a writer meet.
const OLDEST_SQLITE: [u32; 3] = [3, 51, 3];

/// Milliseconds for which a reader waits for a lock; only a recovery holds one.
const READER_BUSY_MS: u32 = 5_000;

/// Milliseconds for which the writer waits for readers when it truncates the log; no request is answered meanwhile.
const WRITER_BUSY_MS: u32 = 200;

/// The page size in bytes for new files. With one request per commit, each page that the commit changes is written to
/// the log as a whole: small pages save a tenth of its time, and cost nothing in large batches (docs/decisions/003).
const PAGE_BYTES: u32 = 2_048;

/// The writer checkpoints after this many pages, as far as the checkpointer has not done so. Measured under constant
/// load without the checkpointer: 4 MiB cost a third of the throughput, 64 MiB cause stalls of a tenth of a second,
/// these 16 MiB cause stalls of 20 to 30 ms once in a thousand batches.
pub(crate) const CHECKPOINT_PAGES: u32 = 8_000;

statement! {
    /// The version of the linked SQLite.
    SelectVersion {} "SELECT sqlite_version()"
}

type BoxedError = Box<dyn std::error::Error + Send + Sync>;

pub(crate) fn database<E: Into<BoxedError>>(
    path: &Path,
    what: &'static str,
) -> impl FnOnce(E) -> OpenError {
    move |source| OpenError::Database {
        path: path.to_owned(),
        what,
        source: source.into(),
    }
}

/// Creates the directory of the file if it is missing, readable by its owner only.
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
        what: "its directory cannot be created",
        source,
    })
}

/// Creates the file if it is missing, readable by its owner only, as it holds prompts and results. SQLite gives its log
/// the same mode. An existing file keeps its mode.
pub(crate) fn make_file(path: &Path) -> Result<(), OpenError> {
    let made = OpenOptions::new()
        .append(true)
        .create_new(true)
        .mode(0o600)
        .open(path);
    match made {
        Err(source) if source.kind() != ErrorKind::AlreadyExists => Err(OpenError::Io {
            path: path.to_owned(),
            what: "it cannot be created",
            source,
        }),
        _ => Ok(()),
    }
}

/// Opens the writer's connection, brings the schema up to date, and begins a generation.
pub(crate) fn writer(
    options: &StoreOptions,
    found: &FilesFound,
) -> Result<(SqliteConnection, Generation), OpenError> {
    let path = options.path.as_path();
    let mut conn = connect(options)?;
    check_version(&mut conn, path)?;
    conn.batch_execute(&writer_pragmas(options))
        .map_err(database(path, "its settings cannot be applied"))?;
    schema::migrate(&mut conn, path)?;
    extend_leases(&mut conn, options).map_err(database(path, "its leases cannot be extended"))?;
    let generation = begin::begin_generation(&mut conn, options, found)?;
    Ok((conn, generation))
}

/// Opens a connection for reading to a store on a full disk. It begins no generation in the file and changes nothing.
pub(crate) fn without_writing(
    options: &StoreOptions,
    found: &FilesFound,
) -> Result<(SqliteConnection, Generation), OpenError> {
    let path = options.path.as_path();
    let mut conn = connect(options)?;
    let what = "its generation cannot be read";
    conn.batch_execute(&pragmas_of_memory(options))
        .map_err(database(path, what))?;
    let what = "its schema cannot be read";
    let pending = conn
        .has_pending_migration(schema::MIGRATIONS)
        .map_err(database(path, what))?;
    if pending {
        return Err(OpenError::Database {
            path: path.to_owned(),
            what: "its schema cannot be brought up to date",
            source: "the disk is full".into(),
        });
    }
    let (generation, _) = begin::next_generation(&mut conn, options, found)?;
    Ok((conn, generation))
}

/// Extends live leases, so that their holders can reconnect first.
fn extend_leases(conn: &mut SqliteConnection, options: &StoreOptions) -> diesel::QueryResult<()> {
    let until = options.now_ms + options.restart_grace_ms as i64;
    let below = until;
    sql::run(conn, ExtendLeases { until, below }).map(|_| ())
}

/// Commits a change of the file's first page: SQLite's number for applications, which has no other use here.
pub(crate) fn write_first_page(conn: &mut SqliteConnection) -> diesel::QueryResult<()> {
    let version = sql::first::<i64, _>(conn, sql::tx::UserVersion {})?;
    let next = version.unwrap_or(0) % 1_000_000 + 1;
    conn.batch_execute(&format!("PRAGMA user_version = {next}"))
}

/// Opens the writer's connection again, to a file that `writer` has opened before.
pub(crate) fn writer_again(options: &StoreOptions) -> Result<SqliteConnection, OpenError> {
    let path = options.path.as_path();
    let mut conn = connect(options)?;
    conn.batch_execute(&writer_pragmas(options))
        .map_err(database(path, "its settings cannot be applied"))?;
    Ok(conn)
}

/// Opens a file for writing, without any settings.
fn connect(options: &StoreOptions) -> Result<SqliteConnection, OpenError> {
    let layer = match options.durability {
        SyncMode::Full => match vfs::register() {
            Ok(()) => vfs::NAME,
            Err(code) => {
                tracing::warn!(
                    code,
                    "SQLite refuses the layer that writes its log in one call; commits are slower"
                );
                vfs::PLAIN
            }
        },
        // This mode does not sync the log before other connections may read it.
        SyncMode::Normal => vfs::PLAIN,
    };
    SqliteConnection::establish(&uri(&options.path, layer))
        .map_err(database(&options.path, "it cannot be opened"))
}

/// The URI under which `VACUUM INTO` writes a copy with paced syncs.
///
/// # Errors
/// SQLite's result code, if it refuses to register the layer.
pub(crate) fn paced_uri(path: &Path) -> Result<String, std::ffi::c_int> {
    vfs::register()?;
    Ok(uri(path, vfs::PACED))
}

/// A connection that runs checkpoints with paced syncs.
///
/// # Errors
/// SQLite cannot open the file, or refuses to register the layer.
pub(crate) fn checkpointer(path: &Path) -> Result<SqliteConnection, String> {
    let uri = paced_uri(path).map_err(|code| format!("SQLite's result code {code}"))?;
    let mut conn = SqliteConnection::establish(&uri).map_err(|error| error.to_string())?;
    // Pages count as copied only after the sync of the file, which also writes what the layer buffers.
    conn.batch_execute(
        "PRAGMA synchronous = FULL; PRAGMA cache_size = -256; PRAGMA mmap_size = 0;",
    )
    .map_err(|error| error.to_string())?;
    Ok(conn)
}

/// The file's name as a URI of SQLite: a path may contain any character, and only a URI can name a layer.
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

/// `page_size` and `auto_vacuum` only have effect before the first table and before the switch to a write-ahead log. On
/// an existing file they change nothing but still write, so that a file on a full disk does not open: requests that
/// wait for the disk are then known to have had no effect.
fn writer_pragmas(options: &StoreOptions) -> String {
    let synchronous = match options.durability {
        SyncMode::Full => "FULL",
        SyncMode::Normal => "NORMAL",
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

/// Settings that do not touch the file.
fn pragmas_of_memory(options: &StoreOptions) -> String {
    format!(
        "PRAGMA cache_size = -{cache};
         PRAGMA temp_store = MEMORY;
         PRAGMA mmap_size = 0;
         PRAGMA foreign_keys = ON;",
        cache = options.cache_bytes / 1024,
    )
}

/// Settings of a connection that never writes.
fn pragmas_of_reading(busy_ms: u32) -> String {
    format!("PRAGMA busy_timeout = {busy_ms}; PRAGMA query_only = ON;")
}

/// A reader's connection to a file that this process has open. Its cache is small.
pub(crate) fn reader(path: &Path) -> Result<SqliteConnection, diesel::ConnectionError> {
    let mut conn = SqliteConnection::establish(&uri(path, vfs::PLAIN))?;
    let pragmas = pragmas_of_reading(READER_BUSY_MS)
        + "PRAGMA cache_size = -8192; PRAGMA temp_store = MEMORY; PRAGMA mmap_size = 0;";
    conn.batch_execute(&pragmas)
        .map_err(diesel::ConnectionError::CouldntSetupConfiguration)?;
    Ok(conn)
}

/// Creates a file for rows that are read from elsewhere, and opens it. It is written without a log and without syncs: whoever fills it
/// copies it to its place, and removes it.
///
/// # Errors
/// The file exists, or cannot be created.
pub(crate) fn new_file(path: &Path) -> Result<SqliteConnection, OpenError> {
    make_file(path)?;
    let what = "it cannot be created";
    let mut conn = SqliteConnection::establish(&uri(path, "unix")).map_err(database(path, what))?;
    conn.batch_execute(&format!(
        "PRAGMA page_size = {PAGE_BYTES}; PRAGMA auto_vacuum = INCREMENTAL; PRAGMA journal_mode = OFF;
         PRAGMA synchronous = OFF; PRAGMA temp_store = MEMORY;"
    ))
    .map_err(database(path, what))?;
    Ok(conn)
}

/// Marks a copy as a backup that no hub has opened.
pub(crate) fn mark_as_backup(copy: &Path) -> Result<(), diesel::result::Error> {
    let cannot = |error| diesel::result::Error::DeserializationError(Box::new(error));
    let mut conn = SqliteConnection::establish(&uri(copy, "unix")).map_err(cannot)?;
    conn.batch_execute(&format!("PRAGMA application_id = {BACKUP}"))
}

/// A connection that cannot write, to a file that no process has open.
pub(crate) fn read_only(path: &Path) -> Result<SqliteConnection, OpenError> {
    read_only_as(path, true, READER_BUSY_MS)
}

/// A connection to a copy of another program's file, which brings it to the state of its log.
pub(crate) fn copy_of_other(path: &Path) -> Result<SqliteConnection, diesel::ConnectionError> {
    let mut conn = SqliteConnection::establish(&uri(path, "unix"))?;
    conn.batch_execute(&pragmas_of_reading(READER_BUSY_MS))
        .map_err(diesel::ConnectionError::CouldntSetupConfiguration)?;
    Ok(conn)
}

/// The same without the log in the same directory, which does not belong to the file.
pub(crate) fn read_alone(path: &Path) -> Result<SqliteConnection, OpenError> {
    read_only_as(path, false, READER_BUSY_MS)
}

/// A connection that leaves a file as it is, to examine it. Without a log it creates no other file either. It does not
/// wait for a process that has the file open.
pub(crate) fn untouched(path: &Path, has_log: bool) -> Result<SqliteConnection, OpenError> {
    read_only_as(path, has_log, 0)
}

fn read_only_as(path: &Path, has_log: bool, busy_ms: u32) -> Result<SqliteConnection, OpenError> {
    // The hub's own layer locks the file in a way that needs write permission.
    let mut uri = uri(path, "unix") + "&mode=ro";
    if !has_log {
        uri.push_str("&immutable=1");
    }
    let what = "it cannot be opened for reading";
    let mut conn = SqliteConnection::establish(&uri).map_err(database(path, what))?;
    conn.batch_execute(&pragmas_of_reading(busy_ms))
        .map_err(database(path, what))?;
    Ok(conn)
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
