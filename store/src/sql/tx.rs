//! Transactions.

use super::{row, statement};
use crate::checkpoint::Pages;

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
    VacuumInto<'a> { target: &'a str } "VACUUM INTO ?"
}

statement! {
    /// The progress of checkpoints: 1 if another one runs, and [`Pages`]. Copies nothing.
    LogPages {} "PRAGMA wal_checkpoint(NOOP)"
}

statement! {
    /// Copies as many pages of the log into the file as is possible without waiting for readers or the writer. The answer
    /// is that of [`LogPages`].
    CheckpointPassive {} "PRAGMA wal_checkpoint(PASSIVE)"
}

row! { Pages { log, moved } }
