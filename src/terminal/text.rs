//! Text in columns: its width on a terminal, cut to fit, as one safe line.

use super::escapes::EscapeStripper;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// Columns that a text occupies on a terminal.
pub fn width(text: &str) -> usize {
    text.width()
}

/// The text, or as much of its start as fits into `max` columns, with `…` where it was cut.
pub fn fit(text: &str, max: usize) -> String {
    if width(text) <= max {
        return text.to_owned();
    }
    let mut start = String::new();
    let mut used = 0;
    for c in text.chars() {
        used += c.width().unwrap_or(0);
        if used + 1 > max {
            break;
        }
        start.push(c);
    }
    let start = start.trim_end().to_owned();
    if max == 0 { start } else { start + "…" }
}

/// As [`fit`], with the number of characters that are left out: `make test… [+12]`.
pub fn fit_counted(text: &str, max: usize) -> String {
    if width(text) <= max {
        return text.to_owned();
    }
    let all = text.chars().count();
    let room = max.saturating_sub(format!("… [+{all}]").chars().count());
    let mut used = 0;
    let start: String = text
        .chars()
        .take_while(|c| {
            used += c.width().unwrap_or(0);
            used <= room
        })
        .collect();
    let more = all - start.chars().count();
    format!("{start}… [+{more}]")
}

/// The text as one line: escape sequences and invisible characters are removed, and each run of blanks and line ends becomes
/// one blank. No text of a task can move the cursor, colour the terminal or imitate another text.
pub fn one_line(text: &str) -> String {
    one_line_start(text, usize::MAX)
}

/// The start of [`one_line`]: at most `max` characters.
pub fn one_line_start(text: &str, max: usize) -> String {
    let mut line = String::new();
    let mut left = max;
    let mut blank = false;
    // A long text is not read to its end. Four times the length leaves enough if much of it is escape sequences.
    let start: String = text
        .trim_start()
        .chars()
        .take(max.saturating_mul(4))
        .collect();
    EscapeStripper::default().push(&start, |c| {
        if c.is_whitespace() || c == '\x08' {
            blank = true;
        } else if left > 0 {
            if std::mem::take(&mut blank) && !line.is_empty() {
                line.push(' ');
            }
            line.push(c);
            left -= 1;
        }
    });
    line
}

/// A number and its noun: `1 task`, `3 tasks`.
pub fn count(n: u64, noun: &str) -> String {
    match n {
        1 => format!("1 {noun}"),
        n => format!("{} {noun}s", grouped(n)),
    }
}

/// A number with blanks between its thousands: `12 345 678`. Up to four digits are not separated.
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
    fn text_is_cut_by_columns_not_by_bytes() {
        assert_eq!(fit("short", 5), "short");
        assert_eq!(fit("a bit longer", 6), "a bit…");
        assert_eq!(fit("日本語です", 6), "日本…");
        assert_eq!(fit("anything", 0), "");
        assert_eq!(width("e\u{301}"), 1);
        assert_eq!(width("✅"), 2);
        assert_eq!(width("हिन्दी"), 5);
    }

    #[test]
    fn a_table_cell_is_one_safe_line() {
        assert_eq!(one_line(" a\n\n  b\tc\x1b[31m "), "a b c");
        let text = one_line_start("\u{202e}evil\u{2066} 👩\u{200d}💻 🇩🇪 \u{1b}[2Jx\n\n y", 40);
        assert_eq!(text, "evil 👩💻 DE x y");
        assert_eq!(one_line_start("abcdef", 3), "abc");
        assert_eq!(one_line("a\u{202e}b\u{2028}c\u{200b}d"), "ab cd");
    }

    #[test]
    fn numbers_are_grouped() {
        assert_eq!(count(1, "task"), "1 task");
        assert_eq!(count(0, "task"), "0 tasks");
        assert_eq!(grouped(1000), "1000");
        assert_eq!(grouped(1_234_567), "1 234 567");
    }
}
