//! The times of a cron expression in a time zone.
//!
//! The expression is searched on civil times, which know no zone. Where a clock is set, civil time and real time differ: a
//! civil time that does not exist is the first moment after the gap, and of one that exists twice the first counts. So a
//! daily time comes once a day. An expression whose hour is `*` is meant in real time instead: it leaves out what does not
//! exist, and comes in both passes of a repeated hour.

use croner::errors::CronError;
use croner::parser::{CronParser, Seconds, Year};
use croner::{CivilDateTime, Cron, CronDateTime, Resolution, Weekday};
use jiff::civil::DateTime;
use jiff::tz::{AmbiguousOffset, TimeZone};
use jiff::{SignedDuration, Timestamp};
use kirosu_protocol::Error;
use kirosu_protocol::text::nearest;
use std::cmp::Ordering;

/// The fields of an expression, each with its rule.
const FIELDS: [(&str, &str); 5] = [
    ("minute", "0 to 59"),
    ("hour", "0 to 23"),
    ("day of the month", "1 to 31, or L for the last day"),
    ("month", "1 to 12, or JAN to DEC"),
    ("day of the week", "0 to 7, or SUN to SAT"),
];
/// The names of whole expressions.
const NAMES: [&str; 6] = [
    "@hourly",
    "@daily",
    "@weekly",
    "@monthly",
    "@yearly",
    "@annually",
];
/// The most steps of one search. Each passes one change of a clock.
const STEPS: usize = 10_000;

/// The times of an expression in a zone.
pub(crate) struct CronTimes {
    cron: Cron,
    zone: TimeZone,
    /// Whether the hour is `*`.
    is_hourly: bool,
}

impl CronTimes {
    /// Reads an expression.
    ///
    /// # Errors
    /// `invalid_params`; the message names the field, or the time zone.
    pub fn new(text: &str, zone: &str) -> Result<CronTimes, Error> {
        let fields: Vec<&str> = text.split_whitespace().collect();
        let name = text.trim().to_ascii_lowercase();
        let is_named = NAMES.contains(&name.as_str());
        if !is_named && text.trim_start().starts_with('@') {
            let names = NAMES.join(", ");
            return Err(refusal(&format!("the names are {names} (got {text})")));
        }
        if !is_named && fields.len() != FIELDS.len() {
            return Err(refusal(&format!(
                "an expression has 5 fields: minute, hour, day of the month, month, day of the week; this has {}",
                fields.len()
            )));
        }
        let cron = parse(text).map_err(|error| match faulty(&fields) {
            Some((at, given)) => {
                let (field, rule) = FIELDS[at];
                refusal(&format!(
                    "the field {} ({field}) is {given}, but it takes {rule}, *, lists (1,2), ranges (1-5) and steps (*/5)",
                    at + 1
                ))
            }
            None => refusal(&error.to_string()),
        })?;
        let zone = TimeZone::get(zone).map_err(|_| unknown_zone(zone))?;
        let is_hourly = name == "@hourly" || !is_named && fields.get(1) == Some(&"*");
        Ok(CronTimes {
            cron,
            zone,
            is_hourly,
        })
    }

    /// The first time after `after`, in Unix milliseconds.
    pub fn next(&self, after: i64) -> Option<i64> {
        let after = Timestamp::from_millisecond(after).ok()?;
        let next = match self.is_hourly {
            true => self.next_real(after),
            false => self.next_civil(after),
        };
        next.map(Timestamp::as_millisecond)
    }

    fn next_civil(&self, after: Timestamp) -> Option<Timestamp> {
        let mut civil = self.zone.to_datetime(after);
        for _ in 0..STEPS {
            civil = self.search(civil, false)?;
            let at = self.moment(civil)?;
            if at > after {
                return Some(at);
            }
        }
        None
    }

    fn next_real(&self, after: Timestamp) -> Option<Timestamp> {
        let (mut from, mut inclusive) = (after, false);
        for _ in 0..STEPS {
            let offset = self.zone.to_offset(from);
            let civil = self.search(offset.to_datetime(from), inclusive)?;
            let at = offset.to_timestamp(civil).ok()?;
            match self.zone.following(from).next() {
                // The clock is set before that time.
                Some(change) if change.timestamp() <= at => {
                    (from, inclusive) = (change.timestamp(), true);
                }
                _ => return Some(at),
            }
        }
        None
    }

    /// The first matching civil time.
    fn search(&self, from: DateTime, inclusive: bool) -> Option<DateTime> {
        let found = self.cron.find_next_occurrence(&Civil(from), inclusive);
        found.ok().map(|Civil(at)| at)
    }

    /// The moment of a civil time.
    fn moment(&self, civil: DateTime) -> Option<Timestamp> {
        let ambiguous = self.zone.to_ambiguous_timestamp(civil);
        match ambiguous.offset() {
            AmbiguousOffset::Gap { after, .. } => {
                let before_gap = after.to_timestamp(civil).ok()?;
                let change = self.zone.following(before_gap).next()?;
                Some(change.timestamp())
            }
            _ => ambiguous.earlier().ok(),
        }
    }
}

fn parse(text: &str) -> Result<Cron, CronError> {
    CronParser::builder()
        .seconds(Seconds::Disallowed)
        .year(Year::Disallowed)
        .build()
        .parse(text)
}

/// The position and the text of the first field that cannot be read.
fn faulty<'a>(fields: &[&'a str]) -> Option<(usize, &'a str)> {
    let is_faulty = |at: &usize| {
        let mut alone = ["*"; FIELDS.len()];
        alone[*at] = fields[*at];
        parse(&alone.join(" ")).is_err()
    };
    let at = (0..fields.len().min(FIELDS.len())).find(is_faulty)?;
    Some((at, fields[at]))
}

fn refusal(why: &str) -> Error {
    Error::invalid_params(format!("invalid params: `cron`: {why}"))
}

fn unknown_zone(zone: &str) -> Error {
    let known: Vec<String> = jiff::tz::db()
        .available()
        .map(|name| name.to_string())
        .collect();
    let hint = match nearest(zone, known.iter().map(String::as_str)) {
        Some(near) => format!("did you mean {near}?"),
        None if known.is_empty() => {
            "the hub's machine has no time zones: install its package tzdata, or use UTC".to_owned()
        }
        None => "give an IANA name such as Europe/Berlin".to_owned(),
    };
    Error::invalid_params(format!(
        "invalid params: `tz`: there is no time zone {zone}; {hint}"
    ))
}

/// A civil time, of which every one exists once.
#[derive(Clone, Copy, Debug)]
struct Civil(DateTime);

impl CronDateTime for Civil {
    fn to_civil(&self) -> CivilDateTime {
        let at = self.0;
        let number = |part: i8| u32::try_from(part).unwrap_or_default();
        CivilDateTime::from_ymd_hms_opt(
            i32::from(at.year()),
            number(at.month()),
            number(at.day()),
            number(at.hour()),
            number(at.minute()),
            number(at.second()),
        )
        // Every part of a civil time is in range.
        .unwrap_or(CivilDateTime::new(
            croner::CivilDate::from_parts_unchecked(1970, 1, 1),
            croner::CivilTime::MIDNIGHT,
        ))
    }

    fn civil_weekday(&self) -> Weekday {
        let days = self.0.weekday().to_sunday_zero_offset();
        Weekday::from_days_from_sunday(u32::try_from(days).unwrap_or_default())
    }

    fn resolve_civil(&self, civil: CivilDateTime) -> Result<Resolution<Self>, CronError> {
        let part = |number: u32| i8::try_from(number).map_err(|_| CronError::InvalidDate);
        let year = i16::try_from(civil.year()).map_err(|_| CronError::InvalidDate)?;
        let at = DateTime::new(
            year,
            part(civil.month())?,
            part(civil.day())?,
            part(civil.hour())?,
            part(civil.minute())?,
            part(civil.second())?,
            0,
        );
        at.map(|at| Resolution::Single(Civil(at)))
            .map_err(|_| CronError::InvalidDate)
    }

    fn checked_add_seconds(&self, seconds: i64) -> Option<Self> {
        let sum = self.0.checked_add(SignedDuration::from_secs(seconds));
        sum.ok().map(Civil)
    }

    fn cmp_instant(&self, other: &Self) -> Ordering {
        self.0.cmp(&other.0)
    }
}
