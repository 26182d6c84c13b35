//! Text in columns: its width on a terminal, cut to fit, as one safe line.

use super::escapes::EscapeStripper;
use unicode_segmentation::UnicodeSegmentation;
use unicode_width::UnicodeWidthStr;

/// The grapheme clusters of a text, each with the columns that it occupies. Control characters occupy none.
///
/// Every width and every cut is made of these, because a terminal draws a cluster as one: a text that is measured by
/// characters would be cut between a letter and its accents, or be drawn wider than its column.
pub fn clusters(text: &str) -> impl DoubleEndedIterator<Item = (&str, usize)> {
    text.graphemes(true).map(|cluster| {
        let wide = match cluster.contains(char::is_control) {
            true => 0,
            false => cluster.width(),
        };
        (cluster, wide)
    })
}

/// Whether each byte is a visible character of one column: the most frequent case, which needs no search for clusters.
fn is_plain(text: &str) -> bool {
    text.bytes().all(|byte| (b' '..=b'~').contains(&byte))
}

/// Columns that a text occupies on a terminal.
pub fn width(text: &str) -> usize {
    if is_plain(text) {
        return text.len();
    }
    clusters(text).map(|(_, wide)| wide).sum()
}

/// The longest start of a text that fits into `max` columns and ends between two clusters.
pub fn start(text: &str, max: usize) -> &str {
    if is_plain(text) {
        return &text[..max.min(text.len())];
    }
    let mut used = 0;
    let mut end = 0;
    for (cluster, wide) in clusters(text) {
        used += wide;
        if used > max {
            return &text[..end];
        }
        end += cluster.len();
    }
    text
}

/// The longest end of a text that fits into `max` columns and begins between two clusters.
pub fn end(text: &str, max: usize) -> &str {
    let mut used = 0;
    let mut begin = text.len();
    for (cluster, wide) in clusters(text).rev() {
        used += wide;
        if used > max {
            break;
        }
        begin -= cluster.len();
    }
    &text[begin..]
}

/// Removes the last cluster, as Backspace does.
pub fn pop(text: &mut String) {
    let last = text.graphemes(true).next_back().map_or(0, str::len);
    text.truncate(text.len() - last);
}

/// The text with blanks after it, so that it occupies `columns` columns at least.
pub fn pad(text: &str, columns: usize) -> String {
    text.to_owned() + &" ".repeat(columns.saturating_sub(width(text)))
}

/// The text, or as much of its start as fits into `max` columns, with `…` where it was cut.
pub fn fit(text: &str, max: usize) -> String {
    if start(text, max).len() == text.len() {
        return text.to_owned();
    }
    match max.checked_sub(1) {
        Some(room) => start(text, room).trim_end().to_owned() + "…",
        None => String::new(),
    }
}

/// As [`fit`], with the number of characters that are left out: `make test… [+12]`. If `max` is too small for that number, only with `…`.
pub fn fit_counted(text: &str, max: usize) -> String {
    if start(text, max).len() == text.len() {
        return text.to_owned();
    }
    let all = text.chars().count();
    let Some(room) = max.checked_sub(format!("… [+{all}]").chars().count()) else {
        return fit(text, max);
    };
    let start = start(text, room);
    format!("{start}… [+{}]", all - start.chars().count())
}

/// The text as one line: escape sequences and invisible characters are removed, and each run of blanks and line ends becomes
/// one blank. No text of a task can move the cursor, colour the terminal or imitate another text.
pub fn one_line(text: &str) -> String {
    one_line_start(text, usize::MAX)
}

/// The start of [`one_line`]: at most `max` characters, and no part of a cluster.
pub fn one_line_start(text: &str, max: usize) -> String {
    let mut line = String::new();
    // One more, to see whether the last cluster goes on.
    let mut left = max.saturating_add(1);
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
    if left == 0 {
        let last = line.graphemes(true).next_back().map_or(0, str::len);
        line.truncate(line.len() - last);
        line.truncate(line.trim_end().len());
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
        assert_eq!(width("ｶﾞ"), 2);
        assert_eq!(width("हिन्दी"), 5);
        assert_eq!(fit("e\u{301}e\u{301}e\u{301}", 2), "e\u{301}…");
        assert_eq!(fit_counted("日本語です", 5), "日本…");
        assert_eq!(fit_counted("make e\u{301}everything", 12), "make … [+12]");
        assert_eq!(end("日本語", 5), "本語");
        let mut typed = "ae\u{301}".to_owned();
        pop(&mut typed);
        assert_eq!(typed, "a");
    }

    /// Characters of every kind that has ever shifted a column.
    const KINDS: [&str; 30] = [
        "a",
        " ",
        "é",
        "e\u{301}",
        "\u{301}",
        "日",
        "한",
        "\u{1112}\u{1161}\u{11ab}",
        "👩\u{200d}💻",
        "👩\u{200d}❤\u{fe0f}\u{200d}👨",
        "🇩🇪",
        "🇩",
        "👍🏽",
        "🏽",
        "❤\u{fe0f}",
        "❤",
        "1\u{fe0f}\u{20e3}",
        "\u{200b}",
        "\u{200d}",
        "\u{202e}",
        "हि",
        "न्दी",
        "لا",
        "ก็",
        "ｶﾞ",
        "\x1b[31m",
        "\x07",
        "\t",
        "\n",
        "🦀",
    ];

    /// Texts of these, random but always the same.
    fn texts() -> impl Iterator<Item = String> {
        let mut random = fastrand::Rng::with_seed(7);
        (0..4000).map(move |_| {
            let kinds = random.usize(0..12);
            (0..kinds)
                .map(|_| KINDS[random.usize(..KINDS.len())])
                .collect()
        })
    }

    #[test]
    fn a_cut_text_is_never_wider_than_asked_and_ends_between_clusters() {
        for text in texts() {
            let bounds: Vec<usize> = text.grapheme_indices(true).map(|(at, _)| at).collect();
            let is_bound = |at: usize| at == text.len() || bounds.contains(&at);
            for max in 0..14 {
                let (head, tail) = (start(&text, max), end(&text, max));
                assert!(is_bound(head.len()) && width(head) <= max, "{text:?} {max}");
                assert!(
                    is_bound(text.len() - tail.len()) && width(tail) <= max,
                    "{text:?} {max}"
                );
                // Not one cluster less than fits.
                let next = text[head.len()..].graphemes(true).next();
                let more = next.map(|next| width(head) + width(next));
                assert!(more.is_none_or(|more| more > max), "{text:?} {max}");
                for cut in [fit(&text, max), fit_counted(&text, max)] {
                    assert!(width(&cut) <= max, "{text:?} {max} {cut:?}");
                    let kept = cut.split('…').next().unwrap_or_default();
                    let kept = text.strip_prefix(kept).map(|rest| text.len() - rest.len());
                    // Only blanks are left out before the mark.
                    let kept = kept.map(|at| at + text[at..].len() - text[at..].trim_start().len());
                    assert!(kept.is_some(), "{text:?} {max} {cut:?}");
                }
            }
        }
    }

    #[test]
    fn a_safe_line_has_the_width_of_its_characters_one_by_one() {
        // A terminal that knows no clusters draws character by character; both must put the next column at the same place.
        for text in texts() {
            let line = one_line(&text);
            let single: usize = line
                .chars()
                .map(|c| width(c.encode_utf8(&mut [0; 4])))
                .sum();
            assert_eq!(width(&line), single, "{line:?}");
        }
    }

    #[test]
    fn a_table_cell_is_one_safe_line() {
        assert_eq!(one_line(" a\n\n  b\tc\x1b[31m "), "a b c");
        let text = one_line_start("\u{202e}evil\u{2066} 👩\u{200d}💻 🇩🇪 \u{1b}[2Jx\n\n y", 40);
        assert_eq!(text, "evil 👩💻 DE x y");
        assert_eq!(one_line_start("abcdef", 3), "abc");
        assert_eq!(one_line_start("abc def", 3), "abc");
        assert_eq!(one_line_start("abe\u{301}f", 3), "ab");
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
