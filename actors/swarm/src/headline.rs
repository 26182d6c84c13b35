//! A failure's message in one line.

use std::borrow::Cow;

use kirosu_protocol::text::head;

/// Maximum length in bytes.
const MOST: usize = 300;

/// Returns the line of a failure's message that names the error; the whole text is stored with the attempt. A first
/// line that ends with a colon ("stderr ended with:") is joined with the last line, where programs name their error.
pub(crate) fn headline(message: &str) -> Cow<'_, str> {
    let mut lines = message.lines().filter(|line| !line.trim().is_empty());
    let first = lines.next().unwrap_or_default();
    match lines.next_back().filter(|_| first.ends_with(':')) {
        Some(last) => {
            let first = head(first, MOST / 2);
            let last = head(last.trim(), MOST - first.len());
            format!("{first} {last}").into()
        }
        None => head(first, MOST).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_names_the_error() {
        for (message, expected) in [
            ("", ""),
            ("it failed\nmore\n", "it failed"),
            (
                "exited with code 2; stderr ended with:\nusage: x\n\nno such option\n",
                "exited with code 2; stderr ended with: no such option",
            ),
            ("stderr ended with:\n", "stderr ended with:"),
        ] {
            assert_eq!(headline(message), expected, "{message}");
        }
        let long = format!("{}:\n{}", "a".repeat(1000), "ö".repeat(1000));
        assert!(headline(&long).len() <= MOST + 1);
    }
}
