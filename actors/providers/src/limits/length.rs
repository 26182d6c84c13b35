//! Lengths of time in words.

use std::time::Duration;

/// Words before a length of time, in normal form.
const BEFORE: &[&str] = &[
    "try again in",
    "try again after",
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
    longest(text, RESETS).or_else(|| longest(text, BEFORE))
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
pub(super) fn whole(text: &str) -> Option<Duration> {
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
    for one in ["an ", "a ", "one "] {
        if let Some(rest) = text.strip_prefix(one) {
            return Some((1.0, rest));
        }
    }
    if !number_begins(text) {
        return None;
    }
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.');
    let (digits, rest) = text.split_at(end.unwrap_or(text.len()));
    Some((digits.trim_end_matches('.').parse().ok()?, rest))
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
