//! Patterns: globs for names, regular expressions for arguments.

use regex::{Regex, RegexBuilder};

/// Compiled patterns beyond this size are refused.
const REGEX_BYTES: usize = 1 << 20;

/// What ends, joins or redirects commands in a shell, or makes it run others.
const STEERS: [char; 12] = [
    ';', '|', '&', '$', '(', ')', '`', '<', '>', '\n', '\r', '\0',
];

/// A name with `*` (any text) and `?` (one character); it must match the whole name.
#[derive(Debug, Clone)]
pub(super) struct Glob(Regex);

impl Glob {
    pub(super) fn new(text: &str) -> Result<Self, String> {
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

    pub(super) fn matches(&self, name: &str) -> bool {
        self.0.is_match(name)
    }
}

/// A regular expression that must match a whole text.
#[derive(Debug, Clone)]
pub(super) struct Whole {
    regex: Regex,
    /// What steers a shell and is not spelled by the pattern; such a text is not matched. Empty: all may be matched.
    guarded: Vec<char>,
}

impl Whole {
    /// `careful`: its wildcards do not match what steers a shell.
    pub(super) fn new(source: &str, careful: bool) -> Result<Self, String> {
        // On its own first: `a)|(b` must not become sound by what is put around it.
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

    /// `said`: the texts within `text` that an agent could run.
    pub(super) fn matches<'t>(&self, text: &str, mut said: impl Iterator<Item = &'t str>) -> bool {
        self.regex.is_match(text)
            && (self.guarded.is_empty() || !said.any(|text| text.contains(&self.guarded[..])))
    }
}

/// Whether a pattern spells a character, as `\;` or `[;]` (a line break as `\n`).
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
