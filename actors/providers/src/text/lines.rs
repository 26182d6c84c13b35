//! Bytes to lines, with a bound.

/// Silence after which a line without its end is read as it is: some programs end their last line only as they exit.
pub(crate) const PARTIAL_PATIENCE: std::time::Duration = std::time::Duration::from_secs(10);

/// Bytes of a line that are kept; a longer one is dropped as a whole.
pub(crate) const LINE_BYTES: usize = 8 * 1024 * 1024;

/// A line, or what became of it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum OutputLine {
    /// Without its end.
    Whole(Vec<u8>),
    /// It was longer than the bound.
    TooLong,
}

/// Keeps the line that is not yet whole.
#[derive(Debug)]
pub(crate) struct LineSplitter {
    kept: Vec<u8>,
    bound: usize,
    dropping: bool,
}

impl LineSplitter {
    pub(crate) fn new(bound: usize) -> Self {
        Self {
            kept: Vec::new(),
            bound,
            dropping: false,
        }
    }

    /// The lines that these bytes complete.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> Vec<OutputLine> {
        let mut lines = Vec::new();
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            let (body, is_end) = match piece.split_last() {
                Some((b'\n', body)) => (body, true),
                _ => (piece, false),
            };
            self.take(body);
            if is_end {
                lines.push(self.line());
            }
        }
        lines
    }

    /// Whether the beginning of a line waits for its end.
    pub(crate) const fn has_partial(&self) -> bool {
        !self.kept.is_empty()
    }

    /// The line that waits for its end, where it is a whole object of JSON already; else it goes on waiting.
    pub(crate) fn whole_object(&mut self) -> Option<OutputLine> {
        let text = self.kept.trim_ascii();
        let is_whole =
            text.starts_with(b"{") && serde_json::from_slice::<serde::de::IgnoredAny>(text).is_ok();
        is_whole.then(|| self.line())
    }

    /// The last line, where it has no end.
    pub(crate) fn end(&mut self) -> Option<OutputLine> {
        (self.dropping || !self.kept.is_empty()).then(|| self.line())
    }

    fn take(&mut self, body: &[u8]) {
        if self.dropping || self.kept.len() + body.len() > self.bound {
            self.dropping = true;
            self.kept = Vec::new();
        } else {
            self.kept.extend_from_slice(body);
        }
    }

    fn line(&mut self) -> OutputLine {
        if std::mem::take(&mut self.dropping) {
            return OutputLine::TooLong;
        }
        let mut line = std::mem::take(&mut self.kept);
        if line.last() == Some(&b'\r') {
            line.pop();
        }
        OutputLine::Whole(line)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_whole_whatever_the_cut_and_long_ones_are_dropped() {
        let text = b"ab\r\n\n0123456789\ncd";
        let whole = |text: &str| OutputLine::Whole(text.as_bytes().to_vec());
        for size in 1..=text.len() {
            let mut lines = LineSplitter::new(8);
            let mut found: Vec<OutputLine> =
                text.chunks(size).flat_map(|it| lines.push(it)).collect();
            found.extend(lines.end());
            let expected = [whole("ab"), whole(""), OutputLine::TooLong, whole("cd")];
            assert_eq!(found, expected, "cut every {size}");
        }
    }
}
