//! The schema of settings: the values that a key allows, its default, and whether a change needs a restart.
//!
//! [`define_section!`] defines the type of a section together with its keys. Checks, spelling help, `config show` and the tests
//! of the example file and of docs/configuration.md read the keys from there.

use kirosu_protocol::text::nearest;
use std::fmt;
use std::time::Duration;

use crate::check::is_name;
use crate::settings::{OFF, SECTIONS};
use kirosu_protocol::size;

/// The values that a key allows. Bounds are inclusive.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Allowed {
    /// Any text that is not empty.
    Text,
    /// `[a-z0-9_-]`, 1 to 64 characters.
    Name,
    /// One line of text that is never shown.
    Secret,
    /// A path; `~/` at its start is the home directory.
    Path,
    /// A program: a name to look up in PATH, or a path.
    Program,
    /// A program and its arguments.
    Command,
    Bool,
    Int(u64, u64),
    /// A TCP port, or `off`.
    Port,
    Float(f64, f64),
    /// A number of bytes.
    Size(u64, u64),
    /// A duration.
    Time(Duration, Duration),
    /// A duration, or `forever`.
    Wait(Duration, Duration),
    /// A duration that divides a day.
    Period,
    /// A log level, or levels per module.
    Level,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// A list of texts.
    List,
    /// Environment variables: names and texts. Each entry is a value with an origin of its own.
    Map,
    /// A table with these keys.
    Table(&'static [SettingKey]),
    /// A list of tables with these keys.
    Tables(&'static [SettingKey]),
    /// A table whose content this crate does not know.
    Tree,
    /// A regular expression, or a table of one per JSON pointer.
    Patterns,
}

impl fmt::Display for Allowed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text => f.write_str("a text that is not empty"),
            Self::Name => f.write_str("a name of 1 to 64 characters a-z, 0-9, _ and -"),
            Self::Secret => f.write_str("a text of one line"),
            Self::Path => f.write_str("a path"),
            Self::Program => f.write_str("a program"),
            Self::Command => f.write_str("a program and its arguments, a list of strings"),
            Self::Bool => f.write_str("true or false"),
            Self::Int(min, max) => write!(f, "a whole number from {min} to {max}"),
            Self::Port => write!(f, "\"{OFF}\", or {}", Self::Int(0, u64::from(u16::MAX))),
            Self::Float(min, max) => write!(f, "a number from {min} to {max}"),
            Self::Size(min, max) => write!(
                f,
                "a size from {} to {} (such as \"16 MiB\", or a number of bytes)",
                size::format(*min),
                size::format(*max)
            ),
            Self::Time(min, max) => write!(
                f,
                "a time from {} to {} (such as \"90s\" or \"5m\", or a number of seconds)",
                humantime::format_duration(*min),
                humantime::format_duration(*max)
            ),
            Self::Wait(min, max) => write!(f, "\"forever\", or {}", Self::Time(*min, *max)),
            Self::Period => {
                f.write_str("a time that divides a day, such as \"1h\", \"6h\" or \"1day\",")
            }
            Self::Level => f.write_str("a level, or levels by module"),
            Self::Choice(words) => write!(f, "one of {}", words.join(", ")),
            Self::List => f.write_str("a list of strings"),
            Self::Map => f.write_str("a table of names and texts"),
            Self::Table(_) | Self::Tree => f.write_str("a table"),
            Self::Tables(_) => f.write_str("a list of tables"),
            Self::Patterns => f.write_str(
                "a regular expression, or a table { \"/pointer\" = \"regular expression\" },",
            ),
        }
    }
}

/// The value of a key that no layer sets.
#[derive(Debug, Clone, Copy)]
pub(crate) enum KeyDefault {
    /// This value, in TOML.
    Is(&'static str),
    /// Derived from other keys (see `derive.rs`).
    Derived,
    /// Derived from another key if that one is set. Otherwise the key is not set.
    MayDerive,
    /// Not set: the key is optional.
    Unset,
    /// No default: a missing key is a fault.
    Required,
}

/// One key.
#[derive(Debug)]
pub(crate) struct SettingKey {
    pub name: &'static str,
    pub allowed: Allowed,
    pub default: KeyDefault,
    /// Whether a new value takes effect only after a restart, not on a reload.
    pub needs_restart: bool,
}

impl SettingKey {
    /// A key that takes effect on a reload.
    pub const fn new(name: &'static str, allowed: Allowed, default: KeyDefault) -> Self {
        Self {
            name,
            allowed,
            default,
            needs_restart: false,
        }
    }

    /// The same key, in effect only after a restart.
    pub const fn restart(self) -> Self {
        Self {
            needs_restart: true,
            ..self
        }
    }

    /// Whether the empty text unsets the key.
    pub fn optional(&self) -> bool {
        let may_be_unset = matches!(self.default, KeyDefault::Unset | KeyDefault::MayDerive);
        may_be_unset && !matches!(self.allowed, Allowed::Map)
    }
}

/// The form of a section in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    /// The top level.
    Top,
    /// `[name]`
    One,
    /// `[[name]]` with a key `name`
    Array,
    /// `[name.NAME]`
    Named,
}

impl Shape {
    /// Whether the file may hold several tables of the section, each with a name.
    pub fn has_names(self) -> bool {
        matches!(self, Self::Array | Self::Named)
    }
}

/// One section.
#[derive(Debug)]
pub(crate) struct Section {
    pub name: &'static str,
    pub shape: Shape,
    pub keys: &'static [SettingKey],
}

impl Section {
    pub fn key(&self, name: &str) -> Option<&'static SettingKey> {
        self.keys.iter().find(|key| key.name == name)
    }
}

/// Defines the type of a section and its keys:
///
/// ```text
/// define_section! {
///     /// `[store]`: the database.
///     pub struct StoreSection: One("store") {
///         /// Number of read-only connections.
///         readers: u32 = Int(1, 64), Is("2"), restart;
///     }
/// }
/// ```
///
/// A key is its name, its type, its allowed values ([`Allowed`]) and its default ([`KeyDefault`]). `restart` means that a
/// change takes effect only after a restart.
macro_rules! define_section {
    (
        $(#[$meta:meta])*
        pub struct $name:ident: $shape:ident($heading:literal) {
            $(
                $(#[$key_meta:meta])*
                $key:ident: $type:ty = $allowed:expr, $default:expr $(, $restart:ident)?;
            )*
        }
    ) => {
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq, ::serde::Serialize, ::serde::Deserialize)]
        pub struct $name {
            $( $(#[$key_meta])* pub $key: $type, )*
        }

        impl $name {
            pub(crate) const SECTION: $crate::schema::Section = $crate::schema::Section {
                name: $heading,
                shape: $crate::schema::Shape::$shape,
                keys: &[$(
                    $crate::schema::SettingKey::new(stringify!($key), $allowed, $default) $(.$restart())?
                ),*],
            };
        }
    };
}
pub(crate) use define_section;

/// The section of this name; the empty name is the top level.
pub(crate) fn section(name: &str) -> Option<&'static Section> {
    SECTIONS.iter().find(|section| section.name == name)
}

/// Finds the key of a path such as `hub.port`, `pool.coders.size` or `pool.coders.env.PATH`.
///
/// # Errors
/// A sentence that says why the path is not a key, with the nearest known name.
pub(crate) fn resolve(path: &[String]) -> Result<&'static SettingKey, String> {
    let parts: Vec<&str> = path.iter().map(String::as_str).collect();
    if let [name] = parts[..]
        && let Some(key) = section("").and_then(|top| top.key(name))
    {
        return Ok(key);
    }
    let (name, rest) = parts.split_first().ok_or("an empty key")?;
    let found = section(name).filter(|found| found.shape != Shape::Top);
    let found = found.ok_or_else(|| unknown_section(name))?;
    let rest = match (found.shape.has_names(), rest) {
        (true, [name, ..]) if !is_name(name) => {
            return Err(format!("not a name: {} is allowed", Allowed::Name));
        }
        (true, [_, rest @ ..]) => rest,
        (_, rest) => rest,
    };
    let (name, rest) = rest.split_first().ok_or_else(|| incomplete(found))?;
    if found.shape.has_names() && *name == "name" {
        return Err("a name can only be given in the file".to_owned());
    }
    let key = found
        .key(name)
        .ok_or_else(|| unknown_key(found.keys, name))?;
    match (key.allowed, rest) {
        (Allowed::Map, [_]) => Ok(key),
        (Allowed::Map, _) => Err(format!("a table, not a value: write {}.NAME", key.name)),
        (_, []) => Ok(key),
        _ => Err(format!("unknown key: nothing lies below {}", key.name)),
    }
}

fn incomplete(section: &Section) -> String {
    match section.shape.has_names() {
        true => format!("incomplete key: write {}.NAME.KEY", section.name),
        false => format!("a whole section, not a key: write {}.KEY", section.name),
    }
}

/// The message for a first word that is neither a section nor a top-level key.
fn unknown_section(name: &str) -> String {
    let sections = SECTIONS.iter().map(|section| section.name);
    let top = section("").into_iter().flat_map(|top| top.keys);
    let known = sections.chain(top.map(|key| key.name));
    with_nearest(
        "unknown section or key",
        name,
        known.filter(|known| !known.is_empty()),
    )
}

/// The message for a name that is not among these keys.
pub(crate) fn unknown_key(keys: &[SettingKey], name: &str) -> String {
    with_nearest("unknown key", name, keys.iter().map(|key| key.name))
}

/// `message`, then the known word nearest to `name`, or all known words when none is near.
pub(crate) fn with_nearest<'a>(
    message: &str,
    name: &str,
    known: impl Iterator<Item = &'a str>,
) -> String {
    let known: Vec<&str> = known.collect();
    match nearest(name, known.iter().copied()) {
        Some(word) => format!("{message}; did you mean {word}?"),
        None if known.is_empty() => format!("{message}; the file has to define it"),
        None => format!("{message}; known are {}", known.join(", ")),
    }
}
