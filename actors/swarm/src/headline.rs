//! A failure in one line.

use std::borrow::Cow;

use kirosu_providers::floor_boundary;

/// Most bytes of it.
const MOST: usize = 300;

/// Enough of a failure's message for a person to know what it is about; the whole text is with the attempt. A first line
/// that announces more ("stderr ended with:") goes on with the last line, which is where programs name their error.
pub(crate) fn headline(message: &str) -> Cow<'_, str> {
    let cut = |line: &'_ str, most: usize| line[..floor_boundary(line, most)].to_owned();
    let mut lines = message.lines().filter(|line| !line.trim().is_empty());
    let first = lines.next().unwrap_or_default();
    match lines.next_back().filter(|_| first.ends_with(':')) {
        Some(last) => {
            let head = cut(first, MOST / 2);
            let last = cut(last.trim(), MOST - head.len());
            format!("{head} {last}").into()
        }
        None => first[..floor_boundary(first, MOST)].into(),
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
