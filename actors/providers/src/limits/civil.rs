//! Times of day and dates in words: "resets 3pm (America/New_York)", "try again at Oct 9th, 2026 5:31 PM".

use std::time::Duration;

use jiff::Timestamp;
use jiff::civil::{Date, DateTime, Time, Weekday};
use jiff::tz::{Offset, TimeZone};

use super::Moment;

/// Words before a time of day or a date, in normal form.
const BEFORE: &[&str] = &[
    "resets",
    "reset",
    "renews",
    "refreshes",
    "try again",
    "available",
    "retry",
    "retry-after:",
    "access",
    "until",
    "come back",
    "wait",
];
/// Words that may stand between them and the time, and between date and time.
const FILLERS: &[&str] = &[
    "at", "on", "by", "again", "after", "around", "about", "the", "your", "of", "time", "local",
    "uhr",
];
/// How much of the text after them is looked at, in words.
const REACH: usize = 12;
/// A time of day that is past by less than this was rounded: the limit is over now, not tomorrow.
const ROUNDING: Duration = Duration::from_secs(60);
const MONTHS: &[&str] = &[
    "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
];
const DAYS: &[(&str, Weekday)] = &[
    ("mon", Weekday::Monday),
    ("tue", Weekday::Tuesday),
    ("wed", Weekday::Wednesday),
    ("thu", Weekday::Thursday),
    ("fri", Weekday::Friday),
    ("sat", Weekday::Saturday),
    ("sun", Weekday::Sunday),
];
/// Abbreviations that texts for people use, as zones whose daylight saving is known.
const ZONES: &[(&str, &str)] = &[
    ("utc", "UTC"),
    ("gmt", "UTC"),
    ("z", "UTC"),
    ("pst", "America/Los_Angeles"),
    ("pdt", "America/Los_Angeles"),
    ("pt", "America/Los_Angeles"),
    ("pacific", "America/Los_Angeles"),
    ("mst", "America/Denver"),
    ("mdt", "America/Denver"),
    ("cst", "America/Chicago"),
    ("cdt", "America/Chicago"),
    ("est", "America/New_York"),
    ("edt", "America/New_York"),
    ("et", "America/New_York"),
    ("eastern", "America/New_York"),
    ("bst", "Europe/London"),
    ("cet", "Europe/Paris"),
    ("cest", "Europe/Paris"),
    ("ist", "Asia/Kolkata"),
    ("jst", "Asia/Tokyo"),
    ("ct", "America/Chicago"),
    ("central", "America/Chicago"),
    ("mt", "America/Denver"),
    ("mountain", "America/Denver"),
    ("akst", "America/Anchorage"),
    ("hst", "Pacific/Honolulu"),
    ("brt", "America/Sao_Paulo"),
    ("wet", "Europe/Lisbon"),
    ("mez", "Europe/Berlin"),
    ("mesz", "Europe/Berlin"),
    ("eet", "Europe/Helsinki"),
    ("eest", "Europe/Helsinki"),
    ("msk", "Europe/Moscow"),
    ("sgt", "Asia/Singapore"),
    ("hkt", "Asia/Hong_Kong"),
    ("kst", "Asia/Seoul"),
    ("aest", "Australia/Sydney"),
    ("aedt", "Australia/Sydney"),
    ("nzst", "Pacific/Auckland"),
    ("nzdt", "Pacific/Auckland"),
];

/// The time from now to the point that words like "resets" name; the longest of several. `text` is in normal form.
pub(super) fn after_words(text: &str, moment: &Moment) -> Option<Duration> {
    let found = BEFORE.iter().flat_map(|words| {
        text.match_indices(words).filter_map(|(at, words)| {
            let rest = &text[at + words.len()..];
            // "reset" is also the beginning of "resets".
            let ends = rest.starts_with(|c: char| !c.is_alphanumeric());
            ends.then(|| Named::read(rest)).flatten()?.wait(moment)
        })
    });
    found.max()
}

/// The parts of a date and time as far as a text names them.
#[derive(Debug, Default)]
struct Named {
    /// Month and day, and the year where it is stated.
    date: Option<(i8, i8, Option<i16>)>,
    weekday: Option<Weekday>,
    is_tomorrow: bool,
    is_today: bool,
    time: Option<Time>,
    zone: Option<TimeZone>,
}

impl Named {
    /// Reads word by word, until one is none of a time's.
    fn read(text: &str) -> Option<Self> {
        let blank = |c: char| c.is_whitespace() || "(),;|\"[]·∙•".contains(c);
        let mut words = text
            .split(blank)
            .map(|it| it.trim_start_matches(':').trim_end_matches(['.', '!', ':']))
            .filter(|it| !it.is_empty())
            .take(REACH)
            .peekable();
        let mut named = Self::default();
        while let Some(word) = words.next() {
            let next = words.peek().copied().unwrap_or("");
            let took_next = if FILLERS.contains(&word) {
                false
            } else if let Some(took_next) = named.take(word, next) {
                took_next
            } else if named.time.is_some() && named.zone.is_none() && is_zone_like(word) {
                // Of a zone that is not known the time is not either.
                return None;
            } else {
                break;
            };
            if took_next {
                words.next();
            }
        }
        let is_day = named.date.is_some() || named.weekday.is_some() || named.is_tomorrow;
        (named.time.is_some() || is_day).then_some(named)
    }

    /// Takes a word; whether the one after it belonged to it. `None`: it is none of a time's.
    fn take(&mut self, word: &str, next: &str) -> Option<bool> {
        if let Some(at) = word.find('t').filter(|_| iso(word.get(..10)).is_some()) {
            let (date, time) = (iso(word.get(..at)), &word[at + 1..]);
            self.date = date;
            let zoned = time.find(['z', '+', '-', '\u{2212}']).unwrap_or(time.len());
            self.time = clock(&time[..zoned], false).or(self.time);
            self.zone = zone(&time[zoned..]).or(self.zone.take());
            return Some(false);
        }
        match word {
            "tomorrow" => self.is_tomorrow = true,
            "today" | "tonight" => self.is_today = true,
            "midnight" => self.time = Some(Time::midnight()),
            "noon" => self.time = Time::new(12, 0, 0, 0).ok(),
            _ => return self.number_or_name(word, next),
        }
        Some(false)
    }

    fn number_or_name(&mut self, word: &str, next: &str) -> Option<bool> {
        if self.date.is_none() {
            if let Some(date) = iso(Some(word)).or_else(|| slashed(word)) {
                self.date = Some(date);
                return Some(false);
            }
            if let (Some(month), Some(day)) = (month(word), day(next)) {
                self.date = Some((month, day, None));
                return Some(true);
            }
            if let (Some(day), Some(month)) = (day(word), month(next)) {
                self.date = Some((month, day, None));
                return Some(true);
            }
        } else if let Some((_, _, year @ None)) = &mut self.date
            && let Some(stated) = word.parse().ok().filter(|it| (2000..2200).contains(it))
        {
            *year = Some(stated);
            return Some(false);
        }
        if self.time.is_none() {
            let half = next.replace('.', "");
            if matches!(half.as_str(), "am" | "pm")
                && let Some(time) = clock(&format!("{word}{half}"), true)
            {
                self.time = Some(time);
                return Some(true);
            }
            if let Some(time) = clock(&word.replace("a.m", "am").replace("p.m", "pm"), true) {
                self.time = Some(time);
                return Some(false);
            }
        }
        if self.weekday.is_none()
            && let Some((_, weekday)) = DAYS.iter().find(|(name, _)| is_name(word, name, "day"))
        {
            self.weekday = Some(*weekday);
            return Some(false);
        }
        if self.zone.is_none() {
            self.zone = Some(zone(word)?);
            return Some(false);
        }
        None
    }

    /// From now to the next point that fits. Zero and `None`: it is past, or the text names no point.
    fn wait(&self, moment: &Moment) -> Option<Duration> {
        let zone = self.zone.clone().unwrap_or_else(|| moment.zone.clone());
        let now = Timestamp::try_from(moment.at).ok()?;
        let today = zone.to_datetime(now).date();
        let time = self.time.unwrap_or_else(Time::midnight);
        let until = |date: Date| {
            let at = zone.to_timestamp(DateTime::from_parts(date, time)).ok()?;
            Some(at.duration_since(now))
        };
        let ahead = |date: Date| Duration::try_from(until(date)?).ok();
        match (self.date, self.weekday) {
            (Some((month, day, Some(year))), _) => ahead(Date::new(year, month, day).ok()?),
            (Some((month, day, None)), _) => {
                let in_year = |year| Date::new(year, month, day).ok().and_then(ahead);
                in_year(today.year()).or_else(|| in_year(today.year().checked_add(1)?))
            }
            (None, Some(weekday)) => {
                let mut date = today;
                for _ in 0..8 {
                    if date.weekday() == weekday
                        && let Some(wait) = ahead(date)
                    {
                        return Some(wait);
                    }
                    date = date.tomorrow().ok()?;
                }
                None
            }
            (None, None) if self.is_tomorrow => ahead(today.tomorrow().ok()?),
            (None, None) => match ahead(today) {
                Some(wait) => Some(wait),
                None if self.is_today => None,
                None if until(today)?.unsigned_abs() < ROUNDING => None,
                None => ahead(today.tomorrow().ok()?),
            },
        }
    }
}

/// Whether a word after a time looks like the name of a zone: `nst`, `wakt`, `Area/City`.
fn is_zone_like(word: &str) -> bool {
    const WORDS: &[&str] = &[
        "just", "most", "best", "last", "next", "must", "first", "rest", "test", "past", "lost",
        "cost", "post", "host", "list",
    ];
    let is_word =
        |it: &str| !it.is_empty() && it.chars().all(|c| c.is_ascii_alphabetic() || c == '_');
    match word.split_once('/') {
        Some((area, city)) => is_word(area) && city.split('/').all(is_word),
        None => {
            let is_short = (3..=4).contains(&word.len()) && is_word(word);
            is_short && (word.ends_with("st") || word.ends_with("dt")) && !WORDS.contains(&word)
        }
    }
}

/// `2026-11-30`.
fn iso(word: Option<&str>) -> Option<(i8, i8, Option<i16>)> {
    let mut parts = word?.split('-');
    let (year, month, day) = (parts.next()?, parts.next()?, parts.next()?);
    let is_date = year.len() == 4 && parts.next().is_none();
    is_date.then_some((
        month.parse().ok()?,
        day.parse().ok()?,
        Some(year.parse().ok()?),
    ))
}

/// `11/30`, `11/30/2026`.
fn slashed(word: &str) -> Option<(i8, i8, Option<i16>)> {
    let mut parts = word.split('/');
    let (month, day) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
    let year = match parts.next() {
        Some(year) => Some(year.parse().ok()?),
        None => None,
    };
    Some((month, day, year))
}

fn month(word: &str) -> Option<i8> {
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
fn day(word: &str) -> Option<i8> {
    let digits = word.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let suffix = &word[digits.len()..];
    let is_day = matches!(suffix, "" | "st" | "nd" | "rd" | "th");
    digits
        .parse()
        .ok()
        .filter(|it| is_day && (1..=31).contains(it))
}

/// `mon`, `monday`, `tues`, `thurs`.
fn is_name(word: &str, name: &str, end: &str) -> bool {
    word == name || (word.starts_with(name) && (word.ends_with(end) || word.len() <= 5))
}

/// `3pm`, `5:31pm`, `15:30`, `00:00:00`. `strict`: a bare number is no time.
fn clock(word: &str, strict: bool) -> Option<Time> {
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

/// A name of the IANA database, an abbreviation, or an offset: `utc+2`, `+02:00`.
fn zone(word: &str) -> Option<TimeZone> {
    if let Some((_, name)) = ZONES.iter().find(|(short, _)| *short == word) {
        return TimeZone::get(name).ok();
    }
    let offset = word
        .strip_prefix("utc")
        .or_else(|| word.strip_prefix("gmt"))
        .unwrap_or(word);
    let sign = match offset.chars().next()? {
        '+' => 1,
        '-' | '\u{2212}' => -1,
        _ if word.contains('/') => return TimeZone::get(word).ok(),
        _ => return None,
    };
    let digits = &offset[offset.chars().next()?.len_utf8()..];
    // `+0530`
    let digits = match digits.len() == 4 && digits.bytes().all(|it| it.is_ascii_digit()) {
        true => format!("{}:{}", &digits[..2], &digits[2..]),
        false => digits.to_owned(),
    };
    let mut parts = digits.split(':');
    let hours: i32 = parts.next()?.parse().ok().filter(|it| *it <= 14)?;
    let minutes: i32 = parts
        .next()
        .unwrap_or("0")
        .parse()
        .ok()
        .filter(|it| *it < 60)?;
    let offset = Offset::from_seconds(sign * (hours * 3600 + minutes * 60)).ok()?;
    Some(offset.to_time_zone())
}
