//! Server-sent events: parses bytes in pieces of any size, by the HTML standard, in bounded memory.
//!
//! Existing crates bound neither a line nor an event. Two deviations from the standard: id and retry time are ignored,
//! because nothing is resumed; and [`SseParser::end`] returns an event without its final empty line, because some servers
//! close right after their last event.

/// Bytes of one event that are kept. The last event of some APIs repeats the whole request.
pub(super) const EVENT_BYTES: usize = 16 * 1024 * 1024;

/// One event.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct SseEvent {
    /// Its name; empty without one.
    pub(super) event: String,
    /// Its data lines, joined.
    pub(super) data: String,
}

/// An event was longer than the bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TooLong;

/// A parser that keeps the incomplete event.
#[derive(Debug)]
pub(super) struct SseParser {
    bound: usize,
    line: Vec<u8>,
    message: SseEvent,
    has_data: bool,
    /// Whether the last byte was a CR, so that an LF belongs to it.
    after_cr: bool,
    is_first_line: bool,
}

impl SseParser {
    pub(super) fn new(bound: usize) -> Self {
        Self {
            bound,
            line: Vec::new(),
            message: SseEvent::default(),
            has_data: false,
            after_cr: false,
            is_first_line: true,
        }
    }

    /// Takes bytes. Returns the events that they complete.
    ///
    /// # Errors
    /// When an event is longer than the bound.
    pub(super) fn push(&mut self, bytes: &[u8]) -> Result<Vec<SseEvent>, TooLong> {
        let mut messages = Vec::new();
        for piece in bytes.split_inclusive(|byte| matches!(byte, b'\r' | b'\n')) {
            let (end, body) = match piece.split_last() {
                Some((end @ (b'\r' | b'\n'), body)) => (Some(*end), body),
                _ => (None, piece),
            };
            let rest_of_crlf = std::mem::take(&mut self.after_cr) && piece == b"\n";
            if rest_of_crlf {
                continue;
            }
            if self.line.len() + self.message.data.len() + body.len() > self.bound {
                return Err(TooLong);
            }
            self.line.extend_from_slice(body);
            if let Some(end) = end {
                self.after_cr = end == b'\r';
                messages.extend(self.line());
            }
        }
        Ok(messages)
    }

    /// The event that the end of the stream cut off, where it has data.
    pub(super) fn end(&mut self) -> Option<SseEvent> {
        if !self.line.is_empty() {
            self.line();
        }
        self.dispatch()
    }

    /// Takes the line that is now complete.
    fn line(&mut self) -> Option<SseEvent> {
        let line = std::mem::take(&mut self.line);
        let line = String::from_utf8_lossy(&line);
        let line = match std::mem::take(&mut self.is_first_line) {
            true => line.strip_prefix('\u{feff}').unwrap_or(&line),
            false => &line,
        };
        if line.is_empty() {
            return self.dispatch();
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "data" => {
                if self.has_data {
                    self.message.data.push('\n');
                }
                self.has_data = true;
                self.message.data.push_str(value);
            }
            "event" => value.clone_into(&mut self.message.event),
            _ => {}
        }
        None
    }

    fn dispatch(&mut self) -> Option<SseEvent> {
        let message = std::mem::take(&mut self.message);
        std::mem::take(&mut self.has_data).then_some(message)
    }
}

/// Parses bytes as one stream, in chunks of the size that the first byte names and as a whole.
///
/// # Panics
/// When the events depend on how the bytes were divided.
#[cfg(any(test, fuzzing))]
pub fn fuzz_sse(bytes: &[u8]) {
    const BOUND: usize = 1024;
    let events = |chunk_bytes: usize| {
        let (mut parser, mut events) = (SseParser::new(BOUND), Vec::new());
        for chunk in bytes.chunks(chunk_bytes) {
            // A stream with an event that is too long ends there; how many events came before it in its chunk is not promised.
            events.extend(parser.push(chunk).ok()?);
        }
        events.extend(parser.end());
        Some(events)
    };
    let size = bytes.first().map_or(1, |byte| usize::from(*byte).max(1));
    assert_eq!(events(size), events(bytes.len().max(1)));
}

#[cfg(test)]
mod tests {
    use super::*;

    const STREAM: &str = "\u{feff}: hello\r\nevent: one\r\ndata: {\"a\":\r\ndata: \"grüße\"}\r\n\r\n\
        :\n\nid: 7\nretry: 3\ndata:two\n\nevent: empty\n\ndata\rdata\r\rdata: end";

    fn read(cut: usize) -> Vec<SseEvent> {
        let mut parser = SseParser::new(1024);
        let mut messages = Vec::new();
        for piece in STREAM.as_bytes().chunks(cut) {
            messages.extend(parser.push(piece).unwrap());
        }
        messages.extend(parser.end());
        messages
    }

    #[test]
    fn any_cut_gives_the_same_events() {
        let message = |event: &str, data: &str| SseEvent {
            event: event.to_owned(),
            data: data.to_owned(),
        };
        let all = [
            message("one", "{\"a\":\n\"grüße\"}"),
            message("", "two"),
            message("", "\n"),
            message("", "end"),
        ];
        for cut in 1..=STREAM.len() {
            assert_eq!(read(cut), all, "cut every {cut}");
        }
    }

    #[test]
    fn neither_a_line_nor_an_event_grows_beyond_the_bound() {
        let mut parser = SseParser::new(64);
        let endless = (0..20).try_for_each(|_| parser.push(b"data: xx").map(drop));
        assert_eq!(endless, Err(TooLong));
        let mut parser = SseParser::new(64);
        let endless = (0..40).try_for_each(|_| parser.push(b"data: xx\n").map(drop));
        assert_eq!(endless, Err(TooLong));
    }
}
