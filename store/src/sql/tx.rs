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
    /// Makes it durable.
    Commit {} "COMMIT"
}

statement! {
    /// Undoes it.
    Rollback {} "ROLLBACK"
}

statement! {
    /// Pages of the file that hold nothing.
    FreePages {} "PRAGMA freelist_count"
}

statement! {
    /// A number that the file keeps for whoever uses it.
    UserVersion {} "PRAGMA user_version"
}

statement! {
    /// A sound copy of the file.
    VacuumInto<'a> { target: &'a str => diesel::sql_types::Text } "VACUUM INTO ?"
}

statement! {
    /// How far the log is; moves nothing.
    LogPages {} "PRAGMA wal_checkpoint(NOOP)"
}

statement! {
    /// Moves as much of the log into the file as goes without waiting for readers or the writer.
    CheckpointPassive {} "PRAGMA wal_checkpoint(PASSIVE)"
}

impl FromRow for Pages {
    const COLUMNS: usize = 3;

    /// The first column says whether another checkpoint was under way.
    fn from_row<'a>(row: &impl Row<'a, Sqlite>) -> QueryResult<Pages> {
        Ok(Pages {
            log: int(row, 1)?,
            moved: int(row, 2)?,
        })
    }
}
