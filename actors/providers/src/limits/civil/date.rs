//! Parts of dates and times of day in text.

use jiff::civil::{Time, Weekday};

/// Month, day, and the year where it is stated.
pub(super) type Date = (i8, i8, Option<i16>);

const MONTHS: &[&str] = &[
    "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
];
const DAYS: &[(&[&str], Weekday)] = &[
    (&["mon", "monday"], Weekday::Monday),
    (&["tue", "tues", "tuesday"], Weekday::Tuesday),
    (&["wed", "weds", "wednesday"], Weekday::Wednesday),
    (&["thu", "thur", "thurs", "thursday"], Weekday::Thursday),
    (&["fri", "friday"], Weekday::Friday),
    (&["sat", "saturday"], Weekday::Saturday),
    (&["sun", "sunday"], Weekday::Sunday),
];

/// `2026-11-30`, `30-11-2026`, `2026/11/30`, `30.11.2026`, `30-nov-2026`, `11/30`, `11/30/2026`.
pub(super) fn numeric(word: &str) -> Option<Date> {
    let separator = word.find(['-', '/', '.']).map(|at| &word[at..=at])?;
    let parts: Vec<&str> = word.split(separator).collect();
    let short = |it: &str| it.parse::<i8>().ok();
    let year = |it: &str| match it.len() {
        4 => it.parse::<i16>().ok(),
        2 => Some(2000 + it.parse::<i16>().ok()?),
        _ => None,
    };
    match *parts.as_slice() {
        [y, m, d] if y.len() == 4 => Some((short(m)?, short(d)?, Some(year(y)?))),
        // Only a slash means the American order, and only where the first number can be a month.
        [a, b, y] => {
            let (a, b, y) = (short(a)?, month(b).or_else(|| short(b))?, year(y)?);
            match separator {
                "/" if a <= 12 => Some((a, b, Some(y))),
                _ => Some((b, a, Some(y))),
            }
        }
        [a, b] if separator == "/" => match (short(a)?, short(b)?) {
            (a, b) if a > 12 => Some((b, a, None)),
            (a, b) => Some((a, b, None)),
        },
        _ => None,
    }
}

/// `30.11` before a time of day. Without one it can be any number.
pub(super) fn dotted(word: &str) -> Option<Date> {
    let (day, month) = word.split_once('.')?;
    let (day, month) = (day.parse().ok()?, month.parse().ok()?);
    let is_date = (1..=31).contains(&day) && (1..=12).contains(&month);
    is_date.then_some((month, day, None))
}

/// The weekday of this name.
pub(super) fn weekday(word: &str) -> Option<Weekday> {
    let found = DAYS.iter().find(|(names, _)| names.contains(&word));
    found.map(|(_, weekday)| *weekday)
}

/// `1st`, `30th`: the number where it has the form of a day.
pub(super) fn ordinal(word: &str) -> Option<i8> {
    let is_ordinal = word.ends_with(|c: char| c.is_ascii_alphabetic());
    day(word).filter(|_| is_ordinal)
}

pub(super) fn month(word: &str) -> Option<i8> {
    let index = MONTHS.iter().position(|name| is_month(word, name))?;
    i8::try_from(index + 1).ok()
}

fn is_month(word: &str, name: &str) -> bool {
    const LONG: &[&str] = &[
        "january",
        "february",
        "march",
        "april",
        "may",
        "june",
        "july",
        "august",
        "sept",
        "september",
        "october",
        "november",
        "december",
    ];
    word == name || (word.starts_with(name) && LONG.contains(&word))
}

/// `9`, `9th`.
pub(super) fn day(word: &str) -> Option<i8> {
    let digits = word.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let suffix = &word[digits.len()..];
    let is_day = matches!(suffix, "" | "st" | "nd" | "rd" | "th");
    digits
        .parse()
        .ok()
        .filter(|it| is_day && (1..=31).contains(it))
}

/// `3pm`, `5:31pm`, `15:30`, `00:00:00`. With `strict` a bare number is not a time.
pub(super) fn clock(word: &str, strict: bool) -> Option<Time> {
    let (digits, half) = match word.strip_suffix("pm") {
        Some(digits) => (digits, Some(12)),
        None => match word.strip_suffix("am") {
            Some(digits) => (digits, Some(0)),
            None => (word, None),
        },
    };
    if strict && half.is_none() && !digits.contains(':') {
        return None;
    }
    let mut parts = digits
        .split(':')
        .map(|it| it.split('.').next().unwrap_or(it).parse::<i8>().ok());
    let hour = parts.next()??;
    let minute = parts.next().unwrap_or(Some(0))?;
    let second = parts.next().unwrap_or(Some(0))?;
    let hour = match half {
        Some(_) if !(1..=12).contains(&hour) => return None,
        Some(half) => hour % 12 + half,
        None => hour,
    };
    Time::new(hour, minute, second, 0).ok()
}
