//! Times of day and dates in text: "resets 3pm (America/New_York)", "try again at Oct 9th, 2026 5:31 PM".

mod date;
mod zone;

use std::time::Duration;

use jiff::Timestamp;
use jiff::civil::{Date, DateTime, Time, Weekday};
use jiff::tz::TimeZone;

use super::ReferenceTime;
use date::{clock, day, dotted, month, numeric, ordinal, weekday};
use zone::ZoneMatch;

/// Words before a time of day or a date, normalised.
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
    "back at",
    "back on",
    "resumes",
    "unlocks",
    "restored",
    "continue",
    "lifted",
    "wait",
];
/// Words that may occur between those words and the time, and between date and time.
const FILLERS: &[&str] = &[
    "at", "on", "by", "again", "after", "around", "about", "the", "your", "of", "time", "local",
    "next", "um", "am", "uhr", "o'clock",
];
/// Words after them that are read, at most.
const REACH: usize = 12;
/// A time of day that passed less than this ago was rounded: the limit is over now, not tomorrow.
const ROUNDING: Duration = Duration::from_secs(60);

/// The time from now to the point that follows words like "resets"; the longest of several. `text` is normalised.
pub(super) fn after_words(text: &str, moment: &ReferenceTime) -> Option<Duration> {
    let found = BEFORE.iter().flat_map(|words| {
        text.match_indices(words).filter_map(|(at, words)| {
            let rest = &text[at + words.len()..];
            // "reset" is also the beginning of "resets".
            let ends = rest.starts_with(|c: char| !c.is_alphanumeric());
            ends.then(|| NamedTime::read(rest)).flatten()?.wait(moment)
        })
    });
    found.max()
}

/// A word, with the punctuation between it and the previous word.
#[derive(Debug, Clone, Copy)]
struct Token<'t> {
    word: &'t str,
    /// Punctuation that separates parts of a sentence precedes it.
    is_apart: bool,
    /// A full stop precedes it.
    begins_sentence: bool,
    /// An opening parenthesis precedes it.
    is_enclosed: bool,
}

/// The first [`REACH`] words of a text.
fn tokens(text: &str) -> Vec<Token<'_>> {
    const SEPARATORS: &[char] = &[
        '(', ')', ',', ';', '|', '"', '[', ']', '·', '∙', '•', '—', '–',
    ];
    let is_gap = |c: char| c.is_whitespace() || SEPARATORS.contains(&c);
    let mut tokens: Vec<Token<'_>> = Vec::new();
    let mut rest = text;
    let mut ended = false;
    while tokens.len() < REACH {
        let begin = rest.find(|c| !is_gap(c)).unwrap_or(rest.len());
        let (gap, from) = rest.split_at(begin);
        let end = from.find(is_gap).unwrap_or(from.len());
        let (raw, after) = from.split_at(end);
        if raw.is_empty() {
            break;
        }
        rest = after;
        let word = raw
            .trim_start_matches(':')
            .trim_end_matches(['.', '!', ':']);
        let is_enclosed = gap.contains(['(', '[']);
        let token = Token {
            word,
            is_apart: ended || gap.contains(|c| SEPARATORS.contains(&c)) && !is_enclosed,
            begins_sentence: ended,
            is_enclosed,
        };
        // "3 p.m." does not end a sentence.
        ended = raw.ends_with(['.', '!']) && !word.ends_with("a.m") && !word.ends_with("p.m");
        if !word.is_empty() {
            tokens.push(token);
        }
    }
    tokens
}

/// The parts of a date and time that a text states.
#[derive(Debug, Default)]
struct NamedTime {
    /// Month and day, and the year where it is stated.
    date: Option<date::Date>,
    /// The day of an unnamed month.
    day: Option<i8>,
    weekday: Option<Weekday>,
    is_tomorrow: bool,
    is_today: bool,
    time: Option<Time>,
    zone: Option<TimeZone>,
}

impl NamedTime {
    /// Reads words until one does not belong to a time. `None` also where the zone of the time is unknown.
    fn read(text: &str) -> Option<Self> {
        let tokens = tokens(text);
        let words: Vec<&str> = tokens.iter().map(|it| it.word).collect();
        let mut named = Self::default();
        let mut at = 0;
        while let Some(token) = tokens.get(at) {
            if named.time.is_some() && token.begins_sentence {
                break;
            }
            if named.time.is_some() && named.zone.is_none() {
                match zone::after_time(&words[at..], token.is_apart, token.is_enclosed) {
                    ZoneMatch::Zone(zone, taken) => {
                        named.zone = Some(zone);
                        at += taken;
                        continue;
                    }
                    ZoneMatch::Local(taken) => {
                        at += taken;
                        continue;
                    }
                    ZoneMatch::Unknown if !named.is_part(&words[at..]) => return None,
                    ZoneMatch::Unknown | ZoneMatch::Nothing => {}
                }
            }
            let next = words.get(at + 1).copied().unwrap_or_default();
            at += match named.take(token.word, next) {
                Some(took_next) => 1 + usize::from(took_next),
                None if FILLERS.contains(&token.word) => 1,
                None => break,
            };
        }
        let is_day = named.date.is_some()
            || named.day.is_some()
            || named.weekday.is_some()
            || named.is_tomorrow;
        (named.time.is_some() || is_day).then_some(named)
    }

    /// Whether the first of these words belongs to a date.
    fn is_part(&self, words: &[&str]) -> bool {
        let next = words.get(1).copied().unwrap_or_default();
        let mut rest = Self {
            time: self.time,
            date: self.date,
            ..Self::default()
        };
        FILLERS.contains(&words[0]) || rest.take(words[0], next).is_some()
    }

    /// Takes a word. Returns whether the next one belonged to it. `None` when the word does not belong to a time.
    fn take(&mut self, word: &str, next: &str) -> Option<bool> {
        let is_dated = word.get(..10).is_some_and(|it| numeric(it).is_some());
        if let Some(at) = word.find('t').filter(|at| is_dated && *at == 10) {
            let time = &word[at + 1..];
            self.date = numeric(&word[..at]);
            let zoned = time.find(['z', '+', '-', '\u{2212}']).unwrap_or(time.len());
            self.time = clock(&time[..zoned], false).or(self.time);
            let zone = zone::zone(&time[zoned..], "").map(|(zone, _)| zone);
            self.zone = zone.or(self.zone.take());
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
            let is_timed = || clock(next, true).is_some() || matches!(next, "um" | "at");
            if let Some(date) = numeric(word).or_else(|| dotted(word).filter(|_| is_timed())) {
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
            if self.day.is_none()
                && let Some(day) = ordinal(word)
            {
                self.day = Some(day);
                return Some(false);
            }
        } else if let Some((_, _, year @ None)) = &mut self.date
            && let Some(stated) = word.parse().ok().filter(|it| (2000..2200).contains(it))
        {
            *year = Some(stated);
            return Some(false);
        }
        if let (Some(day), None, Some(month)) = (self.day, self.date, month(word)) {
            self.date = Some((month, day, None));
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
            if matches!(next, "uhr" | "o'clock") {
                self.time = clock(&word.replace('.', ":"), false);
                return self.time.map(|_| true);
            }
            if let Some(time) = clock(&word.replace("a.m", "am").replace("p.m", "pm"), true) {
                self.time = Some(time);
                return Some(false);
            }
        }
        if self.weekday.is_none()
            && let Some(weekday) = weekday(word)
        {
            self.weekday = Some(weekday);
            return Some(false);
        }
        if self.zone.is_none() {
            let (zone, taken) = zone::zone(word, next)?;
            self.zone = Some(zone);
            return Some(taken > 1);
        }
        None
    }

    /// The time from now to the next matching point. Zero, or `None`: it has passed, or the text states no point.
    fn wait(&self, moment: &ReferenceTime) -> Option<Duration> {
        let zone = self.zone.clone().unwrap_or_else(|| moment.zone.clone());
        let now = Timestamp::try_from(moment.at).ok()?;
        let today = zone.to_datetime(now).date();
        let time = self.time.unwrap_or_else(Time::midnight);
        let until = |date: Date| {
            let at = zone.to_timestamp(DateTime::from_parts(date, time)).ok()?;
            Some(at.duration_since(now))
        };
        let ahead = |date: Date| Duration::try_from(until(date)?).ok();
        if let (Some(day), None) = (self.day, self.date) {
            // The next month that has this day in the future.
            let mut first = today.first_of_month();
            for _ in 0..3 {
                let date = Date::new(first.year(), first.month(), day).ok();
                if let Some(wait) = date.and_then(ahead) {
                    return Some(wait);
                }
                first = first.last_of_month().tomorrow().ok()?;
            }
            return None;
        }
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
