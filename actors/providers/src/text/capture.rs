//! Program output in bounded memory: the beginning of stdout, the end of stderr.

use std::collections::VecDeque;

use kirosu_protocol::text::head;

use super::ansi::Ansi;
use super::utf8::Decoder;

/// Bytes of stderr that are kept.
pub(crate) const STDERR_BYTES: usize = 64 * 1024;

/// The answer: the first `limit` bytes of stdout, as text.
#[derive(Debug)]
pub(crate) struct CappedAnswer {
    decoder: Decoder,
    text: String,
    limit: usize,
    dropped: u64,
}

impl CappedAnswer {
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            decoder: Decoder::default(),
            text: String::new(),
            limit,
            dropped: 0,
        }
    }

    /// Takes a piece. Returns the part of it that is kept, for the event stream.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> &str {
        let from = self.text.len();
        if self.dropped > 0 {
            self.dropped += bytes.len() as u64;
        } else {
            let piece = self.decoder.push(bytes);
            self.keep(&piece);
        }
        &self.text[from..]
    }

    /// Whether a part of the answer was dropped.
    pub(crate) const fn is_cut(&self) -> bool {
        self.dropped > 0
    }

    /// The text so far.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// The answer, without one trailing newline, or with a mark where it was cut.
    pub(crate) fn finish(mut self) -> String {
        if self.dropped == 0 {
            let last = self.decoder.finish();
            self.keep(last);
        }
        if self.dropped > 0 {
            let mark = mark(self.dropped);
            return self.text + &mark;
        }
        if self.text.ends_with('\n') {
            self.text.pop();
            if self.text.ends_with('\r') {
                self.text.pop();
            }
        }
        self.text
    }

    fn keep(&mut self, piece: &str) {
        let room = self.limit - self.text.len();
        let (kept, dropped) = piece.split_at(head(piece, room).len());
        self.text.push_str(kept);
        self.dropped += dropped.len() as u64;
    }
}

fn mark(dropped: u64) -> String {
    format!(
        "\n[output cut here: {dropped} more bytes were not kept; `max_output` of the pool is the limit]"
    )
}

/// Cuts a text that is longer than `limit` bytes and adds the mark.
pub(crate) fn cut(text: &mut String, limit: usize) {
    let kept = head(text, limit).len();
    let dropped = (text.len() - kept) as u64;
    if dropped > 0 {
        text.truncate(kept);
        text.push_str(&mark(dropped));
    }
}

/// The last [`STDERR_BYTES`] bytes of stderr.
#[derive(Debug, Default)]
pub(crate) struct StderrTail {
    bytes: VecDeque<u8>,
}

impl StderrTail {
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        let bytes = &bytes[bytes.len().saturating_sub(STDERR_BYTES)..];
        let excess = (self.bytes.len() + bytes.len()).saturating_sub(STDERR_BYTES);
        self.bytes.drain(..excess);
        self.bytes.extend(bytes);
    }

    /// The text without terminal sequences and surrounding whitespace.
    pub(crate) fn finish(self) -> String {
        let bytes: Vec<u8> = self.bytes.into();
        let bytes = Ansi::default().strip(&bytes);
        String::from_utf8_lossy(&bytes).trim().to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(limit: usize, pieces: &[&[u8]]) -> String {
        let mut it = CappedAnswer::new(limit);
        for piece in pieces {
            it.push(piece);
        }
        it.finish()
    }

    #[test]
    fn keeps_the_beginning_and_marks_the_cut() {
        assert_eq!(answer(9, &[b"hello\n"]), "hello");
        assert_eq!(answer(9, &[b"hello\n\n"]), "hello\n");
        assert_eq!(answer(9, &[b"hello\r\n"]), "hello");
        assert_eq!(answer(5, &[b"hello"]), "hello");
        assert!(answer(4, &[b"he", b"llo", b"!!"]).starts_with("hell\n[output cut here: 3 more"));
        // A character is kept whole or not at all.
        assert!(answer(2, &["aß".as_bytes()]).starts_with("a\n[output cut here: 2 more"));
    }

    #[test]
    fn the_tail_is_the_end() {
        let mut tail = StderrTail::default();
        tail.push(&vec![b'a'; STDERR_BYTES]);
        tail.push(b"the end\n");
        let text = tail.finish();
        assert_eq!(text.len(), STDERR_BYTES - 1);
        assert!(text.ends_with("aathe end"));
        let mut tail = StderrTail::default();
        tail.push(b"\x1b[31mError:\x1b[0m no\n");
        assert_eq!(tail.finish(), "Error: no");
    }
}
