//! Reads the input of a task.

use crate::command::long_text::{is_of_second, pieces_of};
use crate::row::TaskInput;
use crate::sql;
use crate::sql::long_text::SelectPieces;
use crate::sql::task::SelectInput;
use diesel::{QueryResult, SqliteConnection};
use kirosu_protocol::TaskId;

/// A task's input with whole texts. Pieces are put together here: SQLite would copy a long text several times, and other
/// requests wait meanwhile.
pub(super) fn read_input(
    conn: &mut SqliteConnection,
    id: TaskId,
) -> QueryResult<Option<TaskInput>> {
    let found: Option<TaskInput> = sql::first(conn, SelectInput { id })?;
    let Some(mut input) = found else {
        return Ok(None);
    };
    let Some(long) = input.long.take() else {
        return Ok(Some(input));
    };
    let (from, upto) = pieces_of(long.text).into_inner();
    let pieces: Vec<(i64, String)> = sql::all(conn, SelectPieces { from, upto })?;
    append(&mut input.prompt, &pieces, false);
    if let Some(text) = &mut input.system_prompt {
        append(text, &pieces, true);
    }
    Ok(Some(input))
}

/// Appends the pieces of the first or the second text of a row.
fn append(text: &mut String, pieces: &[(i64, String)], second: bool) {
    let pieces = || {
        let of_text = pieces.iter().filter(|(id, _)| is_of_second(*id) == second);
        of_text.map(|(_, piece)| piece)
    };
    text.reserve_exact(pieces().map(String::len).sum());
    text.extend(pieces().map(String::as_str));
}
