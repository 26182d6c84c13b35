//! Parameters that are numbers. Seconds become milliseconds.

use super::{Params, decode};
use crate::{Error, TaskId};
use std::ops::RangeInclusive;

impl Params<'_> {
    /// A whole number within `range`. Text ("2") and floats without a fraction (2.0) are accepted.
    pub fn opt_int(&self, name: &str, range: RangeInclusive<i64>) -> Result<Option<i64>, Error> {
        let Some(raw) = self.raw(name) else {
            return Ok(None);
        };
        let number = GivenNumber::read(raw).and_then(GivenNumber::whole);
        match number {
            Some(n) if range.contains(&n) => Ok(Some(n)),
            _ => Err(self.refuse(name, &whole_rule(&range))),
        }
    }

    /// As [`opt_int`](Params::opt_int); `None` for 0, false and "" too.
    pub fn opt_positive(
        &self,
        name: &str,
        range: RangeInclusive<i64>,
    ) -> Result<Option<i64>, Error> {
        if self.is_blank(name) {
            return Ok(None);
        }
        self.opt_int(name, range)
    }

    /// A required whole number within `range`.
    pub fn int(&self, name: &str, range: RangeInclusive<i64>) -> Result<i64, Error> {
        match self.opt_int(name, range.clone())? {
            Some(n) => Ok(n),
            None => Err(self.refuse(name, &whole_rule(&range))),
        }
    }

    /// The required parameter `task_id`: any whole number within 64 bits. The store refuses a number without a task.
    pub fn task_id(&self) -> Result<TaskId, Error> {
        self.int("task_id", i64::MIN..=i64::MAX)
    }

    /// Seconds, with or without a fraction, as milliseconds within `range_ms`. `None` for 0, false and "" too.
    pub fn opt_seconds(
        &self,
        name: &str,
        range_ms: RangeInclusive<u64>,
    ) -> Result<Option<u64>, Error> {
        if self.is_blank(name) {
            return Ok(None);
        }
        let Some(raw) = self.raw(name) else {
            return Ok(None);
        };
        // Floats beyond u64 saturate in the cast and fall out of the range.
        let ms = GivenNumber::read(raw)
            .map(|n| (n.float() * 1000.0).round())
            .filter(|ms| *ms >= 0.0);
        match ms.map(|ms| ms as u64) {
            Some(ms) if range_ms.contains(&ms) => Ok(Some(ms)),
            _ => {
                let (low, high) = (
                    *range_ms.start() as f64 / 1000.0,
                    *range_ms.end() as f64 / 1000.0,
                );
                Err(self.refuse(name, &format!("a number from {low} to {high}")))
            }
        }
    }

    /// A number from `low` to `high`.
    pub fn opt_float(&self, name: &str, low: f64, high: f64) -> Result<Option<f64>, Error> {
        let Some(raw) = self.raw(name) else {
            return Ok(None);
        };
        match GivenNumber::read(raw).map(GivenNumber::float) {
            Some(n) if n >= low && n <= high => Ok(Some(n)),
            _ => Err(self.refuse(name, &format!("a number from {low} to {high}"))),
        }
    }

    /// Whether the parameter is missing, null, 0 in any form, false or "".
    pub(super) fn is_blank(&self, name: &str) -> bool {
        match self.raw(name) {
            None | Some("\"\"" | "false" | "0") => true,
            Some(raw) => {
                raw.starts_with(['0', '-'])
                    && GivenNumber::read(raw).is_some_and(|n| n.float() == 0.0)
            }
        }
    }
}

/// A number. An integer of 64 bits keeps its exact value.
#[derive(Clone, Copy)]
pub(super) enum GivenNumber {
    Int(i64),
    Float(f64),
}

impl GivenNumber {
    /// Reads a JSON number, or a string that contains one.
    pub(super) fn read(raw: &str) -> Option<GivenNumber> {
        match raw.as_bytes().first()? {
            b'"' => GivenNumber::from_text(decode(raw).ok()?.trim()),
            b'-' | b'0'..=b'9' => GivenNumber::from_text(raw),
            _ => None,
        }
    }

    fn from_text(text: &str) -> Option<GivenNumber> {
        if let Ok(n) = text.parse::<i64>() {
            return Some(GivenNumber::Int(n));
        }
        // Rust also reads "inf" and "nan", which are not JSON numbers.
        if !text
            .bytes()
            .all(|b| b.is_ascii_digit() || b"+-.eE".contains(&b))
        {
            return None;
        }
        text.parse::<f64>()
            .ok()
            .filter(|f| f.is_finite())
            .map(GivenNumber::Float)
    }

    fn float(self) -> f64 {
        match self {
            GivenNumber::Int(n) => n as f64,
            GivenNumber::Float(f) => f,
        }
    }

    /// The value as an integer of 64 bits. `None` if it has a fraction or does not fit.
    pub(super) fn whole(self) -> Option<i64> {
        // 2^63; an i64 holds only smaller values.
        const BEYOND: f64 = 9_223_372_036_854_775_808.0;
        match self {
            GivenNumber::Int(n) => Some(n),
            GivenNumber::Float(f) if f.fract() == 0.0 && (-BEYOND..BEYOND).contains(&f) => {
                Some(f as i64)
            }
            GivenNumber::Float(_) => None,
        }
    }
}

fn whole_rule(range: &RangeInclusive<i64>) -> String {
    if *range == (i64::MIN..=i64::MAX) {
        return "a whole number within 64 bits".into();
    }
    if *range.end() == i64::MAX {
        return format!(
            "a whole number of at least {}, within 64 bits",
            range.start()
        );
    }
    format!("a whole number from {} to {}", range.start(), range.end())
}
