//! Removes terminal control sequences from bytes, in pieces of any size.

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum AnsiState {
    #[default]
    Text,
    /// After ESC.
    Escape,
    /// In a control sequence (`ESC [`), up to its final byte.
    Control,
    /// In a string (`ESC ]` and similar), up to BEL or ESC \.
    Label,
    /// After ESC within such a string.
    LabelEscape,
}

/// The text without whitespace and sequences at both ends.
pub(crate) fn trimmed(mut text: &str) -> &str {
    loop {
        text = text.trim();
        let at_begin = sequence(text).unwrap_or(0);
        let at_end = text
            .rfind('\x1b')
            .filter(|at| sequence(&text[*at..]) == Some(text.len() - at))
            .unwrap_or(text.len());
        if at_begin == 0 && at_end == text.len() {
            return text;
        }
        text = &text[at_begin..at_end.max(at_begin)];
    }
}

/// The length in bytes of the sequence at the beginning.
fn sequence(text: &str) -> Option<usize> {
    let mut ansi = Ansi::default();
    let bytes = text.strip_prefix('\x1b').map(|_| text.as_bytes())?;
    for (at, byte) in bytes.iter().enumerate() {
        let is_after = ansi.keeps(*byte);
        if ansi.0 == AnsiState::Text {
            return Some(if is_after { at } else { at + 1 });
        }
    }
    None
}

/// A filter that keeps its state between pieces.
#[derive(Debug, Default)]
pub(crate) struct Ansi(AnsiState);

impl Ansi {
    /// The bytes without sequences.
    pub(crate) fn strip(&mut self, bytes: &[u8]) -> Vec<u8> {
        if self.0 == AnsiState::Text && !bytes.contains(&0x1b) {
            return bytes.to_vec();
        }
        bytes.iter().copied().filter(|it| self.keeps(*it)).collect()
    }

    fn keeps(&mut self, byte: u8) -> bool {
        let (next, keep) = match (self.0, byte) {
            (AnsiState::Text, 0x1b) => (AnsiState::Escape, false),
            (AnsiState::Text, _) => (AnsiState::Text, true),
            (AnsiState::Escape, b'[') => (AnsiState::Control, false),
            (AnsiState::Escape, b']' | b'P' | b'X' | b'^' | b'_') => (AnsiState::Label, false),
            // Intermediate bytes; a later one ends the sequence.
            (AnsiState::Escape, 0x20..=0x2f) => (AnsiState::Escape, false),
            (AnsiState::Escape, 0x1b) => (AnsiState::Escape, false),
            // A line end, or a byte of a character beyond ASCII: neither belongs to a sequence.
            (AnsiState::Escape, b'\n' | 0x80..) => (AnsiState::Text, true),
            (AnsiState::Escape, _) => (AnsiState::Text, false),
            (AnsiState::Control, 0x40..=0x7e) => (AnsiState::Text, false),
            // A line end ends a sequence that was broken off.
            (AnsiState::Control, b'\n') => (AnsiState::Text, true),
            (AnsiState::Control, _) => (AnsiState::Control, false),
            (AnsiState::Label, 0x07) => (AnsiState::Text, false),
            (AnsiState::Label, 0x1b) => (AnsiState::LabelEscape, false),
            (AnsiState::Label, b'\n') => (AnsiState::Text, true),
            (AnsiState::Label, _) => (AnsiState::Label, false),
            (AnsiState::LabelEscape, b'\\') => (AnsiState::Text, false),
            // The escape has broken the string off and begins another sequence.
            (AnsiState::LabelEscape, byte) => {
                self.0 = AnsiState::Escape;
                return self.keeps(byte);
            }
        };
        self.0 = next;
        keep
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sequences_are_removed_for_any_split() {
        let text =
            "\x1b[1m\x1b[38;5;10m> \x1b[0mgrüße\x1b]8;;http://x\x1b\\link\x1b]0;t\x07 \x1b(Bend\n";
        for size in 1..=text.len() {
            let mut ansi = Ansi::default();
            let pieces = text.as_bytes().chunks(size).flat_map(|it| ansi.strip(it));
            let plain = String::from_utf8(pieces.collect()).unwrap();
            assert_eq!(plain, "> grüßelink end\n", "cut every {size}");
        }
    }

    #[test]
    fn no_character_beyond_ascii_is_part_of_a_sequence() {
        for text in ["\x1bü", "\x1b]title\x1bü", "\x1b \u{fffd}"] {
            let left = text.chars().next_back().unwrap().to_string();
            let plain = Ansi::default().strip(text.as_bytes());
            assert_eq!(String::from_utf8(plain).unwrap(), left, "{text:?}");
            assert_eq!(
                trimmed(text).chars().next_back(),
                left.chars().next(),
                "{text:?}"
            );
        }
        let broken_off = Ansi::default().strip(b"\x1b]title\x1b[1mbold\x1b\n");
        assert_eq!(broken_off, b"bold\n");
    }
}
