//! The output of a run as lines: pieces are appended as they arrive, lines are wrapped once per width.

use crate::terminal::escapes::EscapeStripper;
use crate::terminal::text::{self, clusters};
use std::collections::VecDeque;

/// Maximum number of lines; the oldest are dropped.
const MAX_LINES: usize = 10_000;
/// Maximum length of a line in bytes; a longer line is broken.
const MAX_LINE: usize = 4000;
/// Distance of tab stops in columns.
const TAB: usize = 8;

/// The output of a task's newest attempt.
#[derive(Clone, Debug, Default)]
pub struct Transcript {
    escapes: EscapeStripper,
    lines: VecDeque<String>,
    /// A carriage return was the last character: the next one overwrites the line, unless it is a line end.
    returned: bool,
    /// Whether old lines were dropped.
    dropped: bool,
    wrapped: WrappedLines,
}

/// The lines wrapped to a width. The rows of a line are computed once, when the next line starts.
#[derive(Clone, Debug, Default)]
struct WrappedLines {
    width: usize,
    /// Rows of all lines except the last.
    rows: VecDeque<String>,
    /// Number of lines whose rows are in `rows`.
    lines: usize,
}

impl Transcript {
    /// Appends a piece.
    pub fn push(&mut self, text: &str) {
        let mut escapes = std::mem::take(&mut self.escapes);
        escapes.push(text, |c| self.put(c));
        self.escapes = escapes;
    }

    fn put(&mut self, c: char) {
        match c {
            '\r' => self.returned = true,
            '\n' => {
                self.returned = false;
                self.line();
                self.lines.push_back(String::new());
                self.drop_old();
            }
            c => {
                let overwrite = std::mem::take(&mut self.returned);
                // Not between a letter and its accents, unless these are endless.
                let length = self.line().len();
                let is_new = text::width(c.encode_utf8(&mut [0; 4])) > 0;
                if length > 2 * MAX_LINE || (length > MAX_LINE && is_new) {
                    self.put('\n');
                }
                let line = self.line();
                if overwrite {
                    line.clear();
                }
                match c {
                    '\t' => {
                        let blanks = TAB - text::width(line) % TAB;
                        line.extend(std::iter::repeat_n(' ', blanks));
                    }
                    '\x08' => text::pop(line),
                    c => line.push(c),
                }
            }
        }
    }

    /// The line that is being written.
    fn line(&mut self) -> &mut String {
        if self.lines.is_empty() {
            self.lines.push_back(String::new());
        }
        let last = self.lines.len() - 1;
        &mut self.lines[last]
    }

    fn drop_old(&mut self) {
        // In large steps, because all rows are wrapped again afterwards.
        if self.lines.len() > MAX_LINES + MAX_LINES / 10 {
            self.lines.drain(..MAX_LINES / 10);
            self.dropped = true;
            self.wrapped = WrappedLines::default();
        }
    }

    /// Whether the output is empty.
    pub fn is_empty(&self) -> bool {
        self.lines.iter().all(String::is_empty)
    }

    /// Whether the start of the output was dropped.
    pub fn is_dropped(&self) -> bool {
        self.dropped
    }

    /// At most `most` rows from row `from` on, wrapped to `width`, and the total number of rows.
    pub fn rows(&mut self, width: usize, from: usize, most: usize) -> (Vec<String>, usize) {
        let last = self.wrap(width);
        let made = self.wrapped.rows.len();
        let rows = self.wrapped.rows.iter().chain(&last);
        let shown = rows.skip(from).take(most).cloned().collect();
        (shown, made + last.len())
    }

    /// Updates the stored rows. Returns the rows of the line that is being written.
    fn wrap(&mut self, width: usize) -> Vec<String> {
        if self.wrapped.width != width {
            self.wrapped = WrappedLines {
                width,
                ..WrappedLines::default()
            };
        }
        let Some(last) = self.lines.len().checked_sub(1) else {
            return Vec::new();
        };
        while self.wrapped.lines < last {
            let rows = wrap(&self.lines[self.wrapped.lines], width);
            self.wrapped.rows.extend(rows);
            self.wrapped.lines += 1;
        }
        // After a line end, the next line does not exist yet.
        match self.lines[last].is_empty() {
            true => Vec::new(),
            false => wrap(&self.lines[last], width),
        }
    }
}

/// Wraps a sanitized line into rows of at most `width` columns. Rows end between words; only a word longer than a row
/// is split.
pub fn wrap(line: &str, width: usize) -> Vec<String> {
    let width = width.max(2);
    let mut rows = Vec::new();
    let (mut row, mut used) = (String::new(), 0);
    for (cluster, wide) in clusters(line) {
        if used + wide > width {
            let rest = match row.rfind(' ') {
                Some(at) if cluster != " " && !row[..at].trim_start().is_empty() => {
                    row.split_off(at + 1)
                }
                _ => String::new(),
            };
            rows.push(std::mem::replace(&mut row, rest));
            used = text::width(&row);
            if cluster == " " && row.is_empty() {
                continue;
            }
        }
        row.push_str(cluster);
        used += wide;
    }
    if !row.is_empty() || rows.is_empty() {
        rows.push(row);
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(pieces: &[&str], width: usize) -> Vec<String> {
        let mut transcript = Transcript::default();
        for piece in pieces {
            transcript.push(piece);
            transcript.rows(width, 0, 1);
        }
        transcript.rows(width, 0, 100).0
    }

    #[test]
    fn lines_come_in_pieces_and_are_wrapped_between_words() {
        assert_eq!(rows(&["one\ntw", "o\n"], 20), ["one", "two"]);
        assert_eq!(
            rows(&["a long line of words"], 10),
            ["a long", "line of", "words"].map(String::from).map(|s| {
                if s == "a long" || s == "line of" {
                    s + " "
                } else {
                    s
                }
            })
        );
        assert_eq!(rows(&["日本語です"], 4), ["日本", "語で", "す"]);
        assert_eq!(
            rows(&["ae\u{301}", "\u{302}bc"], 2),
            ["ae\u{301}\u{302}", "bc"]
        );
    }

    #[test]
    fn a_progress_line_overwrites_itself() {
        assert_eq!(
            rows(&["10 %\r20 ", "%\r30 %\r\ndone"], 20),
            ["30 %", "done"]
        );
        assert_eq!(rows(&["a\tb\x08c"], 20), ["a       c"]);
    }

    #[test]
    fn an_endless_output_is_bounded() {
        let mut transcript = Transcript::default();
        for n in 0..30_000 {
            transcript.push(&format!("line {n}\n"));
        }
        let (rows, all) = transcript.rows(80, 0, 1);
        assert!(transcript.is_dropped() && all <= 11_001, "{all}");
        assert_ne!(rows, ["line 0"]);
        transcript.push(&"x".repeat(100_000));
        assert!(
            transcript
                .lines
                .iter()
                .all(|line| line.len() <= MAX_LINE + 4)
        );
        let mut transcript = Transcript::default();
        transcript.push(&"\u{301}".repeat(100_000));
        assert!(
            transcript
                .lines
                .iter()
                .all(|line| line.len() <= 2 * MAX_LINE + 4)
        );
    }
}
