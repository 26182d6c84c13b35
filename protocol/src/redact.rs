//! Hides secrets in what people are shown: in command lines, addresses and texts.

use regex::{Captures, Regex};
use std::borrow::Cow;
use std::sync::LazyLock;

/// The text that is printed in place of a secret.
pub const HIDDEN: &str = "***";
/// Parts of the names of secrets.
const NAMES: [&str; 6] = ["key", "token", "secret", "password", "passwd", "auth"];

/// Whether a setting, variable or option of this name probably holds a secret.
pub fn is_secret_name(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    // `max_tokens` and the like are numbers, `key_env` and `key_file` say where a key is.
    let is_other = |part: &str| name.contains(part);
    NAMES.iter().any(|part| name.contains(part))
        && !["tokens", "key_env", "key_file", "key_header"]
            .into_iter()
            .any(is_other)
}

/// The arguments with secrets replaced: values of options and settings with the name of a secret, what [`hide_in_text`]
/// finds, and the values of `known`.
pub fn hide_in_command<S: AsRef<str>>(argv: &[S], known: &[&str]) -> Vec<String> {
    let mut shown = Vec::with_capacity(argv.len());
    let mut next_is_secret = false;
    for argument in argv {
        let argument = argument.as_ref();
        let is_option = argument.starts_with('-');
        // Only in a word of its own: the text of a script is searched below.
        let is_word = !argument.contains(char::is_whitespace);
        let own = match argument.split_once('=') {
            _ if next_is_secret && !is_option => HIDDEN.to_owned(),
            Some((name, _)) if is_word && is_secret_name(name) => format!("{name}={HIDDEN}"),
            _ => hide_in_text(argument),
        };
        next_is_secret =
            is_word && is_option && !argument.contains('=') && is_secret_name(argument);
        let known = known.iter().filter(|value| value.len() >= 6);
        shown.push(known.fold(own, |text, value| text.replace(value, HIDDEN)));
    }
    shown
}

/// The text with secrets replaced: passwords of addresses, values of variables, headers and options with the name of a
/// secret, and texts that look like a well-known key. A reference such as `$TOKEN` is kept.
pub fn hide_in_text(text: &str) -> String {
    let mut text = Cow::Borrowed(text);
    for pattern in PATTERNS.iter() {
        let hidden = pattern.replace_all(&text, |found: &Captures<'_>| {
            let part = |name| found.name(name).map_or("", |it| it.as_str());
            match part("secret") {
                kept if kept.starts_with('$') || kept.starts_with("\"$") => found[0].to_owned(),
                _ => format!("{}{HIDDEN}{}", part("before"), part("after")),
            }
        });
        text = Cow::Owned(hidden.into_owned());
    }
    text.into_owned()
}

/// A compiled pattern has the groups `before`, `secret` and `after`.
static PATTERNS: LazyLock<Vec<Regex>> = LazyLock::new(|| {
    [
        r#"(?P<before>[A-Za-z][A-Za-z0-9+.-]*://[^\s/:@'"]*:)(?P<secret>[^\s/'"]+)(?P<after>@)"#,
        r"(?i)(?P<before>\b(?:bearer|basic)\s+)(?P<secret>[A-Za-z0-9._~+/=-]{6,})",
        r#"(?i)(?P<before>[a-z0-9_.-]*(?:token|secret|passwd|password|key|auth|authorization)(?:=|:\s*))(?P<secret>"[^"]*"|'[^']*'|[^\s"';&|)]+)"#,
        r#"(?i)(?P<before>(?:^|\s)--?[a-z0-9-]*(?:token|secret|passwd|password|key)\s+)(?P<secret>"[^"]*"|'[^']*'|[^\s"';&|)-][^\s"';&|)]*)"#,
        r"(?P<before>\b)(?P<secret>(?:sk-|ghp_|gho_|ghs_|github_pat_|glpat-|AIza|xox[a-z]-|hf_|AKIA)[A-Za-z0-9_-]*)",
    ]
    .into_iter()
    .filter_map(|pattern| Regex::new(pattern).ok())
    .collect()
});

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_hidden_and_other_arguments_are_shown() {
        let argv = [
            "x",
            "--api-key",
            "abc",
            "--token=t",
            "-c",
            "service_key=\"v\"",
            "--max-tokens",
            "5",
            "sk-live",
            "--auth",
            "--yes",
            "http://u:hunter2@h",
        ];
        let shown = hide_in_command(&argv, &["hunter2"]);
        assert_eq!(
            shown.join(" "),
            "x --api-key *** --token=*** -c service_key=*** --max-tokens 5 *** --auth --yes http://u:***@h"
        );
    }

    #[test]
    fn texts_are_searched_for_secrets() {
        assert_eq!(PATTERNS.len(), 5);
        for (text, hidden) in [
            (
                "postgres://me:p@ss@db:5432/x",
                "postgres://me:***@db:5432/x",
            ),
            (
                "curl -H 'Authorization: Bearer abcdef0123' h",
                "curl -H 'Authorization: *** ***' h",
            ),
            ("X_TOKEN=abc run && y", "X_TOKEN=*** run && y"),
            ("run --password abc --x", "run --password *** --x"),
            ("echo ghp_0123456789abcdef", "echo ***"),
            (
                "TOKEN=$TOKEN run; --max-tokens 5",
                "TOKEN=$TOKEN run; --max-tokens 5",
            ),
            (
                "ssh://git@github.com/a task-1",
                "ssh://git@github.com/a task-1",
            ),
            ("http://127.0.0.1:80/a@b", "http://127.0.0.1:80/a@b"),
        ] {
            assert_eq!(hide_in_text(text), hidden, "{text}");
        }
    }
}
