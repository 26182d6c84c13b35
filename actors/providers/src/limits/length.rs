//! Lengths of time in words.

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
    ("twelve ", 12.0),
    ("twenty ", 20.0),
    ("thirty ", 30.0),
];

/// Words before a length of time, in normal form.
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
    "resets in",
    "reset in",
    "reset after",
    "resets after",
    "renews in",
    "refreshes in",
    "available in",
    "available again in",
    "come back in",
    "wait",
];

/// Words before the time at which the limit itself ends: a program may add a pause of its own before it asks again.
const RESETS: &[&str] = &[
    "resets in",
    "reset in",
    "reset after",
    "resets after",
    "renews in",
    "refreshes in",
];

/// The longest of the lengths that follow words like "try again in"; the ones of the limit itself win. `text` is in
/// normal form.
pub(super) fn after_words(text: &str) -> Option<Duration> {
    longest(text, RESETS)
        .or_else(|| longest(text, BEFORE))
        .or_else(|| from_now(text))
}

/// `2 hours from now`.
fn from_now(text: &str) -> Option<Duration> {
    let found = text.match_indices(" from now").filter_map(|(at, _)| {
        let words: Vec<&str> = text[..at].split_whitespace().rev().take(8).collect();
        // The longest run of words that is a length and nothing else.
        (1..=words.len()).rev().find_map(|count| {
            let words: Vec<&str> = words[..count].iter().rev().copied().collect();
            whole(&words.join(" "))
        })
    });
    found.max()
}

/// The longest of all lengths, whatever they are of. `text` is in normal form.
pub(super) fn longest_of_all(text: &str) -> Option<Duration> {
    longest(text, BEFORE)
}

fn longest(text: &str, before: &[&str]) -> Option<Duration> {
    let found = before.iter().flat_map(|words| {
        text.match_indices(words)
            // After "after" a clock's figures are a time of day.
            .filter_map(|(at, words)| length(&text[at + words.len()..], words.ends_with(" in")))
    });
    found.max()
}

/// A text that is a length of time and nothing else: `41s`, `1h2m3.5s`.
pub(crate) fn whole(text: &str) -> Option<Duration> {
    read(text.trim(), true).and_then(|(length, rest)| rest.trim().is_empty().then_some(length))
}

/// `30 seconds`, `1m30s`, `3 hours 22 minutes`, `4hr 10min`, `12.5s`, `an hour`, `30`: as far as it goes; `1:30:00` with
/// `digital`.
fn length(text: &str, digital: bool) -> Option<Duration> {
    let mut rest = text.trim_start_matches([' ', ':', '~', '=', '"', '\'', '(']);
    for filler in [
        "about ",
        "approximately ",
        "another ",
        "at least ",
        "up to ",
    ] {
        rest = rest.strip_prefix(filler).unwrap_or(rest);
    }
    // ISO 8601: `PT1H30M`.
    if let Some(iso) = rest.strip_prefix("pt").filter(|it| number_begins(it)) {
        rest = iso;
    }
    read(rest, digital).map(|(length, _)| length)
}

/// The length at the beginning, and what follows it.
fn read(text: &str, is_digital: bool) -> Option<(Duration, &str)> {
    match digital(text) {
        Some(found) if is_digital => return Some(found),
        Some(_) => return None,
        None => {}
    }
    let mut rest = text;
    let mut total: Option<Duration> = None;
    while let Some((number, after)) = number(rest) {
        let after = after.trim_start();
        let letters = after.find(|c: char| !c.is_ascii_alphabetic());
        let (unit, after) = after.split_at(letters.unwrap_or(after.len()));
        let seconds = match unit {
            "ms" | "millisecond" | "milliseconds" => 0.001,
            "s" | "sec" | "secs" | "second" | "seconds" => 1.0,
            "m" | "min" | "mins" | "minute" | "minutes" => 60.0,
            "h" | "hr" | "hrs" | "hour" | "hours" => 3600.0,
            "d" | "day" | "days" => 86_400.0,
            "w" | "week" | "weeks" => 604_800.0,
            // A bare number is seconds, as in the header of HTTP.
            _ if total.is_none() && unit.is_empty() => 1.0,
            _ => break,
        };
        let piece = Duration::try_from_secs_f64(number * seconds).ok()?;
        total = Some(total.unwrap_or_default().saturating_add(piece));
        rest = after;
        let next = after.trim_start_matches([' ', ',']);
        let next = next.strip_prefix("and ").unwrap_or(next);
        if number_begins(next) {
            rest = next;
        }
    }
    total.map(|total| (total, rest))
}

fn number_begins(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_digit())
}

/// A number in digits, or the words for one.
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

/// Three digits after a comma, and what follows them.
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
