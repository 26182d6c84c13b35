//! Texts of tasks made harmless: whatever a prompt, a result or a run's output holds, it cannot move the cursor, colour
//! the terminal, hide text or turn its direction.

/// What a character becomes on the screen; none: it is left out.
///
/// Left out are characters that a terminal may give another width than we do (joiners, variation selectors), that turn
/// the direction of writing, or that control. A flag becomes its two letters, as half of the terminals draw it so.
pub fn harmless(c: char) -> Option<char> {
    match u32::from(c) {
        0x1f1e6..=0x1f1ff => char::from_u32(u32::from(c) - 0x1f1e6 + u32::from('A')),
        0x200b..=0x200f | 0x2028..=0x202e | 0x2060..=0x206f | 0xfe00..=0xfe0f => None,
        0xad | 0x61c | 0x115f..=0x1160 | 0x3164 | 0xfeff | 0xfff9..=0xfffb | 0xe0000..=0xe0fff => {
            None
        }
        _ if c.is_control() => None,
        _ => Some(c),
    }
}

/// Takes escape sequences out of a text that comes in pieces; a sequence may be cut anywhere.
#[derive(Clone, Debug, Default)]
pub struct Cleaner {
    within: Within,
}

/// Where in a sequence the last piece ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Within {
    #[default]
    Text,
    Escape,
    /// `ESC [`, up to its final letter.
    Control,
    /// `ESC ]` and its like, up to `BEL`, `ESC \` or the end of the line.
    Command,
    /// An escape within a command: perhaps its end.
    CommandEscape,
}

impl Cleaner {
    /// Hands on what is left: characters, line ends, carriage returns, tabs and backspaces.
    pub fn push(&mut self, text: &str, mut put: impl FnMut(char)) {
        for c in text.chars() {
            self.within = match (self.within, c) {
                (Within::Text | Within::Escape | Within::Control, '\x1b') => Within::Escape,
                (Within::Text, '\u{9b}') | (Within::Escape, '[') => Within::Control,
                (Within::Text, '\u{90}' | '\u{98}' | '\u{9d}'..='\u{9f}')
                | (Within::Escape, ']' | 'P' | '_' | '^' | 'X') => Within::Command,
                // Letters between: `ESC ( B` and its like.
                (Within::Escape, ' '..='/') => Within::Escape,
                (Within::Escape, _) => Within::Text,
                (Within::Control, '@'..='~') => Within::Text,
                (Within::Control, ' '..='?') => Within::Control,
                (Within::Command, '\x1b') => Within::CommandEscape,
                (Within::Command, '\x07' | '\u{9c}') => Within::Text,
                (Within::CommandEscape, '\\') => Within::Text,
                (Within::Command | Within::CommandEscape, c) if c != '\n' => Within::Command,
                (_, c) => {
                    match c {
                        '\n' | '\r' | '\t' | '\x08' => put(c),
                        '\u{2028}' | '\u{2029}' | '\u{85}' => put('\n'),
                        c => harmless(c).into_iter().for_each(&mut put),
                    }
                    Within::Text
                }
            };
        }
    }
}

/// The start of a text in one line: at most `most` characters, blanks of any kind as one.
pub fn one_line(text: &str, most: usize) -> String {
    let mut line = String::new();
    let mut left = most;
    let mut blank = false;
    // Enough of a long text, even where much of it is escapes.
    let start: String = text
        .trim_start()
        .chars()
        .take(most.saturating_mul(4))
        .collect();
    Cleaner::default().push(&start, |c| {
        if c.is_whitespace() || c == '\x08' {
            blank = true;
        } else if left > 0 {
            if std::mem::take(&mut blank) && !line.is_empty() {
                line.push(' ');
            }
            line.push(c);
            left -= 1;
        }
    });
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cleaned(pieces: &[&str]) -> String {
        let (mut cleaner, mut text) = (Cleaner::default(), String::new());
        for piece in pieces {
            cleaner.push(piece, |c| text.push(c));
        }
        text
    }

    #[test]
    fn sequences_go_wherever_they_are_cut() {
        assert_eq!(cleaned(&["a\x1b[31mred\x1b[0m b"]), "ared b");
        assert_eq!(cleaned(&["a\x1b", "[3", "1mb"]), "ab");
        assert_eq!(cleaned(&["\x1b]0;title\x07x\x1b]8;;u\x1b\\y"]), "xy");
        assert_eq!(cleaned(&["\x1b]0;never ended\nnext"]), "\nnext");
        assert_eq!(cleaned(&["\x1b(Bz\x1bcq\u{9b}2Jw"]), "zqw");
        assert_eq!(
            cleaned(&["bell\x07 nul\0 keep\ttab\r\n"]),
            "bell nul keep\ttab\r\n"
        );
    }

    #[test]
    fn nothing_turns_the_line_or_has_a_doubtful_width() {
        let text = one_line("\u{202e}evil\u{2066} 👩\u{200d}💻 🇩🇪 \u{1b}[2Jx\n\n y", 40);
        assert_eq!(text, "evil 👩💻 DE x y");
        assert_eq!(one_line("abcdef", 3), "abc");
    }
}
