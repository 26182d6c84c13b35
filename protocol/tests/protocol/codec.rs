//! The splitter returns the same lines for any division of the bytes into chunks.

use kirosu_protocol::{LineSplitter, SplitLine};
use proptest::prelude::*;

fn drain(splitter: &mut LineSplitter, found: &mut Vec<Option<Vec<u8>>>) {
    while let Some(line) = splitter.next_line() {
        found.push(match line {
            SplitLine::Text(text) => Some(text.to_vec()),
            SplitLine::Long(line) => Some(line.join()),
            SplitLine::TooLong => None,
        });
    }
}

/// All lines of a stream that arrives in these chunks. `None` means a line that is too long.
fn lines<'a>(pieces: impl IntoIterator<Item = &'a [u8]>, limit: usize) -> Vec<Option<Vec<u8>>> {
    let (mut splitter, mut found) = (LineSplitter::new(limit), Vec::new());
    for piece in pieces {
        splitter.push(piece);
        drain(&mut splitter, &mut found);
        assert!(
            splitter.pending() <= limit,
            "an unfinished line holds more than the limit"
        );
    }
    match splitter.finish() {
        Some(SplitLine::Text(text)) => found.push(Some(text.to_vec())),
        Some(SplitLine::Long(line)) => found.push(Some(line.join())),
        Some(SplitLine::TooLong) | None => {}
    }
    found
}

fn text(line: &str) -> Option<Vec<u8>> {
    Some(line.as_bytes().to_vec())
}

#[test]
fn line_ends_blank_lines_and_the_last_line() {
    let stream = b"a\n\r\n \t\nb\r\n\nlast".as_slice();
    assert_eq!(lines([stream], 100), [text("a"), text("b"), text("last")]);
}

#[test]
fn a_long_line_is_reported_once_and_the_next_one_is_read() {
    let stream = b"ok\n0123456789ABC\nagain\n".as_slice();
    assert_eq!(lines([stream], 10), [text("ok"), None, text("again")]);
    assert_eq!(
        lines([b"0123456789\n".as_slice()], 10),
        [text("0123456789")]
    );
    assert_eq!(lines([b"0123456789A".as_slice()], 10), [None]);
}

#[test]
fn a_line_that_arrives_in_many_chunks_is_whole() {
    let long: String = ('a'..='z').cycle().take(1_000_000).collect();
    let blank = " ".repeat(400_000);
    let stream = format!("a\n{long}\r\n{blank}\nb\n{long}");
    let expected = [text("a"), text(&long), text("b"), text(&long)];
    // With the second, the line's `\r` is the last byte of a chunk.
    for chunk in [stream.len(), 500_001, 65_536, 1000] {
        assert_eq!(
            lines(stream.as_bytes().chunks(chunk), 1 << 20),
            expected,
            "{chunk}"
        );
    }
    let limit = 999_999;
    let expected = [text("a"), None, text("b"), None];
    assert_eq!(lines(stream.as_bytes().chunks(65_536), limit), expected);
}

#[test]
fn an_endless_line_holds_no_memory() {
    let mut splitter = LineSplitter::new(1000);
    let mut told = 0;
    for _ in 0..1000 {
        splitter.push(&[b'x'; 4096]);
        while splitter.next_line().is_some() {
            told += 1;
        }
    }
    assert_eq!((told, splitter.pending()), (1, 0));
    assert!(splitter.buffer().capacity() <= 64 << 10);
}

proptest! {
    #[test]
    fn any_split_gives_the_same_lines(
        stream in prop::collection::vec(prop_oneof![Just(b'\n'), Just(b'\r'), Just(b' '), Just(b'x'), any::<u8>()], 0..400),
        cuts in prop::collection::vec(1usize..40, 1..60),
        limit in 1usize..30,
    ) {
        let mut pieces = Vec::new();
        let mut rest = stream.as_slice();
        for cut in cuts.iter().cycle() {
            if rest.is_empty() {
                break;
            }
            let (piece, more) = rest.split_at((*cut).min(rest.len()));
            pieces.push(piece);
            rest = more;
        }
        prop_assert_eq!(lines(pieces, limit), lines([stream.as_slice()], limit));
    }
}
