//! Removes escape sequences and invisible characters.
//!
//! A parser of terminals, such as `anstyle-parse`, lets a sequence without an end hide all text that follows. Here the end
//! of the line ends it.

use kirosu_protocol::text::visible;

/// Removes escape sequences from a text that arrives in pieces, which may be split anywhere.
#[derive(Clone, Debug, Default)]
pub struct EscapeStripper {
    state: EscapeState,
}

/// The position in a sequence at the end of the last piece.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum EscapeState {
    #[default]
    Text,
    Escape,
    /// After `ESC [`, up to its final letter.
    Control,
    /// After `ESC ]` and similar, up to `BEL`, `ESC \` or the end of the line.
    Command,
    /// After an escape within a command, which may end it.
    CommandEscape,
}

impl EscapeStripper {
    /// Passes the rest to `put`: visible characters, line ends, carriage returns, tabs and backspaces.
    pub fn push(&mut self, text: &str, mut put: impl FnMut(char)) {
        for c in text.chars() {
            self.state = match (self.state, c) {
                (EscapeState::Text | EscapeState::Escape | EscapeState::Control, '\x1b') => {
                    EscapeState::Escape
                }
                (EscapeState::Text, '\u{9b}') | (EscapeState::Escape, '[') => EscapeState::Control,
                (EscapeState::Text, '\u{90}' | '\u{98}' | '\u{9d}'..='\u{9f}')
                | (EscapeState::Escape, ']' | 'P' | '_' | '^' | 'X') => EscapeState::Command,
                // Intermediate bytes, as in `ESC ( B`.
                (EscapeState::Escape, ' '..='/') => EscapeState::Escape,
                (EscapeState::Escape, _) => EscapeState::Text,
                (EscapeState::Control, '@'..='~') => EscapeState::Text,
                (EscapeState::Control, ' '..='?') => EscapeState::Control,
                (EscapeState::Command, '\x1b') => EscapeState::CommandEscape,
                (EscapeState::Command, '\x07' | '\u{9c}') => EscapeState::Text,
                (EscapeState::CommandEscape, '\\') => EscapeState::Text,
                (EscapeState::Command | EscapeState::CommandEscape, c) if c != '\n' => {
                    EscapeState::Command
                }
                (_, c) => {
                    match c {
                        '\n' | '\r' | '\t' | '\x08' => put(c),
                        '\u{2028}' | '\u{2029}' | '\u{85}' => put('\n'),
                        c => visible(c).into_iter().for_each(&mut put),
                    }
                    EscapeState::Text
                }
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stripped(pieces: &[&str]) -> String {
        let (mut stripper, mut text) = (EscapeStripper::default(), String::new());
        for piece in pieces {
            stripper.push(piece, |c| text.push(c));
        }
        text
    }

    #[test]
    fn sequences_are_removed_wherever_they_are_split() {
        assert_eq!(stripped(&["a\x1b[31mred\x1b[0m b"]), "ared b");
        assert_eq!(stripped(&["a\x1b", "[3", "1mb"]), "ab");
        assert_eq!(stripped(&["\x1b]0;title\x07x\x1b]8;;u\x1b\\y"]), "xy");
        assert_eq!(stripped(&["\x1b]0;never ended\nnext"]), "\nnext");
        assert_eq!(stripped(&["\x1b(Bz\x1bcq\u{9b}2Jw"]), "zqw");
        assert_eq!(
            stripped(&["bell\x07 nul\0 keep\ttab\r\n"]),
            "bell nul keep\ttab\r\n"
        );
    }
}
