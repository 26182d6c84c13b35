//! Texts for messages and answers: shortened, joined, or compared with known words.

use std::fmt::{self, Display};

/// The text, or its first `chars` characters followed by `...`.
pub fn shorten(text: &str, chars: usize) -> String {
    match text.char_indices().nth(chars) {
        None => text.to_owned(),
        Some((at, _)) => format!("{}...", &text[..at]),
    }
}

/// The text, or its first `chars` characters with the number of those that are left out.
pub fn counted(text: &str, chars: usize) -> String {
    match text.char_indices().nth(chars) {
        None => text.to_owned(),
        Some((at, _)) => {
            let more = text[at..].chars().count();
            format!("{}... [{more} more characters]", &text[..at])
        }
    }
}

/// The longest beginning of at most `bytes` bytes that ends between two characters.
pub fn head(text: &str, bytes: usize) -> &str {
    let mut end = bytes.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

/// The longest end of at most `bytes` bytes that begins between two characters.
pub fn tail(text: &str, bytes: usize) -> &str {
    let mut start = text.len().saturating_sub(bytes);
    while !text.is_char_boundary(start) {
        start += 1;
    }
    &text[start..]
}

/// The text with each run of whitespace, line ends included, as one blank, and none at its ends.
pub fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Writes one item per line, without a line end after the last: the `Display` of a list of faults.
///
/// # Errors
/// The formatter failed.
pub fn write_lines(f: &mut fmt::Formatter<'_>, items: &[impl Display]) -> fmt::Result {
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            f.write_str("\n")?;
        }
        item.fmt(f)?;
    }
    Ok(())
}

/// The known word that is most similar to `word`; `None` if none is similar.
pub fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let near = known
        .into_iter()
        .map(|known| (strsim::jaro_winkler(word, known), known))
        .filter(|(likeness, _)| *likeness >= 0.75)
        .max_by(|(one, _), (other, _)| one.total_cmp(other));
    near.map(|(_, known)| known)
}

/// The visible form of a character; `None` if it is left out.
///
/// Left out are characters whose width depends on the terminal (joiners, variation selectors), that change the direction
/// of writing, or that control the terminal. A flag becomes its two letters, because many terminals draw it so, and so does a
/// skin colour disappear: many terminals draw it as a second picture after the first.
pub fn visible(c: char) -> Option<char> {
    match u32::from(c) {
        0x1f3fb..=0x1f3ff => None,
        0x1f1e6..=0x1f1ff => char::from_u32(u32::from(c) - 0x1f1e6 + u32::from('A')),
        0x200b..=0x200f | 0x2028..=0x202e | 0x2060..=0x206f | 0xfe00..=0xfe0f => None,
        0xad | 0x61c | 0x115f..=0x1160 | 0x3164 | 0xfeff | 0xfff9..=0xfffb | 0xe0000..=0xe0fff => {
            None
        }
        _ if c.is_control() => None,
        _ => Some(c),
    }
}

/// The text with an escape (`\u202E`, as in TOML) for each character that a terminal does not show or that controls it, except
/// for line ends and tabs. For texts that a person reads before a decision.
pub fn escape_hidden(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        match u32::from(c) {
            _ if visible(c).is_some() || matches!(c, '\n' | '\t') => shown.push(c),
            number @ ..=0xffff => shown.push_str(&format!("\\u{number:04X}")),
            number => shown.push_str(&format!("\\U{number:08X}")),
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_similar_word_is_near() {
        let known = ["provider", "profile", "size"];
        assert_eq!(nearest("providr", known), Some("provider"));
        assert_eq!(nearest("x", known), None);
    }

    #[test]
    fn each_item_has_a_line() {
        struct List(Vec<u8>);
        impl Display for List {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write_lines(f, &self.0)
            }
        }
        assert_eq!(List(vec![]).to_string(), "");
        assert_eq!(List(vec![1, 2]).to_string(), "1\n2");
    }

    #[test]
    fn texts_are_cut_between_characters() {
        assert_eq!((head("aé", 2), head("aé", 3), head("", 1)), ("a", "aé", ""));
        assert_eq!((tail("éa", 2), tail("éa", 3), tail("", 1)), ("a", "éa", ""));
        assert_eq!(
            (shorten("éa", 2).as_str(), shorten("éa", 1).as_str()),
            ("éa", "é...")
        );
        assert_eq!(one_line(" a\n\tb  c "), "a b c");
    }
}
