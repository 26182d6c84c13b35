//! Patterns: globs for names, regular expressions for arguments.

use regex::{Regex, RegexBuilder};

/// Maximum size of a compiled pattern, in bytes.
const REGEX_BYTES: usize = 1 << 20;

/// Characters that end, join or redirect commands in a shell, or make it run other commands.
const STEERS: [char; 12] = [
    ';', '|', '&', '$', '(', ')', '`', '<', '>', '\n', '\r', '\0',
];

/// A name with `*` (any text) and `?` (one character); it must match the whole name.
#[derive(Debug, Clone)]
pub(crate) struct Glob(Regex);

impl Glob {
    /// # Errors
    /// The name is too long for a pattern.
    pub(crate) fn new(text: &str) -> Result<Self, String> {
        let mut source = String::from(r"(?s)\A");
        for c in text.chars() {
            match c {
                '*' => source.push_str(".*"),
                '?' => source.push('.'),
                c => source.push_str(&regex::escape(c.encode_utf8(&mut [0; 4]))),
            }
        }
        source.push_str(r"\z");
        compile(&source, false).map(Self)
    }

    pub(crate) fn matches(&self, name: &str) -> bool {
        self.0.is_match(name)
    }
}

/// A regular expression that must match a whole text.
#[derive(Debug, Clone)]
pub(super) struct FullPattern {
    regex: Regex,
    /// Shell control characters that the pattern does not contain; a text with one of them does not match. Empty
    /// means that all may occur.
    guarded: Vec<char>,
}

impl FullPattern {
    /// Compiles a pattern. `careful`: wildcards do not match shell control characters.
    ///
    /// # Errors
    /// The regular expression is invalid or too large.
    pub(super) fn new(source: &str, careful: bool) -> Result<Self, String> {
        // Compiled alone first: `a)|(b` must not become valid by the group around it.
        compile(source, false)?;
        let guarded = match careful {
            true => {
                let unspelled = |c: &char| !spells(source, *c);
                STEERS.into_iter().filter(unspelled).collect()
            }
            false => Vec::new(),
        };
        let regex = compile(&format!(r"\A(?:{source})\z"), !careful)?;
        Ok(Self { regex, guarded })
    }

    /// `texts_within`: the texts within `text` that an agent could run.
    pub(super) fn matches<'t>(
        &self,
        text: &str,
        mut texts_within: impl Iterator<Item = &'t str>,
    ) -> bool {
        self.regex.is_match(text)
            && (self.guarded.is_empty()
                || !texts_within.any(|text| text.contains(&self.guarded[..])))
    }
}

/// Whether a pattern contains a character literally, as `\;` or `[;]` (a line break as `\n`).
fn spells(source: &str, c: char) -> bool {
    let escaped = match c {
        '\n' => 'n',
        '\r' => 'r',
        c => c,
    };
    let class = format!("[{c}]");
    let mut rest = source.char_indices();
    while let Some((at, next)) = rest.next() {
        // An escape is two characters: the second one begins nothing.
        let spelled = match next {
            '\\' => rest.next().is_some_and(|(_, second)| second == escaped),
            _ => source[at..].starts_with(&class),
        };
        if spelled {
            return true;
        }
    }
    false
}

fn compile(source: &str, dot_matches_line_breaks: bool) -> Result<Regex, String> {
    RegexBuilder::new(source)
        .dot_matches_new_line(dot_matches_line_breaks)
        .size_limit(REGEX_BYTES)
        .build()
        .map_err(|error| {
            let text = error.to_string();
            let reason = text.lines().next_back().unwrap_or_default();
            format!(
                "is no regular expression: {}",
                reason.trim_start_matches("error: ")
            )
        })
}
