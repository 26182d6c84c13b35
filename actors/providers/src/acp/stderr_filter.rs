//! Removes lines from an agent's stderr that do not matter to a person; the definition lists their words (`quiet`). An
//! indented line, and one that closes a bracket, belongs to the line before it.

/// Bytes of an incomplete line that are held back. A longer line passes.
const HELD: usize = 8 * 1024;

/// Removes lines, and holds back the incomplete one.
#[derive(Debug, Default)]
pub(super) struct StderrFilter {
    words: Vec<String>,
    held: String,
    /// Whether the last complete line was removed.
    was_quiet: bool,
}

impl StderrFilter {
    pub(super) fn new(words: &[String]) -> Self {
        Self {
            words: words.to_vec(),
            ..Self::default()
        }
    }

    /// Takes the next piece of stderr. Returns the text to show.
    pub(super) fn pass(&mut self, text: String) -> String {
        if self.words.is_empty() {
            return text;
        }
        self.held.push_str(&text);
        let whole = self.held.rfind('\n').map_or(0, |at| at + 1);
        let rest = self.held.split_off(whole);
        let lines = std::mem::replace(&mut self.held, rest);
        let mut shown = String::new();
        for line in lines.split_inclusive('\n') {
            let belongs = line.starts_with([' ', '\t', '}', ']', ')']);
            let has_word = self.words.iter().any(|it| line.contains(it.as_str()));
            self.was_quiet = has_word || (belongs && self.was_quiet);
            if !self.was_quiet {
                shown.push_str(line);
            }
        }
        if self.held.len() > HELD {
            shown.push_str(&std::mem::take(&mut self.held));
        }
        shown
    }

    /// The last line, where it has no line end.
    pub(super) fn rest(&mut self) -> String {
        std::mem::take(&mut self.held)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_with_a_word_are_removed_for_any_split() {
        let text = "one\n  more\n[session/create] durationMs=1 {\n  flags: []\n}\ntwo\n}\nlast";
        for size in 1..=text.len() {
            let mut quiet = StderrFilter::new(&["durationMs=".to_owned()]);
            let bytes = text.as_bytes().chunks(size);
            let piece = |it: &[u8]| String::from_utf8(it.to_vec()).unwrap();
            let mut shown: String = bytes.map(|it| quiet.pass(piece(it))).collect();
            shown.push_str(&quiet.rest());
            assert_eq!(shown, "one\n  more\ntwo\n}\nlast", "cut every {size}");
        }
        assert_eq!(StderrFilter::default().pass("a".into()), "a");
    }
}
