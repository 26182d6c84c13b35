//! The entry point of the fuzz target `frame` (`fuzz/`). A test calls it too, with random bytes.

use crate::answer::{write_error, write_result};
use crate::{Frame, Limits, LineSplitter, Request, SplitLine};

/// Reads bytes as a client's connection does.
///
/// # Panics
/// When the lines depend on how the bytes were divided into chunks, or a line does not get exactly one line as its answer.
pub fn frame(bytes: &[u8]) {
    let limits = Limits {
        line_bytes: 4096,
        ..Limits::default()
    };
    let (first, rest) = bytes.split_at(bytes.len().min(1));
    let size = first.first().map_or(1, |byte| usize::from(*byte).max(1));
    let lines = split([rest], limits.line_bytes);
    assert_eq!(lines, split(rest.chunks(size), limits.line_bytes));
    for line in lines.iter().flatten() {
        let out = answer(line, &limits);
        assert_eq!(out.iter().filter(|byte| **byte == b'\n').count(), 1);
    }
}

/// The lines of a stream; `None` means a line that is too long.
fn split<'a>(chunks: impl IntoIterator<Item = &'a [u8]>, limit: usize) -> Vec<Option<Vec<u8>>> {
    let text = |line: SplitLine<'_>| match line {
        SplitLine::Text(text) => Some(text.to_vec()),
        SplitLine::Long(line) => Some(line.join()),
        SplitLine::TooLong => None,
    };
    let (mut splitter, mut lines) = (LineSplitter::new(limit), Vec::new());
    for chunk in chunks {
        splitter.push(chunk);
        while let Some(line) = splitter.next_line() {
            lines.push(text(line));
        }
    }
    lines.extend(splitter.finish().map(text));
    lines
}

/// The answer of a hub that executes nothing.
fn answer(line: &[u8], limits: &Limits) -> Vec<u8> {
    let mut out = Vec::new();
    match Frame::read(line, limits) {
        Err(bad) => write_error(&mut out, &bad.id, bad.jsonrpc, &bad.error),
        Ok(frame) => match Request::read(&frame.method, &frame.params, limits) {
            Ok(request) => {
                write_result(&mut out, &frame.id, frame.jsonrpc, &request.method().name())
            }
            Err(error) => write_error(&mut out, &frame.id, frame.jsonrpc, &error),
        },
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_bytes_have_the_same_lines_in_any_chunks_and_an_answer_each(
            bytes in prop::collection::vec(prop_oneof![Just(b'\n'), Just(b'{'), Just(b'"'), any::<u8>()], 0..400)
        ) {
            super::frame(&bytes);
        }
    }
}
