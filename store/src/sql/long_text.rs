//! Long texts: their pieces, and whether a row refers to them.

use super::{insert, statement};

/// A text of a row with its pieces. `$rest`: the column of the view `text_rest`.
macro_rules! whole {
    ($column:literal, $rest:literal) => {
        concat!(
            "CASE WHEN text_id IS NULL THEN ",
            $column,
            " ELSE ",
            $column,
            " || coalesce((SELECT ",
            $rest,
            " FROM text_rest r WHERE r.id = text_id), '') END"
        )
    };
}
pub(crate) use whole;

/// The last piece of the first text of a row, or the text if it has no pieces.
macro_rules! last_piece {
    ($column:literal) => {
        concat!(
            "CASE WHEN text_id IS NULL THEN ",
            $column,
            " ELSE coalesce((SELECT first_end FROM text_rest r WHERE r.id = text_id), ",
            $column,
            ") END"
        )
    };
}
pub(crate) use last_piece;

/// The same for a query that names its columns itself. `text_id`: the expression for the text's id.
pub(crate) fn whole_of(column: &str, text_id: &str, rest: &str) -> String {
    format!(
        "CASE WHEN {text_id} IS NULL THEN {column} ELSE {column} || \
         coalesce((SELECT {rest} FROM text_rest r WHERE r.id = {text_id}), '') END"
    )
}

insert! {
    /// Pieces of a row's texts are about to be stored: the bytes of the first text, and of the second.
    InsertLongText { id: i64, state: i64, first: i64, second: i64 } "INSERT INTO long_text"
}

insert! {
    /// Stores a piece.
    InsertPiece<'a> { id: i64, text: &'a str } "INSERT INTO text_piece"
}

statement! {
    /// A row refers to a long text from now on. Changes nothing if not all of its pieces, from `from` to `upto`, are stored.
    UseLongText { id: i64, from: i64, upto: i64 }
    "UPDATE long_text SET state = 1 WHERE id = ? AND state = 0 AND first + second = \
     (SELECT coalesce(sum(octet_length(text)), 0) FROM text_piece WHERE id BETWEEN ? AND ?)"
}

statement! {
    /// The pieces of a request that was refused, or changed nothing.
    DropLongText { id: i64 } "UPDATE long_text SET state = 2 WHERE id = ? AND state = 0"
}

statement! {
    /// Whether pieces are stored of requests whose row is not.
    SelectStaged {} "SELECT 1 FROM long_text WHERE state <> 1 AND state = 0 LIMIT 1"
}

statement! {
    /// The requests of earlier starts are over.
    DropStaged {} "UPDATE long_text SET state = 2 WHERE state <> 1 AND state = 0"
}

statement! {
    /// The next attempts that [`DeleteSomeAttempts`](super::sets::DeleteSomeAttempts) deletes do not refer to their texts
    /// any more.
    DropTextsOfAttempts { task_id: i64, limit: i64 }
    "UPDATE long_text SET state = 2 WHERE id IN (SELECT text_id FROM attempt WHERE task_id = ? ORDER BY fence LIMIT ?)"
}

statement! {
    /// Input and note of a task are about to be deleted.
    DropTextsOfTask { task_id: i64, same: i64 }
    "UPDATE long_text SET state = 2 WHERE id IN \
     (SELECT text_id FROM task_input WHERE task_id = ? UNION ALL SELECT text_id FROM note WHERE task_id = ?)"
}

statement! {
    /// Long texts to which no row refers.
    SelectUnused {} "SELECT id FROM long_text WHERE state <> 1 AND state = 2"
}

statement! {
    /// The pieces of a row's texts, with their numbers.
    SelectPieces { from: i64, upto: i64 } "SELECT id, text FROM text_piece WHERE id BETWEEN ? AND ? ORDER BY id"
}

statement! {
    /// Some pieces of a long text.
    DeletePieces { from: i64, upto: i64, limit: i64 }
    "DELETE FROM text_piece WHERE id IN (SELECT id FROM text_piece WHERE id BETWEEN ? AND ? ORDER BY id LIMIT ?)"
}

statement! {
    /// A long text without pieces.
    DeleteLongText { id: i64 } "DELETE FROM long_text WHERE id = ?"
}

statement! {
    /// The highest id of a long text in the file.
    SelectLastText {} "SELECT coalesce(max(id), 0) FROM long_text"
}
