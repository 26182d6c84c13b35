//! Transactions.

use super::{FromRow, int, statement};
use crate::checkpoint::Pages;
use diesel::QueryResult;
use diesel::row::Row;
use diesel::sqlite::Sqlite;

statement! {
    /// Begins a write transaction.
    Begin {} "BEGIN IMMEDIATE"
}

statement! {
    /// Commits it.
    Commit {} "COMMIT"
}

statement! {
    /// Undoes it.
    Rollback {} "ROLLBACK"
}

statement! {
    /// Unused pages of the file.
    FreePages {} "PRAGMA freelist_count"
}

statement! {
    /// SQLite's number for applications. The store uses it to write the first page.
    UserVersion {} "PRAGMA user_version"
}

statement! {
    /// A consistent copy of the file.
    VacuumInto<'a> { target: &'a str => diesel::sql_types::Text } "VACUUM INTO ?"
}

statement! {
    /// The progress of checkpoints; copies nothing.
    LogPages {} "PRAGMA wal_checkpoint(NOOP)"
}

statement! {
    /// Copies as many pages of the log into the file as is possible without waiting for readers or the writer.
    CheckpointPassive {} "PRAGMA wal_checkpoint(PASSIVE)"
}

impl FromRow for Pages {
    const COLUMNS: usize = 3;

    /// The first column, which is not read, is 1 if another checkpoint ran.
    fn from_row<'a>(row: &impl Row<'a, Sqlite>) -> QueryResult<Pages> {
        Ok(Pages {
            log: int(row, 1)?,
            moved: int(row, 2)?,
        })
    }
}
