//! Transactions.

use super::statement;

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
