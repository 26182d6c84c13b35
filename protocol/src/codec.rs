//! Splits bytes into lines, in bounded memory.

/// An empty buffer with a greater capacity, in bytes, is freed, so that thousands of idle connections need little memory.
const KEEP_BYTES: usize = 64 << 10;

/// Bytes of an incomplete line from which it is kept in pieces: to grow one buffer copies all of it again and again.
const PIECE_BYTES: usize = 128 << 10;

/// A line of the stream, or the report of one that is too long.
#[derive(Debug, PartialEq, Eq)]
pub enum SplitLine<'a> {
    /// A line that is not blank, without its line end (`\n` or `\r\n`).
    Text(&'a [u8]),
    /// The same, if it is long and arrived in several chunks.
    Long(LongLine),
    /// A line longer than the limit. Its bytes are dropped; the line after it is read as usual.
    TooLong,
}

/// A long line, in the pieces in which it arrived.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct LongLine {
    pieces: Vec<Vec<u8>>,
    bytes: usize,
}

impl LongLine {
    fn push(&mut self, piece: Vec<u8>) {
        self.bytes += piece.len();
        self.pieces.push(piece);
    }

    fn is_blank(&self) -> bool {
        self.pieces.iter().all(|piece| is_blank(piece))
    }

    /// The line as one text. Takes about a millisecond per megabyte.
    pub fn join(self) -> Vec<u8> {
        let mut text = self.pieces.concat();
        text.truncate(without_cr(&text).len());
        text
    }
}

impl From<&[u8]> for LongLine {
    fn from(text: &[u8]) -> LongLine {
        let mut line = LongLine::default();
        line.push(text.to_vec());
        line
    }
}

impl SplitLine<'_> {
    /// The first byte that is not white space. `None` for a line that is too long.
    pub fn first_byte(&self) -> Option<u8> {
        match self {
            SplitLine::Text(text) => first_byte(text),
            SplitLine::Long(line) => line.pieces.iter().find_map(|piece| first_byte(piece)),
            SplitLine::TooLong => None,
        }
    }
}

/// Splits a stream of bytes into lines. Holds at most `limit` bytes and one chunk from the caller.
///
/// Append bytes with [`push`](LineSplitter::push) or to [`buffer`](LineSplitter::buffer), then call
/// [`next_line`](LineSplitter::next_line) until it returns `None`. At the end of the stream call
/// [`finish`](LineSplitter::finish) once.
#[derive(Debug)]
pub struct LineSplitter {
    buffer: Vec<u8>,
    /// Index of the first byte of the current line.
    start: usize,
    /// Index up to which there is no line end. A long line that arrives slowly is not scanned again with each chunk.
    scanned: usize,
    /// The beginning of the current line, if it is long.
    long: LongLine,
    limit: usize,
    /// Whether the current line was already reported as too long.
    skipping: bool,
}

impl LineSplitter {
    /// A splitter for lines of at most `limit` bytes. A `\r` before the `\n` counts.
    pub fn new(limit: usize) -> LineSplitter {
        LineSplitter {
            buffer: Vec::new(),
            start: 0,
            scanned: 0,
            long: LongLine::default(),
            limit,
            skipping: false,
        }
    }

    /// Appends a chunk of the stream.
    pub fn push(&mut self, chunk: &[u8]) {
        self.buffer().extend_from_slice(chunk);
    }

    /// The buffer, to append to, for example with `read_buf`. Reserve space first: `read_buf` adds only 64 bytes to a full
    /// `Vec`. Drops the lines that were already returned.
    pub fn buffer(&mut self) -> &mut Vec<u8> {
        if self.start > 0 {
            self.buffer.drain(..self.start);
            self.scanned -= self.start;
            self.start = 0;
        }
        if self.scanned == self.buffer.len() && self.buffer.len() >= PIECE_BYTES {
            self.long.push(std::mem::take(&mut self.buffer));
            self.scanned = 0;
        }
        if self.buffer.is_empty() && self.buffer.capacity() > KEEP_BYTES {
            self.buffer = Vec::new();
        }
        &mut self.buffer
    }

    /// The next complete line; blank lines are skipped. `None` means that more bytes are needed.
    pub fn next_line(&mut self) -> Option<SplitLine<'_>> {
        loop {
            let Some(offset) = find_newline(&self.buffer[self.scanned..]) else {
                return self.incomplete();
            };
            let (from, end) = (self.start, self.scanned + offset);
            self.start = end + 1;
            self.scanned = end + 1;
            if std::mem::take(&mut self.skipping) {
                continue;
            }
            if self.long.bytes + end - from > self.limit {
                self.long = LongLine::default();
                return Some(SplitLine::TooLong);
            }
            if self.long.bytes > 0 {
                let line = self.take_long(from, end);
                if !line.is_blank() {
                    return Some(SplitLine::Long(line));
                }
            } else if !is_blank(&self.buffer[from..end]) {
                return Some(SplitLine::Text(without_cr(&self.buffer[from..end])));
            }
        }
    }

    /// The last line, if the stream ended without a line end. Call it after `next_line` returned `None`.
    pub fn finish(&mut self) -> Option<SplitLine<'_>> {
        let (from, end) = (self.start, self.buffer.len());
        self.start = end;
        self.scanned = end;
        let skipped = std::mem::take(&mut self.skipping);
        if self.long.bytes > 0 {
            let line = self.take_long(from, end);
            return (!line.is_blank()).then_some(SplitLine::Long(line));
        }
        if skipped || is_blank(&self.buffer[from..end]) {
            return None;
        }
        Some(SplitLine::Text(without_cr(&self.buffer[from..end])))
    }

    /// The first byte that is not white space of the line that is not complete yet, if it is among the first 64 KiB or so: the
    /// cost must not grow with the line.
    pub fn first_byte(&self) -> Option<u8> {
        let first = self.long.pieces.first().map(Vec::as_slice);
        let first = first.unwrap_or(&self.buffer[self.start..]);
        first_byte(&first[..first.len().min(KEEP_BYTES)])
    }

    /// The number of bytes of the line that is not complete yet.
    pub fn pending(&self) -> usize {
        self.long.bytes + self.buffer.len() - self.start
    }

    /// The long line that ends with these bytes of the buffer.
    fn take_long(&mut self, from: usize, end: usize) -> LongLine {
        let mut line = std::mem::take(&mut self.long);
        line.push(self.buffer[from..end].to_vec());
        line
    }

    fn incomplete(&mut self) -> Option<SplitLine<'_>> {
        self.scanned = self.buffer.len();
        let too_long = self.pending() > self.limit;
        if self.skipping || too_long {
            self.start = self.buffer.len();
            self.long = LongLine::default();
        }
        if too_long && !self.skipping {
            self.skipping = true;
            return Some(SplitLine::TooLong);
        }
        None
    }
}

fn find_newline(bytes: &[u8]) -> Option<usize> {
    // Prompts are long and newlines rare, so this scans in blocks that the compiler can vectorise.
    let mut base = 0;
    for block in bytes.chunks(64) {
        if block.iter().fold(false, |hit, b| hit | (*b == b'\n')) {
            return block.iter().position(|b| *b == b'\n').map(|at| base + at);
        }
        base += block.len();
    }
    None
}

fn first_byte(text: &[u8]) -> Option<u8> {
    text.iter()
        .copied()
        .find(|byte| !byte.is_ascii_whitespace())
}

fn is_blank(line: &[u8]) -> bool {
    line.iter().all(u8::is_ascii_whitespace)
}

fn without_cr(line: &[u8]) -> &[u8] {
    line.strip_suffix(b"\r").unwrap_or(line)
}
