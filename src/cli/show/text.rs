//! Text in columns: its width on a terminal, cut to fit, made harmless.

use crate::console::clean::harmless;

/// Columns a character takes on a terminal: none for marks that join the character before, two for wide ones.
fn columns(c: char) -> usize {
    match u32::from(c) {
        0x300..=0x36f | 0x200b..=0x200f | 0xfe00..=0xfe0f | 0x20d0..=0x20ff => 0,
        0x1100..=0x115f
        | 0x2e80..=0x303e
        | 0x3041..=0xa4cf
        | 0xac00..=0xd7a3
        | 0xf900..=0xfaff
        | 0xfe30..=0xfe6f
        | 0xff00..=0xff60
        | 0xffe0..=0xffe6
        | 0x1f300..=0x1f64f
        | 0x1f680..=0x1f6ff
        | 0x1f900..=0x1f9ff
        | 0x20000..=0x3fffd => 2,
        _ => 1,
    }
}

/// Columns a text takes on a terminal.
pub fn width(text: &str) -> usize {
    text.chars().map(columns).sum()
}

/// The text, or as much of its start as fits into `max` columns, with `…` where it was cut.
pub fn fit(text: &str, max: usize) -> String {
    if width(text) <= max {
        return text.to_owned();
    }
    let mut kept = String::new();
    let mut used = 0;
    for c in text.chars() {
        used += columns(c);
        if used + 1 > max {
            break;
        }
        kept.push(c);
    }
    let kept = kept.trim_end().to_owned();
    if max == 0 { kept } else { kept + "…" }
}

/// The text in one line, for a table: line ends and other control characters become single blanks, and what turns the
/// direction of writing or cannot be seen is left out, so that no text of a task can move the cursor, colour the terminal
/// or pass for another text.
pub fn one_line(text: &str) -> String {
    let mut line = String::with_capacity(text.len().min(256));
    for c in text.trim().chars() {
        if c.is_control() || c == ' ' {
            if !line.ends_with(' ') {
                line.push(' ');
            }
        } else {
            line.extend(harmless(c));
        }
    }
    line
}

/// A number and its noun: `1 task`, `3 tasks`.
pub fn count(n: u64, noun: &str) -> String {
    match n {
        1 => format!("1 {noun}"),
        n => format!("{} {noun}s", grouped(n)),
    }
}

/// A number with its thousands apart: `12 345 678`; up to four digits stay together.
pub fn grouped(n: u64) -> String {
    let digits = n.to_string();
    if digits.len() <= 4 {
        return digits;
    }
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(' ');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cuts_by_columns_not_by_bytes() {
        assert_eq!(fit("short", 5), "short");
        assert_eq!(fit("a bit longer", 6), "a bit…");
        assert_eq!(fit("日本語です", 6), "日本…");
        assert_eq!(fit("anything", 0), "");
        assert_eq!(width("e\u{301}"), 1);
    }

    #[test]
    fn a_tables_cell_is_one_harmless_line() {
        assert_eq!(one_line(" a\n\n  b\tc\x1b[31m "), "a b c [31m");
        assert_eq!(one_line("a\u{202e}b\u{2028}c\u{200b}d"), "abcd");
    }

    #[test]
    fn numbers_are_read_by_people() {
        assert_eq!(count(1, "task"), "1 task");
        assert_eq!(count(0, "task"), "0 tasks");
        assert_eq!(grouped(1000), "1000");
        assert_eq!(grouped(1_234_567), "1 234 567");
    }
}
