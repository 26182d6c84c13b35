//! The time at which a service that refused may be called again, from its response headers.

use std::time::{Duration, SystemTime};

use reqwest::header::HeaderMap;

use crate::limits::{self, LONGEST};

/// The time before which a repeated request is useless, at most [`LONGEST`] ahead. `now` is the time of the response.
pub(super) fn reset(headers: &HeaderMap, now: SystemTime) -> Option<SystemTime> {
    let text = |name: &str| headers.get(name)?.to_str().ok().map(str::trim);
    let after = text("retry-after-ms")
        .and_then(|it| millis(it, 1.0))
        .or_else(|| text("retry-after").and_then(|it| moment(it, now)))
        .or_else(|| windows(&text, now));
    Some(now + after?.min(LONGEST))
}

/// The time to the reset of the window that is used up; where none is marked so, of the first window to reset.
fn windows<'h>(text: &impl Fn(&str) -> Option<&'h str>, now: SystemTime) -> Option<Duration> {
    let names = [
        (
            "x-ratelimit-remaining-requests",
            "x-ratelimit-reset-requests",
        ),
        ("x-ratelimit-remaining-tokens", "x-ratelimit-reset-tokens"),
        ("x-ratelimit-remaining", "x-ratelimit-reset"),
        (
            "anthropic-ratelimit-requests-remaining",
            "anthropic-ratelimit-requests-reset",
        ),
        (
            "anthropic-ratelimit-tokens-remaining",
            "anthropic-ratelimit-tokens-reset",
        ),
    ];
    let reported = names.into_iter().filter_map(|(remaining, reset)| {
        let is_used_up = text(remaining) == Some("0");
        Some((is_used_up, moment(text(reset)?, now)?))
    });
    let reported: Vec<_> = reported.collect();
    let used_up = reported.iter().filter(|(is_used_up, _)| *is_used_up);
    let longest = used_up.map(|(_, wait)| *wait).max();
    longest.or_else(|| reported.iter().map(|(_, wait)| *wait).min())
}

/// The time from now: seconds, an HTTP date or RFC 3339, Unix time (seconds or milliseconds), or `6m0s`.
fn moment(text: &str, now: SystemTime) -> Option<Duration> {
    let until = |at: SystemTime| at.duration_since(now).unwrap_or_default();
    let unix = |seconds: f64| {
        let at = SystemTime::UNIX_EPOCH.checked_add(Duration::try_from_secs_f64(seconds).ok()?);
        at.map(until)
    };
    match text.parse::<f64>() {
        Ok(number) if number >= 1e11 => unix(number / 1000.0),
        Ok(number) if number >= 1e9 => unix(number),
        Ok(number) => Duration::try_from_secs_f64(number).ok(),
        Err(_) => httpdate::parse_http_date(text)
            .ok()
            .or_else(|| humantime::parse_rfc3339(text).ok())
            .map(until)
            .or_else(|| limits::length(text)),
    }
}

/// A number of units of `factor` milliseconds.
fn millis(text: &str, factor: f64) -> Option<Duration> {
    Duration::try_from_secs_f64(text.parse::<f64>().ok()? * factor / 1000.0).ok()
}

#[cfg(test)]
mod tests {
    use reqwest::header::{HeaderName, HeaderValue};

    use super::*;

    fn seconds(headers: &[(&'static str, &'static str)]) -> Option<f64> {
        // Sun, 06 Nov 1994 08:49:37 GMT
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777);
        let headers = headers.iter().map(|(name, value)| {
            let name = HeaderName::from_static(name);
            (name, HeaderValue::from_static(value))
        });
        let at = reset(&headers.collect(), now)?;
        Some(at.duration_since(now).unwrap().as_secs_f64())
    }

    #[test]
    fn every_form_of_a_reset_time_is_read() {
        assert_eq!(seconds(&[("retry-after", "7")]), Some(7.0));
        assert_eq!(seconds(&[("retry-after", "1.5")]), Some(1.5));
        let ms = [("retry-after", "7"), ("retry-after-ms", "250")];
        assert_eq!(seconds(&ms), Some(0.25));
        let date = "Sun, 06 Nov 1994 08:50:37 GMT";
        assert_eq!(seconds(&[("retry-after", date)]), Some(60.0));
        let past = "Sun, 06 Nov 1994 08:40:37 GMT";
        assert_eq!(seconds(&[("retry-after", past)]), Some(0.0));
        let openai = [
            ("x-ratelimit-remaining-requests", "3"),
            ("x-ratelimit-reset-requests", "20ms"),
            ("x-ratelimit-remaining-tokens", "0"),
            ("x-ratelimit-reset-tokens", "6m1.5s"),
        ];
        assert_eq!(seconds(&openai), Some(361.5));
        let anthropic = [("anthropic-ratelimit-tokens-reset", "1994-11-06T08:49:47Z")];
        assert_eq!(seconds(&anthropic), Some(10.0));
        let openrouter = [("x-ratelimit-reset", "784111782000")];
        assert_eq!(seconds(&openrouter), Some(5.0));
    }

    #[test]
    fn invalid_reset_times_are_ignored_and_long_ones_capped() {
        for text in ["", "soon", "-1", "NaN", "5 parsecs", "1x"] {
            assert_eq!(seconds(&[("retry-after", text)]), None, "{text}");
        }
        assert_eq!(seconds(&[]), None);
        let month = LONGEST.as_secs_f64();
        assert_eq!(seconds(&[("retry-after", "99999999")]), Some(month));
    }
}
