//! Times and durations as people write and read them.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Unix seconds now.
pub fn now() -> f64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0.0, |since| since.as_secs_f64())
}

/// A duration in its two largest units at most: `30 ms`, `1.3 s`, `42 s`, `5 min`, `1 h 20 min`, `3 d`.
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

/// How long ago a moment (Unix seconds) was, or how far ahead it is.
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

/// A moment (Unix seconds) for programs: RFC 3339, to the millisecond, UTC.
pub fn stamp(moment: f64) -> String {
    match Duration::try_from_secs_f64(moment) {
        // The last moment that can be written is the end of the year 9999.
        Ok(since) if since.as_secs() < 253_402_300_800 => {
            humantime::format_rfc3339_millis(UNIX_EPOCH + since).to_string()
        }
        _ => moment.to_string(),
    }
}

/// Reads a duration: plain seconds (`90`, `0.5`), or with units (`90s`, `5m`, `1h 30m`, `2days`).
pub fn read_span(text: &str) -> Result<Duration, String> {
    let rule = "write seconds (90, 0.5) or a number with a unit (90s, 5m, 1h30m, 2d)";
    let text = text.trim();
    if let Ok(seconds) = text.parse::<f64>() {
        return Duration::try_from_secs_f64(seconds).map_err(|_| rule.into());
    }
    humantime::parse_duration(text).map_err(|_| rule.into())
}

/// Reads a moment as Unix seconds: RFC 3339 (`2027-01-31T08:00:00Z`; without a zone it is UTC, the time may be left out)
/// or Unix seconds.
pub fn read_moment(text: &str) -> Result<f64, String> {
    let rule = "write it as 2027-01-31T08:00:00Z (without a zone it is UTC) or in Unix seconds";
    let text = text.trim();
    if let Ok(seconds) = text.parse::<f64>() {
        let fits = seconds.is_finite() && seconds >= 0.0;
        return fits.then_some(seconds).ok_or_else(|| rule.into());
    }
    let full = match text.len() {
        10 => format!("{text}T00:00:00Z"),
        16 => format!("{text}:00Z"),
        _ => text.to_owned(),
    };
    let (plain, offset) = zone(&full).ok_or(rule)?;
    let moment = humantime::parse_rfc3339_weak(&plain).map_err(|_| rule)?;
    let since = moment.duration_since(UNIX_EPOCH).map_err(|_| rule)?;
    let seconds = since.as_secs_f64() - offset;
    (seconds >= 0.0)
        .then_some(seconds)
        .ok_or_else(|| rule.into())
}

/// Splits `+02:00` off; the rest, and the offset in seconds.
fn zone(text: &str) -> Option<(String, f64)> {
    let Some(at) = text.len().checked_sub(6).filter(|at| *at >= 16) else {
        return Some((text.to_owned(), 0.0));
    };
    let (plain, tail) = (text.get(..at)?, text.get(at..)?);
    let sign = match tail.as_bytes().first()? {
        b'+' => 1.0,
        b'-' => -1.0,
        _ => return Some((text.to_owned(), 0.0)),
    };
    let (hours, minutes) = tail.get(1..)?.split_once(':')?;
    let (hours, minutes): (u8, u8) = (hours.parse().ok()?, minutes.parse().ok()?);
    let fits = hours < 24 && minutes < 60;
    let seconds = f64::from(hours) * 3600.0 + f64::from(minutes) * 60.0;
    fits.then(|| (plain.to_owned(), sign * seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_people_write_them() {
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
        assert_eq!(read_moment("2027-01-31"), Ok(day));
        assert_eq!(read_moment("2027-01-31T08:00:00Z"), Ok(day + 28_800.0));
        assert_eq!(read_moment("2027-01-31 08:00"), Ok(day + 28_800.0));
        assert_eq!(read_moment("2027-01-31T08:00:00+02:00"), Ok(day + 21_600.0));
        assert_eq!(read_moment("2027-01-31T08:00:00-01:30"), Ok(day + 34_200.0));
        assert_eq!(read_moment("1801353600"), Ok(day));
        for bad in [
            "",
            "tomorrow",
            "-5",
            "2027-13-01",
            "2027-01-31T08:00:00+99:00",
            "été 2027 à midi 08:00",
        ] {
            assert!(read_moment(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn spans_keep_to_what_matters() {
        let told: Vec<String> = [0.04, 3.12, 42.4, 150.0, 4800.0, 90_000.0, 400_000.0]
            .into_iter()
            .map(span)
            .collect();
        assert_eq!(
            told,
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
