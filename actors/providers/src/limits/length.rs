//! Durations in text.

use std::time::Duration;

/// Numbers in words.
const NUMBERS: &[(&str, f64)] = &[
    ("half an ", 0.5),
    ("half a ", 0.5),
    ("an ", 1.0),
    ("a ", 1.0),
    ("one ", 1.0),
    ("two ", 2.0),
    ("three ", 3.0),
    ("four ", 4.0),
    ("five ", 5.0),
    ("six ", 6.0),
    ("seven ", 7.0),
    ("eight ", 8.0),
    ("nine ", 9.0),
    ("ten ", 10.0),
    ("eleven ", 11.0),
    ("twelve ", 12.0),
    ("fifteen ", 15.0),
    ("twenty-four ", 24.0),
    ("twenty ", 20.0),
    ("thirty ", 30.0),
    ("forty-five ", 45.0),
    ("forty ", 40.0),
    ("fifty ", 50.0),
    ("sixty ", 60.0),
    ("ninety ", 90.0),
];

/// Words before a duration, normalised.
const BEFORE: &[&str] = &[
    "try again in",
    "try again after",
    "try again within",
    "retry in",
    "retrying in",
    "retry after",
    "retrying after",
    "retry-after",
    "retry_after",
    "retryafter",
    "retry-delay",
    "retry_delay",
    "retrydelay",
    "resets in",
    "reset in",
    "reset after",
    "resets after",
    "renews in",
    "refreshes in",
    "available in",
    "available again in",
    "come back in",
    "back in",
    "again in",
    "resume in",
    "resumes in",
    "unlocks in",
    "lifted in",
    "restored in",
    "replenishes in",
    "refills in",
    "wait",
];

/// Words before the time to the end of the limit itself. A program may announce a further pause of its own.
const RESETS: &[&str] = &[
    "resets in",
    "reset in",
    "reset after",
    "resets after",
    "renews in",
    "refreshes in",
    "reset_in",
    "resets_in",
    "reset-in",
    "resetin",
    "resetsin",
    "reset_after",
    "reset-after",
    "resetafter",
];

/// Words before a duration with a unit. A bare number after them is something else.
const BEFORE_UNITS: &[&str] = &[
    "resets",
    "reset",
    "renews",
    "refreshes",
    "available",
    "retry",
];
/// Words after a duration.
const AFTER: &[&str] = &[
    " from now",
    " until reset",
    " until it resets",
    " until your limit resets",
    " remaining",
    " left",
    " to go",
];
/// Characters before the last words of a notice, which may be just a duration.
const MARKS: &[char] = &['·', '∙', '•', '|', ',', ';', '(', '—', '–'];
/// Words of a limit that has this duration, as opposed to the time to its end: "the limit per 5h", "rate limit (5h)".
const LENGTH_OF_LIMIT: &[&str] = &["limit", "window", "per", "quota", "every", "period", "plan"];

/// The longest of the durations that follow words like "try again in". Those of the limit itself win. `text` is normalised.
pub(super) fn after_words(text: &str) -> Option<Duration> {
    longest(text, RESETS)
        .or_else(|| longest(text, BEFORE))
        .or_else(|| with_unit(text))
        .or_else(|| before_words(text))
        .or_else(|| at_end(text))
}

/// `resets 15h`, `reset: 2d 4h`.
fn with_unit(text: &str) -> Option<Duration> {
    let found = BEFORE_UNITS.iter().flat_map(|words| {
        text.match_indices(words).filter_map(|(at, words)| {
            let rest = &text[at + words.len()..];
            let rest = rest.strip_prefix(" time").unwrap_or(rest);
            let rest = rest.trim_start_matches([' ', ':', '~', '=', '(', '"', '\'']);
            let is_word = rest.len() < text.len() - at - words.len();
            let read = read(rest, false, 1.0).filter(|it| is_word && it.has_unit)?;
            // The end of the duration must be the end of a word.
            let ends = !read.rest.starts_with(|c: char| c.is_alphanumeric());
            ends.then_some(read.length)
        })
    });
    found.max()
}

/// `2 hours from now`, `15h remaining`.
fn before_words(text: &str) -> Option<Duration> {
    let found = AFTER.iter().flat_map(|after| {
        text.match_indices(after).filter_map(|(at, _)| {
            let words: Vec<&str> = text[..at].split_whitespace().rev().take(8).collect();
            // The longest run of words that is a duration and nothing else.
            (1..=words.len()).rev().find_map(|count| {
                let words: Vec<&str> = words[..count].iter().rev().copied().collect();
                let words = words.join(" ");
                with_unit_alone(words.trim_start_matches(['(', '~']))
            })
        })
    });
    found.max()
}

/// A notice that ends with a duration: "limit reached · in 15h", "quota exceeded (15h)".
fn at_end(text: &str) -> Option<Duration> {
    let text = text.trim_end_matches(|c: char| c.is_whitespace() || ")]\"'.!".contains(c));
    let is_mark = |(at, c): &(usize, char)| {
        let is_followed = || text[at + c.len_utf8()..].starts_with(char::is_whitespace);
        MARKS.contains(c) || matches!(c, '.' | ':') && is_followed()
    };
    let mark = text.char_indices().rev().find(is_mark);
    let begin = mark.map_or(0, |(at, c)| at + c.len_utf8());
    let (before, last) = text.split_at(begin);
    let last = last.trim();
    if let Some(length) = last.strip_prefix("in ") {
        return with_unit_alone(length);
    }
    let before = before
        .trim_end_matches(|c: char| c.is_whitespace() || ".:".contains(c) || MARKS.contains(&c));
    let is_limits = before.is_empty() || LENGTH_OF_LIMIT.iter().any(|it| before.ends_with(it));
    with_unit_alone(last).filter(|_| !is_limits)
}

fn with_unit_alone(text: &str) -> Option<Duration> {
    let text = filled(text.trim());
    let read = read(text, false, 1.0)?;
    (read.has_unit && read.rest.trim().is_empty()).then_some(read.length)
}

/// The longest of all durations, whatever they measure. `text` is normalised.
pub(super) fn longest_of_all(text: &str) -> Option<Duration> {
    longest(text, BEFORE)
}

fn longest(text: &str, before: &[&str]) -> Option<Duration> {
    let found = before.iter().flat_map(|words| {
        text.match_indices(words)
            // After "after", digits with colons are a time of day.
            .filter_map(|(at, words)| length(&text[at + words.len()..], words.ends_with(" in")))
    });
    found.max()
}

/// A text that is a duration and nothing else: `41s`, `1h2m3.5s`.
pub(crate) fn whole(text: &str) -> Option<Duration> {
    let read = read(text.trim(), true, 1.0)?;
    read.rest.trim().is_empty().then_some(read.length)
}

/// `30 seconds`, `1m30s`, `3 hours 22 minutes`, `4hr 10min`, `12.5s`, `an hour`, `30`, and with `digital` `1:30:00`, as far
/// as the text has this form. The unit of a bare number may come first, as in `retry_after_ms: 500`.
fn length(text: &str, digital: bool) -> Option<Duration> {
    let (unit, text) = stated_unit(text);
    let rest = text.trim_start_matches([' ', ':', '~', '=', '"', '\'', '(']);
    let mut rest = filled(rest);
    // ISO 8601: `PT1H30M`.
    if let Some(iso) = rest.strip_prefix("pt").filter(|it| number_begins(it)) {
        rest = iso;
    }
    read(rest, digital, unit).map(|it| it.length)
}

/// Seconds of the unit at the end of a key, and the text after it.
fn stated_unit(text: &str) -> (f64, &str) {
    let word = text.trim_start_matches(['_', '-']);
    let end = word.find(|c: char| !c.is_ascii_alphabetic());
    let (name, rest) = word.split_at(end.unwrap_or(word.len()));
    let is_key = rest
        .trim_start_matches(['"', '\'', ' '])
        .starts_with([':', '=']);
    match unit(name).filter(|_| is_key) {
        Some(seconds) => (seconds, rest),
        None => (1.0, text),
    }
}

/// The text without leading words that make a duration less exact.
fn filled(mut text: &str) -> &str {
    for filler in [
        "in ",
        "about ",
        "around ",
        "approximately ",
        "approx. ",
        "approx ",
        "roughly ",
        "another ",
        "at least ",
        "up to ",
        "less than ",
        "under ",
        "the next ",
        "~",
    ] {
        text = text.strip_prefix(filler).unwrap_or(text);
    }
    text
}

/// The duration at the beginning of a text.
struct Read<'t> {
    length: Duration,
    /// The text after it.
    rest: &'t str,
    /// Whether it states its unit.
    has_unit: bool,
}

/// Reads the duration at the beginning. `bare` is the unit, in seconds, of a number without one.
fn read(text: &str, is_digital: bool, bare: f64) -> Option<Read<'_>> {
    match digital(text) {
        Some((length, rest)) if is_digital => {
            return Some(Read {
                length,
                rest,
                has_unit: true,
            });
        }
        Some(_) => return None,
        None => {}
    }
    let mut rest = text;
    let mut total: Option<Duration> = None;
    let mut has_unit = false;
    while let Some((mut number_read, mut after)) = number(rest) {
        // "15-20 minutes", "15 to 20 minutes": the longer duration.
        let more = after.trim_start();
        let more = ["-", "\u{2013}", "to "]
            .iter()
            .find_map(|it| more.strip_prefix(it));
        if let Some((longer, behind)) = more.and_then(|it| number(it.trim_start()))
            && longer > number_read
        {
            (number_read, after) = (longer, behind);
        }
        let after = after.trim_start();
        let letters = after.find(|c: char| !c.is_ascii_alphabetic());
        let (name, after) = after.split_at(letters.unwrap_or(after.len()));
        let seconds = match unit(name) {
            Some(seconds) => seconds,
            // As in the HTTP header.
            None if total.is_none() && name.is_empty() => bare,
            None => break,
        };
        has_unit |= !name.is_empty();
        let piece = Duration::try_from_secs_f64(number_read * seconds).ok()?;
        total = Some(total.unwrap_or_default().saturating_add(piece));
        rest = after;
        let next = after.strip_prefix('.').unwrap_or(after);
        let next = next.trim_start_matches([' ', ',']);
        let next = next.strip_prefix("and ").unwrap_or(next);
        if number_begins(next) {
            rest = next;
        }
    }
    total.map(|length| Read {
        length,
        rest,
        has_unit,
    })
}

/// The seconds of a unit.
fn unit(name: &str) -> Option<f64> {
    Some(match name {
        "ms" | "msec" | "msecs" | "millis" | "millisecond" | "milliseconds" => 0.001,
        "s" | "sec" | "secs" | "second" | "seconds" => 1.0,
        "m" | "min" | "mins" | "minute" | "minutes" => 60.0,
        "h" | "hr" | "hrs" | "hour" | "hours" => 3600.0,
        "d" | "day" | "days" => 86_400.0,
        "w" | "week" | "weeks" => 604_800.0,
        "month" | "months" => 30.0 * 86_400.0,
        _ => return None,
    })
}

fn number_begins(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_digit())
}

/// A number in digits or words.
fn number(text: &str) -> Option<(f64, &str)> {
    for (words, number) in NUMBERS {
        if let Some(rest) = text.strip_prefix(words) {
            return Some((*number, rest));
        }
    }
    if !number_begins(text) {
        return None;
    }
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.');
    let (digits, mut rest) = text.split_at(end.unwrap_or(text.len()));
    let mut digits = digits.trim_end_matches('.').to_owned();
    // `1,800`
    while let Some((group, after)) = thousands(rest).filter(|_| !digits.contains('.')) {
        digits.push_str(group);
        rest = after;
    }
    Some((digits.parse().ok()?, rest))
}

/// Three digits after a comma, and the text after them.
fn thousands(text: &str) -> Option<(&str, &str)> {
    let group = text.strip_prefix(',')?;
    let end = group.find(|c: char| !c.is_ascii_digit());
    let (group, rest) = group.split_at(end.unwrap_or(group.len()));
    (group.len() == 3).then_some((group, rest))
}

/// `1:30:00`, `1:30`: hours, minutes and seconds.
fn digital(text: &str) -> Option<(Duration, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != ':');
    let (clock, rest) = text.split_at(end.unwrap_or(text.len()));
    let parts: Option<Vec<u64>> = clock.split(':').map(|it| it.parse().ok()).collect();
    let seconds = match *parts?.as_slice() {
        [hours, minutes] => hours.checked_mul(3600)?.checked_add(minutes * 60)?,
        [hours, minutes, seconds] => hours
            .checked_mul(3600)?
            .checked_add(minutes.checked_mul(60)?)?
            .checked_add(seconds)?,
        _ => return None,
    };
    Some((Duration::from_secs(seconds), rest))
}
