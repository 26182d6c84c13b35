//! When a program that met a rate limit may be asked again: what its words say. They say it in many ways, so only what
//! is beyond doubt is taken: a length of time after words like "try again in", or a point in time that lies ahead.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Words before a length of time, in small letters.
const BEFORE: &[&str] = &[
    "try again in",
    "try again after",
    "retry in",
    "retry after",
    "retry-after:",
    "retry-after",
    "resets in",
    "reset in",
    "reset after",
    "available in",
    "available again in",
];
/// What lies further ahead is no reset of a limit.
const LONGEST: Duration = Duration::from_secs(31 * 24 * 3600);

/// The time before which asking again is useless, where the text names one.
pub(crate) fn again(text: &str, now: SystemTime) -> Option<SystemTime> {
    let lower = text.to_lowercase();
    let ahead = |wait: &Duration| !wait.is_zero() && *wait <= LONGEST;
    let lengths = BEFORE.iter().filter_map(|words| {
        let at = lower.find(words)?;
        length(&lower[at + words.len()..])
    });
    if let Some(wait) = lengths.filter(ahead).max() {
        return now.checked_add(wait);
    }
    let words = text.split(|c: char| c.is_whitespace() || "|()[],;\"'".contains(c));
    let points = words.filter_map(|word| point(word.trim_end_matches(['.', '!'])));
    let left = points.filter_map(|at| at.duration_since(now).ok());
    left.filter(ahead)
        .max()
        .and_then(|wait| now.checked_add(wait))
}

/// `30 seconds`, `1m30s`, `3 hours 22 minutes`, `12.5s`, `30`: as far as it goes.
fn length(text: &str) -> Option<Duration> {
    let mut rest = text.trim_start_matches([' ', ':', '~']);
    let mut total: Option<Duration> = None;
    loop {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.');
        let (number, after) = rest.split_at(digits.unwrap_or(rest.len()));
        let Ok(number) = number.trim_end_matches('.').parse::<f64>() else {
            return total;
        };
        let after = after.trim_start();
        let letters = after.find(|c: char| !c.is_ascii_alphabetic());
        let (unit, after) = after.split_at(letters.unwrap_or(after.len()));
        let seconds = match unit {
            "ms" | "millisecond" | "milliseconds" => 0.001,
            "s" | "sec" | "secs" | "second" | "seconds" => 1.0,
            "m" | "min" | "mins" | "minute" | "minutes" => 60.0,
            "h" | "hr" | "hrs" | "hour" | "hours" => 3600.0,
            "d" | "day" | "days" => 86_400.0,
            // A bare number is seconds, as in the header of HTTP.
            _ if total.is_none() && unit.is_empty() => 1.0,
            _ => return total,
        };
        let piece = Duration::try_from_secs_f64(number * seconds).ok()?;
        total = Some(total.unwrap_or_default().saturating_add(piece));
        rest = after.trim_start_matches([' ', ',']);
        rest = rest.strip_prefix("and ").unwrap_or(rest);
    }
}

/// A point in Unix time (seconds or milliseconds), or a date of RFC 3339.
fn point(word: &str) -> Option<SystemTime> {
    if word.len() >= 10 && word.bytes().all(|it| it.is_ascii_digit()) {
        let number: u64 = word.parse().ok()?;
        let since = match word.len() {
            10 => Duration::from_secs(number),
            13 => Duration::from_millis(number),
            _ => return None,
        };
        return UNIX_EPOCH.checked_add(since);
    }
    humantime::parse_rfc3339(word).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ways_in_which_programs_say_it() {
        let now = UNIX_EPOCH + Duration::from_secs(1_795_000_000);
        for (text, seconds) in [
            ("Rate limit reached. Please try again in 1m30s.", Some(90.0)),
            (
                "You've hit your usage limit. Try again in 3 hours 22 minutes.",
                Some(12_120.0),
            ),
            ("429: retry after 30 seconds", Some(30.0)),
            ("slow down, retry-after: 7", Some(7.0)),
            ("Please retry in 12.5s.", Some(12.5)),
            ("try again in 1 day, 2 hours and 5 minutes", Some(93_900.0)),
            ("Claude AI usage limit reached|1795000600", Some(600.0)),
            ("limit resets at 2026-11-18T12:00:00Z.", Some(3_200.0)),
            ("resets at 1795000600000", Some(600.0)),
            ("your limit resets 3pm (Europe/Berlin)", None),
            ("limit reached|1600000000", None),
            ("try again in a while", None),
            ("try again in 5 tries", None),
            ("retry in 0s", None),
            ("429 Too Many Requests", None),
        ] {
            let found = again(text, now).map(|at| at.duration_since(now).unwrap().as_secs_f64());
            assert_eq!(found, seconds, "{text}");
        }
    }
}
