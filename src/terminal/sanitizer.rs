//! Makes text of tasks (prompts, results, output, names) safe for the user's terminal: without escape sequences, so that no
//! task can move the cursor, change colours, hide text or set the window's title. In a pipe, text is not changed.

use super::escapes::EscapeStripper;

/// Sanitizes a text that arrives in pieces, which may be split anywhere.
#[derive(Clone, Debug, Default)]
pub struct Sanitizer {
    escapes: EscapeStripper,
    /// The last character was a carriage return. Without a line end after it, the text would overwrite its own line.
    returned: bool,
}

impl Sanitizer {
    /// The safe part of the next piece: visible characters, tabs and line ends.
    pub fn piece(&mut self, text: &str) -> String {
        let mut shown = String::with_capacity(text.len());
        let returned = &mut self.returned;
        self.escapes.push(text, |c| {
            if std::mem::take(returned) && c != '\n' {
                shown.push('\n');
            }
            match c {
                '\r' => *returned = true,
                '\x08' => {}
                c => shown.push(c),
            }
        });
        shown
    }

    /// Sanitizes a complete text.
    pub fn whole(text: &str) -> String {
        Sanitizer::default().piece(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_moves_the_cursor_wherever_it_is_split() {
        let evil = "a\x1b]0;title\x07\x1b[2Jb\rc\r\nd\x08\te\u{202e}f\u{9b}31mg\n";
        assert_eq!(Sanitizer::whole(evil), "ab\nc\nd\tefg\n");
        for (at, _) in evil.char_indices() {
            let (head, tail) = evil.split_at(at);
            let mut sanitizer = Sanitizer::default();
            let shown = sanitizer.piece(head) + &sanitizer.piece(tail);
            assert_eq!(shown, "ab\nc\nd\tefg\n", "split at {at}");
        }
    }
}
