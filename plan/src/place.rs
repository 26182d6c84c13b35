//! Lines and columns of a text.

use serde::Serialize;

/// A position in a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Place {
    /// The line, from 1.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
}

/// The starts of a text's lines.
#[derive(Debug)]
pub(crate) struct Lines<'a> {
    text: &'a str,
    starts: Vec<usize>,
}

impl<'a> Lines<'a> {
    pub fn new(text: &'a str) -> Lines<'a> {
        let ends = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n');
        let starts = std::iter::once(0).chain(ends.map(|(at, _)| at + 1));
        Lines {
            text,
            starts: starts.collect(),
        }
    }

    /// The position of a byte. A byte beyond the end is the end.
    pub fn place(&self, byte: usize) -> Place {
        let byte = byte.min(self.text.len());
        let line = self.starts.partition_point(|start| *start <= byte);
        let start = self.starts[line.saturating_sub(1)];
        let before = self.text.as_bytes()[start..byte].iter();
        // Bytes that continue a character do not count.
        let column = before.filter(|byte| **byte & 0xc0 != 0x80).count();
        Place {
            line,
            column: column + 1,
        }
    }

    /// The text between two bytes; empty if they are not between characters.
    pub fn slice(&self, start: usize, end: usize) -> &'a str {
        let end = end.min(self.text.len());
        self.text.get(start.min(end)..end).unwrap_or("")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_count_characters() {
        let lines = Lines::new("aé\nbc");
        for (byte, line, column) in [(0, 1, 1), (1, 1, 2), (3, 1, 3), (4, 2, 1), (99, 2, 3)] {
            assert_eq!(lines.place(byte), Place { line, column }, "{byte}");
        }
        assert_eq!(Lines::new("").place(7), Place { line: 1, column: 1 });
    }
}
