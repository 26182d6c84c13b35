//! Facts in JSON: codes, an HTTP status, and the end of a limit.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use jiff::Timestamp;
use serde_json::Value;

use super::length;
use super::windows::Windows;

/// JSON values that are read, at most: an error is small.
const VALUES: usize = 2_000;
/// Braces in a text that are tried as the beginning of JSON, at most.
const BRACES: usize = 8;

/// The end of a limit as data states it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum LimitEnd {
    /// This long after the error.
    After(Duration),
    /// At this time.
    At(SystemTime),
}

/// The facts of one error.
#[derive(Debug, Default, PartialEq)]
pub(super) struct ErrorFacts {
    /// Codes in lower case, without `_`, `-` and spaces.
    pub(super) codes: Vec<String>,
    /// The first HTTP status from 400 to 599.
    pub(super) status: Option<u16>,
    /// All stated ends.
    pub(super) ends: Vec<LimitEnd>,
    /// Windows in which a service counts requests, from its headers.
    pub(super) windows: Windows,
    /// Words for people, one text per line.
    pub(super) words: String,
}

impl ErrorFacts {
    /// Reads the data, and JSON inside the text.
    pub(super) fn of(data: Option<&Value>, text: &str) -> Self {
        let mut facts = Self::default();
        let mut left = VALUES;
        if let Some(data) = data {
            facts.walk(data, &mut left);
        }
        facts.text(text, &mut left);
        facts
    }

    fn text(&mut self, text: &str, left: &mut usize) {
        let mut rest = text;
        for _ in 0..BRACES {
            let Some(at) = rest.find('{') else { return };
            let mut values = serde_json::Deserializer::from_str(&rest[at..]).into_iter::<Value>();
            match values.next() {
                Some(Ok(value)) => {
                    self.walk(&value, left);
                    rest = &rest[at + values.byte_offset()..];
                }
                _ => rest = &rest[at + 1..],
            }
        }
    }

    fn walk(&mut self, value: &Value, left: &mut usize) {
        let Some(fewer) = left.checked_sub(1) else {
            return;
        };
        *left = fewer;
        match value {
            Value::Object(fields) => {
                for (name, value) in fields {
                    self.field(&plain(name), value);
                    self.walk(value, left);
                }
            }
            Value::Array(items) => items.iter().for_each(|it| self.walk(it, left)),
            Value::String(text) if text.contains('{') => self.text(text, left),
            _ => {}
        }
    }

    fn field(&mut self, name: &str, value: &Value) {
        self.windows.take(name, value);
        match name {
            "type" | "code" | "status" | "kind" | "errorkind" | "error" | "errortype"
            | "codexerrorinfo" | "reason" | "name" | "terminalreason" => {
                let listed = value.as_array().into_iter().flatten();
                let codes = value.as_str().into_iter();
                let codes = codes.chain(listed.filter_map(Value::as_str));
                self.codes.extend(codes.map(plain));
                // A code that has fields: `{"usage_limit_exceeded": {...}}`.
                let fields = value.as_object().filter(|_| name == "codexerrorinfo");
                let names = fields.into_iter().flat_map(|it| it.keys());
                self.codes.extend(names.map(|it| plain(it)));
            }
            _ => {}
        }
        match name {
            "message" | "error" | "reason" | "detail" | "details" | "description" | "errors"
            | "cause" | "msg" => {
                let texts = value
                    .as_array()
                    .map_or(std::slice::from_ref(value), |it| it);
                for text in texts.iter().filter_map(Value::as_str) {
                    self.words.push_str(text);
                    self.words.push('\n');
                }
            }
            _ => {}
        }
        match name {
            "code" | "status" | "statuscode" | "httpstatus" | "httpstatuscode"
            | "apierrorstatus" | "errorstatus" => {
                let number = value.as_u64().or_else(|| value.as_str()?.parse().ok());
                let status = number.and_then(|it| u16::try_from(it).ok());
                self.status = self.status.or(status.filter(|it| (400..600).contains(it)));
            }
            "resetsat"
            | "resetat"
            | "resettime"
            | "resets"
            | "resettimestamp"
            | "quotaresettimestamp"
            | "resetdate"
            | "resetsattimestamp"
            | "retryat" => self.ends.extend(point(value).map(LimitEnd::At)),
            "resetsinseconds" | "resetinseconds" | "resetafterseconds" | "resetsin" | "resetin"
            | "resetafter" | "retryafter" | "retryafterseconds" | "retryafters" | "retryin"
            | "retrydelay" | "retrydelayseconds" | "quotaresetdelay" => {
                let end = span(value, 1.0).map(LimitEnd::After);
                self.ends
                    .extend(end.or_else(|| point(value).map(LimitEnd::At)));
            }
            "retryafterms"
            | "retryaftermilliseconds"
            | "retrydelayms"
            | "resetsinms"
            | "resetinms"
            | "resetafterms"
            | "delayms"
            | "waitms" => {
                self.ends.extend(span(value, 0.001).map(LimitEnd::After));
            }
            _ => {}
        }
    }
}

/// Lower-case letters and digits only: `usageLimitExceeded`, `usage_limit_exceeded` and `USAGE-LIMIT-EXCEEDED` are equal.
pub(super) fn plain(name: &str) -> String {
    name.chars()
        .filter(|c| !matches!(c, '_' | '-' | ' '))
        .map(|c| c.to_ascii_lowercase())
        .collect()
}

/// Unix time in seconds or milliseconds, or a date.
pub(super) fn point(value: &Value) -> Option<SystemTime> {
    match value {
        Value::String(text) => instant(text.trim()).or_else(|| date(text.trim())),
        number => unix(number.as_f64()?),
    }
}

/// An HTTP date, `2026-11-30 15:00:00 UTC`, or Unix time with a fraction.
fn date(text: &str) -> Option<SystemTime> {
    let utc = text
        .strip_suffix("UTC")
        .or_else(|| text.strip_suffix("GMT"));
    let zoned = utc.map(|it| format!("{}Z", it.trim_end()));
    httpdate::parse_http_date(text)
        .ok()
        .or_else(|| instant(&zoned?))
        .or_else(|| unix(text.parse().ok()?))
}

/// Unix time in seconds or milliseconds, or an RFC 3339 date with a zone.
pub(super) fn instant(text: &str) -> Option<SystemTime> {
    if text.len() >= 10 && text.bytes().all(|it| it.is_ascii_digit()) {
        return unix(text.parse().ok()?);
    }
    let at: Timestamp = text.parse().ok()?;
    at.try_into().ok()
}

/// Unix time in seconds. A number that is too large for this millennium counts milliseconds.
fn unix(number: f64) -> Option<SystemTime> {
    let seconds = if number >= 1e11 {
        number / 1000.0
    } else {
        number
    };
    let since = Duration::try_from_secs_f64(seconds).ok()?;
    (seconds >= 1e9).then(|| UNIX_EPOCH.checked_add(since))?
}

/// A number of units of `unit` seconds each, or a text like `41s` and `1h2m3.5s`.
pub(super) fn span(value: &Value, unit: f64) -> Option<Duration> {
    match value {
        Value::String(text) => match text.trim().parse::<f64>() {
            Ok(number) => Duration::try_from_secs_f64(number * unit).ok(),
            Err(_) => length::whole(&text.to_lowercase()),
        },
        number => Duration::try_from_secs_f64(number.as_f64()? * unit).ok(),
    }
}
