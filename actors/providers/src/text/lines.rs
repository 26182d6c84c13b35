//! Splits bytes into lines of bounded length.

/// Silence after which an incomplete line is read: some programs end their last line only as they exit.
pub(crate) const PARTIAL_PATIENCE: std::time::Duration = std::time::Duration::from_secs(10);

/// Bytes of a line that are kept. A longer line is dropped as a whole.
pub(crate) const LINE_BYTES: usize = 8 * 1024 * 1024;

/// A line, or the mark of a dropped one.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum OutputLine {
    /// The line without its line end.
    Whole(Vec<u8>),
    /// The line was longer than the bound.
    TooLong,
}

/// A splitter that keeps the incomplete line.
#[derive(Debug)]
pub(crate) struct OutputLines {
    kept: Vec<u8>,
    bound: usize,
    dropping: bool,
}

impl OutputLines {
    pub(crate) fn new(bound: usize) -> Self {
        Self {
            kept: Vec::new(),
            bound,
            dropping: false,
        }
    }

    /// Takes bytes. Returns the lines that they complete.
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

    /// Whether an incomplete line is kept.
    pub(crate) const fn has_partial(&self) -> bool {
        !self.kept.is_empty()
    }

    /// Takes the incomplete line if it is a complete JSON object.
    pub(crate) fn whole_object(&mut self) -> Option<OutputLine> {
        let text = self.kept.trim_ascii();
        let is_whole =
            text.starts_with(b"{") && serde_json::from_slice::<serde::de::IgnoredAny>(text).is_ok();
        is_whole.then(|| self.line())
    }

    /// Takes the last line, if it has no line end.
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
    fn lines_survive_any_split_and_long_ones_are_dropped() {
        let text = b"ab\r\n\n0123456789\ncd";
        let whole = |text: &str| OutputLine::Whole(text.as_bytes().to_vec());
        for size in 1..=text.len() {
            let mut lines = OutputLines::new(8);
            let mut found: Vec<OutputLine> =
                text.chunks(size).flat_map(|it| lines.push(it)).collect();
            found.extend(lines.end());
            let expected = [whole("ab"), whole(""), OutputLine::TooLong, whole("cd")];
            assert_eq!(found, expected, "cut every {size}");
        }
    }
}
