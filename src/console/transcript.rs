//! What a run prints, as lines: pieces are appended as they come, lines are wrapped once for a width.

use super::clean::Cleaner;
use ratatui::text::Span;
use std::collections::VecDeque;

/// Lines kept; of a longer output the newest.
const MOST: usize = 10_000;
/// Characters of a line beyond which it is broken, so that no line is endless.
const LONGEST: usize = 4000;
/// Columns from one tab stop to the next.
const TAB: usize = 8;

/// The output of a task's newest attempt.
#[derive(Clone, Debug, Default)]
pub struct Transcript {
    cleaner: Cleaner,
    lines: VecDeque<String>,
    /// A carriage return has come: what follows overwrites the line, unless it is the line's end.
    returned: bool,
    /// Whether earlier lines were dropped.
    dropped: bool,
    wrapped: Wrapped,
}

/// The lines cut to a width; the rows of line `n` are made once, when a later line begins.
#[derive(Clone, Debug, Default)]
struct Wrapped {
    width: usize,
    /// Rows of all lines but the last.
    rows: VecDeque<String>,
    /// Lines that are in `rows`, counted from the first that is kept.
    lines: usize,
}

impl Transcript {
    /// Appends a piece.
    pub fn push(&mut self, text: &str) {
        let mut cleaner = std::mem::take(&mut self.cleaner);
        cleaner.push(text, |c| self.put(c));
        self.cleaner = cleaner;
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
                let line = self.line();
                if overwrite {
                    line.clear();
                }
                match c {
                    '\t' => {
                        let blanks = TAB - line.chars().count() % TAB;
                        line.extend(std::iter::repeat_n(' ', blanks));
                    }
                    '\x08' => drop(line.pop()),
                    c => line.push(c),
                }
                if line.len() > LONGEST {
                    self.put('\n');
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
        // In steps, as everything is wrapped anew after it.
        if self.lines.len() > MOST + MOST / 10 {
            self.lines.drain(..MOST / 10);
            self.dropped = true;
            self.wrapped = Wrapped::default();
        }
    }

    /// Whether nothing was printed.
    pub fn is_empty(&self) -> bool {
        self.lines.iter().all(String::is_empty)
    }

    /// Whether the beginning is missing.
    pub fn is_dropped(&self) -> bool {
        self.dropped
    }

    /// The rows on a screen of that width, from `from` on, at most `most`; and how many there are in all.
    pub fn rows(&mut self, width: usize, from: usize, most: usize) -> (Vec<String>, usize) {
        let last = self.wrap(width);
        let made = self.wrapped.rows.len();
        let rows = self.wrapped.rows.iter().chain(&last);
        let shown = rows.skip(from).take(most).cloned().collect();
        (shown, made + last.len())
    }

    /// Brings the rows up to date; the rows of the line that is still being written.
    fn wrap(&mut self, width: usize) -> Vec<String> {
        if self.wrapped.width != width {
            self.wrapped = Wrapped {
                width,
                ..Wrapped::default()
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
        // After a line end there is no line yet.
        match self.lines[last].is_empty() {
            true => Vec::new(),
            false => wrap(&self.lines[last], width),
        }
    }
}

/// Cuts a clean line into rows of at most `width` columns, between words where it can: a word is only cut where it is longer
/// than a row.
pub fn wrap(line: &str, width: usize) -> Vec<String> {
    let width = width.max(2);
    let mut rows = Vec::new();
    let (mut row, mut used) = (String::new(), 0);
    for c in line.chars() {
        let wide = Span::raw(c.encode_utf8(&mut [0; 4]) as &str).width();
        if used + wide > width {
            let rest = match row.rfind(' ') {
                Some(at) if c != ' ' && !row[..at].trim_start().is_empty() => row.split_off(at + 1),
                _ => String::new(),
            };
            rows.push(std::mem::replace(&mut row, rest));
            used = Span::raw(row.as_str()).width();
            if c == ' ' && row.is_empty() {
                continue;
            }
        }
        row.push(c);
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
                .all(|line| line.len() <= LONGEST + 4)
        );
    }
}
