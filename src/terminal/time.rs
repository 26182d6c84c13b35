//! Times and durations as people read and write them.

use super::zone;
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Current time in Unix seconds.
pub fn now() -> f64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0.0, |since| since.as_secs_f64())
}

/// A duration in seconds, in at most two units: `30 ms`, `1.3 s`, `42 s`, `5 min`, `1 h 20 min`, `3 d`.
pub fn span(seconds: f64) -> String {
    if seconds.is_nan() {
        return "?".into();
    }
    let seconds = seconds.max(0.0);
    if (0.0005..0.9995).contains(&seconds) {
        return format!("{:.0} ms", seconds * 1000.0);
    }
    if seconds < 9.95 {
        let tenths = (seconds * 10.0).round() / 10.0;
        return format!("{tenths} s");
    }
    let whole = seconds.round() as u64;
    let (minutes, hours, days) = (whole / 60, whole / 3600, whole / 86_400);
    match whole {
        0..=99 => format!("{whole} s"),
        100..=3599 => format!("{minutes} min"),
        3600..=35_999 if minutes % 60 > 0 => format!("{hours} h {} min", minutes % 60),
        3600..=172_799 => format!("{hours} h"),
        _ => format!("{days} d"),
    }
}

/// The distance of a time (Unix seconds) from now: `3 s ago`, `in 5 min`.
pub fn ago(moment: f64, now: f64) -> String {
    let seconds = now - moment;
    if seconds.abs() < 1.0 {
        return "now".into();
    }
    let rounded = if seconds.abs() < 9.95 {
        seconds.abs().floor()
    } else {
        seconds.abs()
    };
    match seconds > 0.0 {
        true => format!("{} ago", span(rounded)),
        false => format!("in {}", span(rounded)),
    }
}

/// A time (Unix seconds) for people, to the second: `2027-06-01 12:00:00 +02:00`. Without a zone, the same as
/// [`stamp`].
pub fn date(moment: f64, zone: Option<&TimeZone>) -> String {
    in_zone(moment, zone, "%Y-%m-%d %H:%M:%S %:z").unwrap_or_else(|| stamp(moment))
}

/// The time of day, to the millisecond: `12:00:00.000 +02:00` in a zone, `10:00:00.000Z` without one.
pub fn of_day(moment: f64, zone: Option<&TimeZone>) -> String {
    in_zone(moment, zone, "%H:%M:%S%.3f %:z").unwrap_or_else(|| {
        let stamp = stamp(moment);
        stamp.get(11..).unwrap_or(&stamp).to_owned()
    })
}

/// The time to the minute, with the date unless it is within 20 hours of now: `12:50`, `2027-06-01 12:50`.
pub fn minute(moment: f64, now: f64, zone: Option<&TimeZone>) -> String {
    let form = match (moment - now).abs() < 72_000.0 {
        true => "%H:%M",
        false => "%Y-%m-%d %H:%M",
    };
    in_zone(moment, Some(zone.unwrap_or(&TimeZone::UTC)), form).unwrap_or_else(|| stamp(moment))
}

/// The offset of a zone from UTC at a time: `+02:00`, or `UTC` without a zone.
pub fn offset(moment: f64, zone: Option<&TimeZone>) -> String {
    in_zone(moment, zone, "%:z").unwrap_or_else(|| "UTC".to_owned())
}

fn in_zone(moment: f64, zone: Option<&TimeZone>, form: &str) -> Option<String> {
    let moment = Timestamp::from_millisecond((moment * 1000.0).floor() as i64).ok()?;
    Some(
        moment
            .to_zoned_datetime(zone?.clone())
            .strftime(form)
            .to_string(),
    )
}

/// A time (Unix seconds) for programs: RFC 3339, to the millisecond, UTC.
pub fn stamp(moment: f64) -> String {
    match Duration::try_from_secs_f64(moment) {
        // RFC 3339 ends with the year 9999.
        Ok(since) if since.as_secs() < 253_402_300_800 => {
            humantime::format_rfc3339_millis(UNIX_EPOCH + since).to_string()
        }
        _ => moment.to_string(),
    }
}

/// Reads a duration: plain seconds (`90`, `0.5`), or with units (`90s`, `5m`, `1h 30m`, `2days`).
///
/// # Errors
/// The text is not a duration; the message says what to write.
pub fn read_span(text: &str) -> Result<Duration, String> {
    let rule = "write seconds (90, 0.5) or a number with a unit (90s, 5m, 1h30m, 2d)";
    let text = text.trim();
    if let Ok(seconds) = text.parse::<f64>() {
        return Duration::try_from_secs_f64(seconds).map_err(|_| rule.into());
    }
    humantime::parse_duration(text).map_err(|_| rule.into())
}

/// Reads a span that is not zero.
///
/// # Errors
/// The rule for spans, or that it is zero.
pub fn read_some_span(text: &str) -> Result<Duration, String> {
    match read_span(text)? {
        Duration::ZERO => Err("0 would mean no end; leave it out for that".into()),
        span => Ok(span),
    }
}

/// Reads a time as Unix seconds: a date and a time, local if they name no zone, or Unix seconds. A date alone means its
/// start.
///
/// # Errors
/// The text is not a time, or the local clock shows it twice or never; the message says what to write.
pub fn read_moment(text: &str) -> Result<f64, String> {
    zone::local().map_or_else(
        |why| moment(text, &Err(why)),
        |zone| moment(text, &Ok(zone)),
    )
}

/// Like [`read_moment`], with the zone of times that name none.
fn moment(text: &str, zone: &Result<TimeZone, String>) -> Result<f64, String> {
    let rule = "write it as 2027-01-31T08:00 (local time), 2027-01-31T08:00:00Z, 2027-01-31T08:00:00+02:00 or in Unix seconds";
    let text = text.trim();
    let moment = match text.parse::<f64>() {
        Ok(seconds) => seconds,
        // jiff would read it as the second before.
        Err(_) if text.contains(":60") => {
            return Err(
                "minutes and seconds go from 00 to 59; a leap second cannot be named".to_owned(),
            );
        }
        // Digits without separators could mean several things.
        Err(_) if text.as_bytes().get(4) != Some(&b'-') => return Err(rule.to_owned()),
        Err(_) => match text.parse::<Timestamp>() {
            Ok(moment) => moment.as_duration().as_secs_f64(),
            Err(_) => {
                let time: DateTime = text.parse().map_err(|_| rule)?;
                let zone = zone.clone()?;
                let found = zone.to_ambiguous_timestamp(time).unambiguous().map_err(|_| {
                    format!("the clocks are changed then, so that {text} comes twice or never; write its offset, as in 2027-01-31T08:00:00+02:00")
                })?;
                found.as_duration().as_secs_f64()
            }
        },
    };
    match moment.is_finite() && moment >= 0.0 {
        true => Ok(moment),
        false => Err(rule.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_with_and_without_units() {
        let seconds = |text| read_span(text).map(|d| d.as_secs_f64());
        assert_eq!(seconds("90"), Ok(90.0));
        assert_eq!(seconds(" 0.5 "), Ok(0.5));
        assert_eq!(seconds("5m"), Ok(300.0));
        assert_eq!(seconds("1h 30m"), Ok(5400.0));
        assert_eq!(seconds("2d"), Ok(172_800.0));
        for bad in ["", "soon", "-1", "NaN", "inf", "5 parsecs"] {
            assert!(seconds(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn moments_are_read_with_and_without_a_zone() {
        let day = 1_801_353_600.0;
        let berlin = || Ok(TimeZone::get("Europe/Berlin").unwrap());
        let read = |text| moment(text, &berlin());
        assert_eq!(read("2027-01-31"), Ok(day - 3600.0));
        assert_eq!(read("2027-01-31T08:00:00Z"), Ok(day + 28_800.0));
        assert_eq!(read("2027-01-31 08:00"), Ok(day + 25_200.0));
        assert_eq!(read("2027-06-01 12:00"), read("2027-06-01T10:00:00Z"));
        assert_eq!(read("2027-01-31T08:00:00.5"), Ok(day + 25_200.5));
        assert_eq!(read("2027-01-31T08:00:00+02:00"), Ok(day + 21_600.0));
        assert_eq!(read("2027-01-31T08:00:00-01:30"), Ok(day + 34_200.0));
        assert_eq!(read("1801353600"), Ok(day));
        for bad in [
            "",
            "tomorrow",
            "-5",
            "NaN",
            "2027-13-01",
            "2027-02-29",
            "20270131T080000",
            "20270131T235960Z",
            "2027-01-31T24:00",
            "2027-01-31T08:00:00+99:00",
            "été 2027 à midi 08:00",
            "1969-12-31T00:00:00Z",
        ] {
            assert!(read(bad).is_err(), "{bad}");
        }
        // A leap second must not become the second before it.
        for leap in [
            "2016-12-31T23:59:60Z",
            "2016-12-31 23:59:60",
            "2016-12-31T23:60",
        ] {
            assert!(read(leap).unwrap_err().contains("00 to 59"), "{leap}");
        }
        // In March the clock skips an hour, in October it repeats one.
        for twice in ["2027-03-28 02:30", "2027-10-31 02:30"] {
            assert!(
                read(twice).unwrap_err().contains("twice or never"),
                "{twice}"
            );
        }
        assert!(read("2027-10-31T02:30:00+01:00").is_ok());
        // Without a local zone, only times that name a zone can be read.
        let none = || Err("TZ is wrong".to_owned());
        assert_eq!(
            moment("2027-01-31 08:00", &none()),
            Err("TZ is wrong".to_owned())
        );
        assert_eq!(moment("2027-01-31T08:00:00Z", &none()), Ok(day + 28_800.0));
    }

    #[test]
    fn times_are_shown_in_the_local_zone_with_its_offset() {
        let berlin = TimeZone::get("Europe/Berlin").unwrap();
        let at = 1_811_844_000.25;
        assert_eq!(date(at, Some(&berlin)), "2027-06-01 12:00:00 +02:00");
        assert_eq!(of_day(at, Some(&berlin)), "12:00:00.250 +02:00");
        assert_eq!(date(at, None), "2027-06-01T10:00:00.250Z");
        assert_eq!(of_day(at, None), "10:00:00.250Z");
        assert_eq!(minute(at, at - 60.0, Some(&berlin)), "12:00");
        assert_eq!(minute(at, 0.0, None), "2027-06-01 10:00");
    }

    #[test]
    fn durations_have_at_most_two_units() {
        let shown: Vec<String> = [0.04, 3.12, 42.4, 150.0, 4800.0, 90_000.0, 400_000.0]
            .into_iter()
            .map(span)
            .collect();
        assert_eq!(
            shown,
            [
                "40 ms",
                "3.1 s",
                "42 s",
                "2 min",
                "1 h 20 min",
                "25 h",
                "4 d"
            ]
        );
        assert_eq!(ago(100.0, 103.7), "3 s ago");
        assert_eq!(ago(200.0, 100.0), "in 1 min");
        assert_eq!(ago(100.0, 100.3), "now");
    }
}
