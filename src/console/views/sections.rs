//! Tables of which only the visible rows are made: one with a cursor, or several, one below the other.

use super::canvas::Canvas;
use crate::cli::show::table::TextTable;
use crate::console::cursor::ListCursor;
use crate::terminal::paint::Paint;
use std::ops::Range;

/// Rows by which a table is widened above and below the visible ones, so that its columns keep their widths for a while.
const AROUND: usize = 64;

/// One of the tables.
pub struct TableSection<'a> {
    /// The heading.
    pub title: &'a str,
    /// Number of rows.
    pub rows: usize,
    /// Makes the table of these rows.
    pub table: &'a dyn Fn(Range<usize>) -> TextTable,
}

/// Lines before the rows of a section: the title and the headings of the columns.
const HEADINGS: usize = 2;

/// Draws the headings of a table on line `y`, and below them at most `most` of its `len` rows, with the chosen one marked.
/// Returns the index of the chosen one.
pub fn list(
    (len, most): (usize, usize),
    mut cursor: ListCursor,
    y: usize,
    table: impl Fn(Range<usize>) -> TextTable,
    canvas: &mut Canvas<'_>,
) -> usize {
    cursor.fit(len, most);
    let start = cursor.top / AROUND * AROUND;
    let end = (cursor.top + most).next_multiple_of(AROUND).min(len);
    let lines = table(start..end).lines(canvas.width().saturating_sub(2));
    if let Some(heading) = lines.first() {
        canvas.pieces(1, y, heading);
    }
    let lines = lines.iter().skip(1 + cursor.top - start).take(most);
    for (at, line) in lines.enumerate() {
        canvas.pieces(1, y + 1 + at, line);
        if cursor.top + at == cursor.at {
            canvas.choose(y + 1 + at);
        }
    }
    cursor.at
}

/// Draws the sections that have rows, with a blank line between two, so that row `at` of all their rows is visible.
pub fn draw(sections: &[TableSection<'_>], at: usize, canvas: &mut Canvas<'_>) {
    let shown: Vec<&TableSection<'_>> = sections.iter().filter(|it| it.rows > 0).collect();
    let top = top(&shown, at, canvas.height());
    let bottom = top + canvas.height();
    let (mut line, mut row) = (0, 0);
    for section in shown {
        let first = line + HEADINGS;
        if line >= top && line < bottom {
            canvas.line(1, line - top, section.title, Paint::Bold);
        }
        // The visible rows of this section.
        let from = top.saturating_sub(first).min(section.rows);
        let to = bottom.saturating_sub(first).min(section.rows);
        let chosen = at.checked_sub(row).filter(|at| *at < section.rows);
        if from < to || (line + 1 >= top && line + 1 < bottom) {
            let (start, end) = (from / AROUND * AROUND, to.next_multiple_of(AROUND));
            let table = (section.table)(start..end.min(section.rows));
            let lines = table.lines(canvas.width().saturating_sub(2));
            for (number, pieces) in lines.iter().enumerate() {
                // Line 0 has the headings.
                let y = match number.checked_sub(1) {
                    None => line + 1,
                    Some(number) if (from..to).contains(&(start + number)) => {
                        first + start + number
                    }
                    Some(_) => continue,
                };
                if let Some(y) = y.checked_sub(top) {
                    canvas.pieces(1, y, pieces);
                }
            }
        }
        if let Some(y) = chosen.and_then(|at| (first + at).checked_sub(top)) {
            canvas.choose(y);
        }
        line = first + section.rows + 1;
        row += section.rows;
    }
}

/// The first visible line, so that row `at` is visible.
fn top(sections: &[&TableSection<'_>], at: usize, height: usize) -> usize {
    let mut before = 0;
    let mut row = 0;
    for section in sections {
        if at < row + section.rows {
            break;
        }
        row += section.rows;
        before += HEADINGS + 1;
    }
    (at + before + HEADINGS + 1).saturating_sub(height)
}
