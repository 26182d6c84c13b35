//! Texts that others wrote (prompts, results, output, names) on the user's terminal: without escape sequences, so that no
//! task can move the cursor, colour, hide text or set the window's title. In a pipe they stay as they are.

use crate::console::clean::Cleaner;

/// Cleans a text that may come in pieces, cut anywhere.
#[derive(Clone, Debug, Default)]
pub struct Foreign {
    cleaner: Cleaner,
    /// The last character was a carriage return; one that no line end follows would write over its own line.
    returned: bool,
}

impl Foreign {
    /// What of the next piece may be shown: lines, tabs, and characters that only stand there.
    pub fn piece(&mut self, text: &str) -> String {
        let mut shown = String::with_capacity(text.len());
        let returned = &mut self.returned;
        self.cleaner.push(text, |c| {
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

    /// A whole text.
    pub fn whole(text: &str) -> String {
        Foreign::default().piece(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_moves_the_cursor_wherever_it_is_cut() {
        let evil = "a\x1b]0;title\x07\x1b[2Jb\rc\r\nd\x08\te\u{202e}f\u{9b}31mg\n";
        assert_eq!(Foreign::whole(evil), "ab\nc\nd\tefg\n");
        for (at, _) in evil.char_indices() {
            let (head, tail) = evil.split_at(at);
            let mut foreign = Foreign::default();
            let shown = foreign.piece(head) + &foreign.piece(tail);
            assert_eq!(shown, "ab\nc\nd\tefg\n", "cut at {at}");
        }
    }
}
