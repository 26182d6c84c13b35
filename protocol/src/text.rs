//! Texts for messages and answers: shortened, or compared with known words.

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

/// The known word that is most similar to `word`; `None` if none is similar.
pub fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let near = known
        .into_iter()
        .map(|known| (strsim::jaro_winkler(word, known), known))
        .filter(|(likeness, _)| *likeness >= 0.75)
        .max_by(|(one, _), (other, _)| one.total_cmp(other));
    near.map(|(_, known)| known)
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
