//! The vocabulary of settings: which keys exist, what each may hold, what it is when nobody sets it.
//!
//! The table itself is in `keys.rs`. Everything else (checking, spelling help, `show`, the test of the example file)
//! walks this table, so a new key is one line there and one field in the settings.

use std::time::Duration;

use crate::check::{allowed, is_name};
use crate::keys;

/// What a key may hold.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Kind {
    /// Any text that is not empty.
    Text,
    /// `[a-z0-9_-]`, 1 to 64 characters.
    Name,
    /// Text that is never shown.
    Secret,
    /// A path; a leading `~/` is the home directory.
    Path,
    /// A program: a name that is looked for in PATH, or a path.
    Program,
    /// A program, written as a path or a name, and its arguments.
    Command,
    /// A table whose `before` and `after` are commands; its reader says what else may be in it.
    Hooks,
    Bool,
    /// A whole number within the bounds, both included.
    Int(u64, u64),
    /// A number within the bounds, both included.
    Float(f64, f64),
    /// A number of bytes within the bounds.
    Size(u64, u64),
    /// A length of time within the bounds.
    Time(Duration, Duration),
    /// A length of time within the bounds, or `forever`.
    Wait(Duration, Duration),
    /// A log level, or levels by module.
    Level,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// Texts.
    List,
    /// Environment variables: names to texts.
    Map,
    /// A table of any form, taken as a whole; whoever uses it says what may be in it.
    Tree,
    /// Tables, taken as a whole; whoever uses them says what may be in them.
    Tables,
}

/// What a key is when nobody sets it.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Preset {
    /// This value, in TOML.
    Is(&'static str),
    /// It follows from other keys (see `derive.rs`).
    Follows,
    /// It follows from another key where that one is set; else nothing: the key is optional.
    MayFollow,
    /// Nothing: the key is optional.
    Unset,
    /// There is none: the key has to be written.
    Required,
}

/// Whether a running hub can take a new value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Change {
    /// At once.
    Live,
    /// Only by a restart.
    Restart,
}

/// One key.
#[derive(Debug)]
pub(crate) struct Key {
    pub name: &'static str,
    pub kind: Kind,
    pub preset: Preset,
    pub change: Change,
}

impl Key {
    /// Whether the empty text is a way to say "nothing".
    pub fn optional(&self) -> bool {
        let map = matches!(self.kind, Kind::Map);
        matches!(self.preset, Preset::Unset | Preset::MayFollow) && !map
    }
}

/// How a section is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    /// The top level itself.
    Top,
    /// `[name]`
    One,
    /// `[[name]]` with a key `name`
    Array,
    /// `[name.NAME]`
    Named,
}

/// One section.
#[derive(Debug)]
pub(crate) struct Section {
    pub name: &'static str,
    pub shape: Shape,
    pub keys: &'static [Key],
}

impl Section {
    pub fn key(&self, name: &str) -> Option<&'static Key> {
        self.keys.iter().find(|key| key.name == name)
    }
}

/// The section of a name; the empty name is the top level.
pub(crate) fn section(name: &str) -> Option<&'static Section> {
    keys::SECTIONS.iter().find(|section| section.name == name)
}

/// Finds the key that a path means, such as `hub.port`, `pool.coders.size` or `pool.coders.env.PATH`.
/// The error says what is wrong and what is near.
pub(crate) fn resolve(path: &[String]) -> Result<&'static Key, String> {
    let parts: Vec<&str> = path.iter().map(String::as_str).collect();
    if let [name] = parts[..]
        && let Some(key) = section("").and_then(|top| top.key(name))
    {
        return Ok(key);
    }
    let (name, rest) = parts.split_first().ok_or("an empty key")?;
    let found = section(name).filter(|found| found.shape != Shape::Top);
    let found = found.ok_or_else(|| unknown_section(name))?;
    let named = matches!(found.shape, Shape::Array | Shape::Named);
    let rest = match (named, rest) {
        (true, [name, ..]) if !is_name(name) => {
            return Err(format!("not a name: {} is allowed", allowed(Kind::Name)));
        }
        (true, [_, rest @ ..]) => rest,
        (true, []) => &[],
        (false, rest) => rest,
    };
    let (name, rest) = rest.split_first().ok_or_else(|| incomplete(found))?;
    if named && *name == "name" {
        return Err("a name can only be given in the file".to_owned());
    }
    let key = found.key(name).ok_or_else(|| unknown_key(found, name))?;
    match (key.kind, rest) {
        (Kind::Map, [_]) => Ok(key),
        (Kind::Map, _) => Err(format!("a table, not a value: write {}.NAME", key.name)),
        (_, []) => Ok(key),
        _ => Err(format!("unknown key: nothing lies below {}", key.name)),
    }
}

fn incomplete(section: &Section) -> String {
    match section.shape {
        Shape::Array | Shape::Named => format!("incomplete key: write {}.NAME.KEY", section.name),
        _ => format!("a whole section, not a key: write {}.KEY", section.name),
    }
}

/// Sentence for a first word that is neither section nor top-level key.
pub(crate) fn unknown_section(name: &str) -> String {
    let known = keys::SECTIONS
        .iter()
        .filter(|section| section.shape != Shape::Top)
        .map(|section| section.name)
        .chain(
            section("")
                .into_iter()
                .flat_map(|top| top.keys.iter().map(|key| key.name)),
        );
    with_nearest("unknown section or key", name, known)
}

/// Sentence for a word that is no key of its section.
pub(crate) fn unknown_key(section: &Section, name: &str) -> String {
    with_nearest("unknown key", name, section.keys.iter().map(|key| key.name))
}

/// `what`, then the known word nearest to `name`, or all of them when none is near.
pub(crate) fn with_nearest<'a>(
    what: &str,
    name: &str,
    known: impl Iterator<Item = &'a str>,
) -> String {
    let known: Vec<&str> = known.collect();
    let near = known
        .iter()
        .map(|word| (strsim::jaro_winkler(name, word), word))
        .filter(|(likeness, _)| *likeness >= 0.75)
        .max_by(|(one, _), (other, _)| one.total_cmp(other));
    match near {
        Some((_, word)) => format!("{what}; did you mean {word}?"),
        None if known.is_empty() => format!("{what}; the file has to define it"),
        None => format!("{what}; known are {}", known.join(", ")),
    }
}
