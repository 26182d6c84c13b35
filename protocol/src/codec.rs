//! Bytes to lines, in bounded memory.

/// A buffer kept longer than this once it is empty is given back: ten thousand idle connections must cost little.
const KEEP_BYTES: usize = 64 << 10;

/// What the splitter found next.
#[derive(Debug, PartialEq, Eq)]
pub enum Line<'a> {
    /// A line that is not blank, without its line end (`\n` or `\r\n`).
    Text(&'a [u8]),
    /// A line longer than the limit; its bytes are dropped, and the next line is read as usual.
    TooLong,
}

/// Splits a stream of bytes into lines. Holds at most one limit plus what the caller fed at once.
///
/// Feed with [`push`](LineSplitter::push) or read into [`buffer`](LineSplitter::buffer), then drain with
/// [`next_line`](LineSplitter::next_line) until it gives `None`; at the end of the stream call
/// [`finish`](LineSplitter::finish) once.
#[derive(Debug)]
pub struct LineSplitter {
    buffer: Vec<u8>,
    /// Where the present line begins.
    start: usize,
    /// Up to where no line end was found, so that a slow long line is not scanned again with each chunk.
    scanned: usize,
    limit: usize,
    /// Within a line that was already reported as too long.
    skipping: bool,
}

impl LineSplitter {
    /// A splitter that takes lines of up to `limit` bytes (a `\r` before the `\n` counts).
    pub fn new(limit: usize) -> LineSplitter {
        LineSplitter {
            buffer: Vec::new(),
            start: 0,
            scanned: 0,
            limit,
            skipping: false,
        }
    }

    /// Appends what came in.
    pub fn push(&mut self, chunk: &[u8]) {
        self.buffer().extend_from_slice(chunk);
    }

    /// The buffer to append to directly, as with `read_buf` (reserve room first: a full `Vec`
    /// offers only 64 bytes); only append. Lines already given out are dropped first.
    pub fn buffer(&mut self) -> &mut Vec<u8> {
        if self.start > 0 {
            self.buffer.drain(..self.start);
            self.scanned -= self.start;
            self.start = 0;
        }
        if self.buffer.is_empty() && self.buffer.capacity() > KEEP_BYTES {
            self.buffer = Vec::new();
        }
        &mut self.buffer
    }

    /// The next complete line; blank ones are passed over. `None`: more bytes are needed.
    pub fn next_line(&mut self) -> Option<Line<'_>> {
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
            if end - from > self.limit {
                return Some(Line::TooLong);
            }
            if !is_blank(&self.buffer[from..end]) {
                return Some(Line::Text(without_cr(&self.buffer[from..end])));
            }
        }
    }

    /// The last line, when the stream ended without a line end; call after `next_line` gave `None`.
    pub fn finish(&mut self) -> Option<Line<'_>> {
        let (from, end) = (self.start, self.buffer.len());
        self.start = end;
        self.scanned = end;
        let skipped = std::mem::take(&mut self.skipping);
        if skipped || is_blank(&self.buffer[from..end]) {
            return None;
        }
        Some(Line::Text(without_cr(&self.buffer[from..end])))
    }

    /// Bytes held for a line that is not complete yet.
    pub fn pending(&self) -> usize {
        self.buffer.len() - self.start
    }

    fn incomplete(&mut self) -> Option<Line<'_>> {
        self.scanned = self.buffer.len();
        let too_long = self.buffer.len() - self.start > self.limit;
        if self.skipping || too_long {
            self.start = self.buffer.len();
        }
        if too_long && !self.skipping {
            self.skipping = true;
            return Some(Line::TooLong);
        }
        None
    }
}

fn find_newline(bytes: &[u8]) -> Option<usize> {
    // In blocks that the compiler can vectorise; prompts are long and newlines rare.
    let mut base = 0;
    for block in bytes.chunks(64) {
        if block.iter().fold(false, |hit, b| hit | (*b == b'\n')) {
            return block.iter().position(|b| *b == b'\n').map(|at| base + at);
        }
        base += block.len();
    }
    None
}

fn is_blank(line: &[u8]) -> bool {
    line.iter().all(u8::is_ascii_whitespace)
}

fn without_cr(line: &[u8]) -> &[u8] {
    line.strip_suffix(b"\r").unwrap_or(line)
}
