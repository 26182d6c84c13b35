//! File names, which may be any bytes, as text.
//!
//! The text of a name is the name itself if it is UTF-8 and does not begin with a quotation mark. Every other name is
//! in quotation marks, with git's escapes (`"caf\351"`): nothing is lost, and git reads it, too. Git prints names in
//! a similar form (`core.quotePath`), with more of them in quotation marks. [`read`] reads names from git's output,
//! [`path`] returns the path to open.

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};

const QUOTE: u8 = b'"';
/// Bytes that are escaped by a letter, and the letters.
const LETTERS: [(u8, u8); 9] = [
    (7, b'a'),
    (8, b'b'),
    (9, b't'),
    (10, b'n'),
    (11, b'v'),
    (12, b'f'),
    (13, b'r'),
    (b'\\', b'\\'),
    (QUOTE, QUOTE),
];

/// The text of a name that git printed, in quotation marks or not.
pub(super) fn read(printed: &str) -> String {
    match inner(printed) {
        Some(inner) => of(&unescape(inner)),
        None => printed.to_owned(),
    }
}

/// The path that the text of a name refers to.
pub(super) fn path(name: &str) -> PathBuf {
    let bytes = inner(name).map_or_else(|| name.as_bytes().to_vec(), unescape);
    PathBuf::from(OsString::from_vec(bytes))
}

/// The text of a name.
pub(super) fn of(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(name) if bytes.first() != Some(&QUOTE) => name.to_owned(),
        _ => escape(bytes),
    }
}

/// The text of a path.
pub(super) fn of_path(path: &Path) -> String {
    of(path.as_os_str().as_bytes())
}

/// The text of a name within a folder.
pub(super) fn join(folder: &str, name: &str) -> String {
    of_path(&path(folder).join(path(name)))
}

/// Whether the text names a folder: it ends with a slash.
pub(super) fn is_folder(name: &str) -> bool {
    name.ends_with('/') || name.ends_with("/\"")
}

/// Names for the standard input of git, each followed by a zero byte.
pub(super) fn terminated<T: AsRef<str>>(names: &[T]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for name in names {
        bytes.extend(path(name.as_ref()).into_os_string().into_vec());
        bytes.push(0);
    }
    bytes
}

/// The name in quotation marks, in one line.
pub(super) fn quoted(name: &str) -> String {
    escape(path(name).as_os_str().as_bytes())
}

fn inner(text: &str) -> Option<&str> {
    text.strip_prefix('"')?.strip_suffix('"')
}

fn escape(bytes: &[u8]) -> String {
    let mut text = String::from("\"");
    for byte in bytes {
        let letter = LETTERS.iter().find(|(it, _)| it == byte);
        match (letter, byte) {
            (Some((_, letter)), _) => {
                text.push('\\');
                text.push(char::from(*letter));
            }
            (None, 32..127) => text.push(char::from(*byte)),
            (None, _) => text.push_str(&format!("\\{byte:03o}")),
        }
    }
    text.push('"');
    text
}

fn unescape(text: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes().peekable();
    while let Some(byte) = rest.next() {
        if byte != b'\\' {
            bytes.push(byte);
            continue;
        }
        let Some(escaped) = rest.next() else {
            bytes.push(byte);
            break;
        };
        if let Some((byte, _)) = LETTERS.iter().find(|(_, letter)| *letter == escaped) {
            bytes.push(*byte);
            continue;
        }
        let mut value = u32::from(escaped.wrapping_sub(b'0'));
        for _ in 0..2 {
            match rest.peek() {
                Some(digit @ b'0'..=b'7') => value = value * 8 + u32::from(digit - b'0'),
                _ => break,
            }
            rest.next();
        }
        bytes.push(value as u8);
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_has_a_text_of_its_own() {
        let names: [&[u8]; 8] = [
            b"plain",
            "caf\u{e9}".as_bytes(),
            b"caf\xe9/\xff",
            b"\"quoted\"",
            b"\"\\351\"",
            b"new\nline\ttab",
            b"back\\slash",
            b"-dash",
        ];
        let texts: std::collections::BTreeSet<String> = names.iter().map(|it| of(it)).collect();
        assert_eq!(texts.len(), names.len(), "{texts:?}");
        for name in names {
            assert_eq!(path(&of(name)).as_os_str().as_bytes(), name);
        }
        assert_eq!(of(b"caf\xe9"), "\"caf\\351\"");
    }

    #[test]
    fn names_are_read_as_git_prints_them() {
        assert_eq!(read("\"caf\\303\\251\""), "caf\u{e9}");
        assert_eq!(read("\"a\\tb \\\"c\\\"\""), "a\tb \"c\"");
        assert_eq!(read("a b"), "a b");
        let folder = read("\"caf\\351/\"");
        assert!(is_folder(&folder) && path(&folder) == path("\"caf\\351\""));
        assert_eq!(join(&folder, "x"), "\"caf\\351/x\"");
    }
}
