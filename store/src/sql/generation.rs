//! Generations of the store, and skipped ids.

use super::{insert, statement};

statement! {
    /// The mark in the file's header.
    SelectMark {} "PRAGMA application_id"
}

statement! {
    /// The newest generation in the file.
    SelectGeneration {} "SELECT value FROM counter WHERE name = 'generation'"
}

statement! {
    /// The highest id that the file shows as given out.
    SelectLastId {}
    "SELECT max((SELECT coalesce(max(id), 0) FROM task), \
     coalesce((SELECT value FROM counter WHERE name = 'last_id'), 0))"
}

insert! {
    /// Records skipped ids.
    InsertGap { first: i64, last: i64 } "INSERT OR REPLACE INTO gap"
}

statement! {
    /// Whether an id was skipped.
    SelectSkipped { id: i64, same: i64 }
    "SELECT EXISTS (SELECT 1 FROM gap WHERE first <= ? AND last >= ?)"
}

statement! {
    /// Continues the ids of permission requests at a multiple, in a file that has given out some.
    SkipApprovals { by: i64, times: i64 }
    "UPDATE sqlite_sequence SET seq = (seq / ? + 1) * ? WHERE name = 'approval'"
}

statement! {
    /// The same in a file that has given out none.
    SkipFirstApprovals { seq: i64 }
    "INSERT INTO sqlite_sequence (name, seq) SELECT 'approval', ? \
     WHERE NOT EXISTS (SELECT 1 FROM sqlite_sequence WHERE name = 'approval')"
}
