//! Decodes UTF-8 in pieces: a character that is split between two pieces stays whole, and invalid bytes become U+FFFD, as
//! with `String::from_utf8_lossy` on the whole.

use kirosu_protocol::text::head;

/// A decoder that keeps the beginning of a split character.
#[derive(Debug, Default)]
pub(crate) struct Decoder {
    /// The beginning of a split character, at most 3 bytes.
    carry: Vec<u8>,
}

impl Decoder {
    /// The text of this piece up to its last complete character.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> String {
        let joined;
        let bytes = if self.carry.is_empty() {
            bytes
        } else {
            self.carry.extend_from_slice(bytes);
            joined = std::mem::take(&mut self.carry);
            &joined
        };
        let mut text = String::with_capacity(bytes.len());
        let mut chunks = bytes.utf8_chunks().peekable();
        while let Some(chunk) = chunks.next() {
            text.push_str(chunk.valid());
            let rest = chunk.invalid();
            if rest.is_empty() {
                continue;
            }
            if chunks.peek().is_none() && may_go_on(rest) {
                self.carry = rest.to_vec();
            } else {
                text.push(char::REPLACEMENT_CHARACTER);
            }
        }
        text
    }

    /// The replacement for an incomplete last character, or an empty string.
    pub(crate) fn finish(&mut self) -> &'static str {
        if std::mem::take(&mut self.carry).is_empty() {
            ""
        } else {
            "\u{FFFD}"
        }
    }
}

/// The text in pieces of at most `size` bytes, cut at character boundaries.
pub(crate) fn pieces(mut text: &str, size: usize) -> impl Iterator<Item = &str> {
    std::iter::from_fn(move || {
        let (piece, rest) = text.split_at(head(text, size).len());
        text = rest;
        (!piece.is_empty()).then_some(piece)
    })
}

/// Whether these bytes are the beginning of a character and not invalid.
fn may_go_on(bytes: &[u8]) -> bool {
    std::str::from_utf8(bytes).is_err_and(|error| error.error_len().is_none())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_cut_gives_the_same_text_as_no_cut() {
        let samples: [&[u8]; 4] = [
            "grüße 🦀 ẞ end".as_bytes(),
            b"\xff\xfe ok \xf0\x9f\xa6 tail",
            b"\xe2\x82\xe2\x82\xac\xf0\x9f\xa6\x80\xf0\x9f",
            b"\x80\x80\xc3",
        ];
        for sample in samples {
            for size in 1..=sample.len() {
                let mut decoder = Decoder::default();
                let mut text: String = sample.chunks(size).map(|it| decoder.push(it)).collect();
                text.push_str(decoder.finish());
                assert_eq!(text, String::from_utf8_lossy(sample), "cut every {size}");
            }
        }
    }
}
