//! The start of a generation in the file: its number, its mark, and an empty log.

use crate::error::OpenError;
use crate::generation::{FilesFound, Generation};
use crate::open::{database, write_first_page};
use crate::options::StoreOptions;
use crate::sql;
use crate::sql::counter::PutCounter;
use crate::sql::generation::{
    InsertGap, SelectGeneration, SelectLastId, SelectMark, SkipApprovals, SkipFirstApprovals,
};
use crate::wal;
use diesel::SqliteConnection;
use diesel::connection::SimpleConnection;
use kirosu_protocol::TaskId;

/// In a file that was put back, the ids of permission requests continue at a multiple of this.
const APPROVALS_SKIPPED: i64 = 10_000;

/// The initial length of the log: its length between two checkpoints under load.
const LOG_BYTES: u64 = 24 << 20;

/// The generation after those in the file and its record, and the highest task id in the file.
pub(crate) fn next_generation(
    conn: &mut SqliteConnection,
    options: &StoreOptions,
    found: &FilesFound,
) -> Result<(Generation, TaskId), OpenError> {
    let failed =
        || database::<diesel::result::Error>(&options.path, "its generation cannot be read");
    let mark: Option<i64> = sql::first(conn, SelectMark {}).map_err(failed())?;
    let in_file: Option<i64> = sql::first(conn, SelectGeneration {}).map_err(failed())?;
    let last_id: Option<i64> = sql::first(conn, SelectLastId {}).map_err(failed())?;
    let (mark, last_id) = (mark.unwrap_or(0) as i32, last_id.unwrap_or(0));
    let generation = Generation::begin(options, found, in_file, mark, last_id);
    Ok((generation, last_id))
}

/// Begins a generation and empties the log, so that the file's header has the new mark. If the record cannot be
/// written, the mark stays as it is, and the next start finds the files unchanged.
pub(crate) fn begin_generation(
    conn: &mut SqliteConnection,
    options: &StoreOptions,
    found: &FilesFound,
) -> Result<Generation, OpenError> {
    let path = options.path.as_path();
    let (mut generation, last_id) = next_generation(conn, options, found)?;
    let announced = generation.announce(path);
    if let Err(error) = &announced {
        tracing::warn!(%error, path = %path.display(), "the record beside the store cannot be written; a log that belongs to another file may not be recognised at the next start");
    }
    let mark = announced.is_ok().then_some(generation.mark());
    conn.immediate_transaction::<_, diesel::result::Error, _>(|conn| {
        note_generation(conn, &generation, mark, last_id)
    })
    .map_err(database(path, "its generation cannot be written"))?;
    if let Some(first) = generation.skip_to {
        tracing::warn!(
            path = %path.display(),
            first_id = first + 1,
            "the store was restored from an older copy; ids that may have been given out since are skipped"
        );
    }
    let emptied = conn.batch_execute("PRAGMA wal_checkpoint(TRUNCATE)");
    if emptied.is_ok()
        && announced.is_ok()
        && let Err(error) = generation.settle(path)
    {
        tracing::warn!(%error, path = %path.display(), "the record beside the store cannot be written");
    }
    lay_out_log(options, emptied.map_err(|error| error.to_string()));
    // The log begins with the file's first page, which has the mark: this identifies the log's file.
    if let Err(error) = write_first_page(conn) {
        tracing::warn!(%error, path = %path.display(), "the first page of the store cannot be written to its log");
    }
    Ok(generation)
}

fn note_generation(
    conn: &mut SqliteConnection,
    generation: &Generation,
    mark: Option<i32>,
    last_id: i64,
) -> diesel::QueryResult<()> {
    let put = |conn: &mut SqliteConnection, name, value| {
        sql::run(conn, PutCounter { name, value }).map(drop)
    };
    put(conn, "generation", generation.number())?;
    if let Some(last) = generation.skip_to {
        let first = last_id + 1;
        sql::run(conn, InsertGap { first, last })?;
        put(conn, "last_id", last)?;
        let by = APPROVALS_SKIPPED;
        sql::run(conn, SkipApprovals { by, times: by })?;
        sql::run(conn, SkipFirstApprovals { seq: by })?;
    }
    match mark {
        Some(mark) => conn.batch_execute(&format!("PRAGMA application_id = {mark}")),
        None => Ok(()),
    }
}

/// Extends the empty log to its usual length. A failure costs speed only.
fn lay_out_log(options: &StoreOptions, emptied: Result<(), String>) {
    let bytes = LOG_BYTES.min(options.wal_limit_bytes);
    let prepared = emptied
        .and_then(|()| wal::preallocate(&options.path, bytes).map_err(|error| error.to_string()));
    if let Err(error) = prepared {
        tracing::warn!(%error, "the write-ahead log cannot be extended in advance; commits are slower");
    }
}
