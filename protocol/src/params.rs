//! Lenient reading of parameters, with errors that name the parameter, the rule and what was given.

use crate::error::{Error, ErrorCode};
use crate::limits::Limits;
use crate::task::TaskId;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::ops::RangeInclusive;

/// The parameters of a request, borrowed from its line. A value is only decoded when a verb asks for it, so an unknown
/// one costs nothing; of a name given twice the last counts.
#[derive(Debug, Default)]
pub struct Params<'a> {
    /// Where they stand, for messages: empty, or as `tasks[3].`.
    path: String,
    entries: Vec<(Cow<'a, str>, &'a RawValue)>,
}

impl<'a> Params<'a> {
    /// No parameters.
    pub fn empty() -> Params<'a> {
        Params::default()
    }

    /// Reads the text of a JSON object; `null` is empty. Anything else is `invalid_params`.
    pub fn parse(text: &'a str) -> Result<Params<'a>, Error> {
        Params::parse_at(text, String::new())
    }

    fn parse_at(text: &'a str, path: String) -> Result<Params<'a>, Error> {
        let entries = match text.as_bytes().first() {
            Some(b'{') => {
                serde_json::from_str::<Entries<'a>>(text)
                    .map_err(|e| {
                        Error::invalid_params(format!("invalid params: {}", why_json(&e)))
                    })?
                    .0
            }
            Some(b'n') => Vec::new(),
            _ if path.is_empty() => {
                return Err(Error::invalid_params(
                    "invalid params: `params` must be an object, with each parameter by its name",
                ));
            }
            _ => {
                return Err(Error::invalid_params(format!(
                    "invalid params: `{}` must be an object",
                    path.trim_end_matches('.')
                )));
            }
        };
        Ok(Params { path, entries })
    }

    /// The JSON text of a parameter; `None` when it is missing or null.
    pub fn raw(&self, name: &str) -> Option<&'a str> {
        let (_, raw) = self.entries.iter().rev().find(|(key, _)| key == name)?;
        Some(raw.get()).filter(|text| *text != "null")
    }

    /// An `invalid_params` error for one parameter: "invalid params: `name` must be RULE (got VALUE)".
    pub fn refuse(&self, name: &str, rule: &str) -> Error {
        let got = match self.raw(name) {
            Some(raw) => shorten(raw),
            None => "nothing".into(),
        };
        Error::invalid_params(format!(
            "invalid params: `{}{name}` must be {rule} (got {got})",
            self.path
        ))
    }

    /// Answers `unsupported` when one of these parameters is given.
    pub fn unsupported(&self, names: &[&str]) -> Result<(), Error> {
        match names.iter().find(|name| self.raw(name).is_some()) {
            None => Ok(()),
            Some(name) => Err(Error::new(
                ErrorCode::Unsupported,
                format!(
                    "`{}{name}` is part of the protocol but not built in this hub; leave it out",
                    self.path
                ),
            )),
        }
    }

    /// A string that must be there; may be empty.
    pub fn text(&self, name: &str) -> Result<String, Error> {
        match self.opt_text(name)? {
            Some(text) => Ok(text),
            None => Err(Error::invalid_params(format!(
                "invalid params: `{}{name}` must be a string",
                self.path
            ))),
        }
    }

    /// A string, or `None` when missing or null.
    pub fn opt_text(&self, name: &str) -> Result<Option<String>, Error> {
        let Some(raw) = self.raw(name) else {
            return Ok(None);
        };
        if !raw.starts_with('"') {
            return Err(self.refuse(name, "a string"));
        }
        decode(raw).map(Some).map_err(|why| {
            Error::invalid_params(format!(
                "invalid params: `{}{name}` is not valid text: {why}",
                self.path
            ))
        })
    }

    /// A string of at most `max` bytes, or `too_large`.
    pub fn opt_text_within(&self, name: &str, max: usize) -> Result<Option<String>, Error> {
        let text = self.opt_text(name)?;
        match &text {
            Some(t) if t.len() > max => Err(Error::new(
                ErrorCode::TooLarge,
                format!(
                    "`{}{name}` has {} bytes, the hub takes {max}",
                    self.path,
                    t.len()
                ),
            )),
            _ => Ok(text),
        }
    }

    /// A name (worker, queue, type, session, key): null, 0, false and "" mean none.
    pub fn opt_name(&self, name: &str, limits: &Limits) -> Result<Option<String>, Error> {
        if self.is_blank(name) {
            return Ok(None);
        }
        let text = self.opt_text(name)?;
        match &text {
            Some(t) if t.len() > limits.name_bytes => Err(self.refuse(
                name,
                &format!("a string of at most {} bytes", limits.name_bytes),
            )),
            _ => Ok(text),
        }
    }

    /// A whole number within `range`, or `None` when missing or null. Text ("2") and whole floats (2.0) are fine.
    pub fn opt_int(&self, name: &str, range: RangeInclusive<i64>) -> Result<Option<i64>, Error> {
        let Some(raw) = self.raw(name) else {
            return Ok(None);
        };
        let number = Number::read(raw).and_then(Number::whole);
        match number {
            Some(n) if range.contains(&n) => Ok(Some(n)),
            _ => Err(self.refuse(name, &whole_rule(&range))),
        }
    }

    /// As [`opt_int`](Params::opt_int), where null, 0, false and "" mean the default.
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

    /// A whole number that must be there.
    pub fn int(&self, name: &str, range: RangeInclusive<i64>) -> Result<i64, Error> {
        match self.opt_int(name, range.clone())? {
            Some(n) => Ok(n),
            None => Err(self.refuse(name, &whole_rule(&range))),
        }
    }

    /// `task_id`: any whole number within 64 bits; one that names no task is for the store to refuse.
    pub fn task_id(&self) -> Result<TaskId, Error> {
        self.int("task_id", i64::MIN..=i64::MAX)
    }

    /// Seconds, whole or not, as milliseconds; `None` when missing, null, 0, false or "".
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
        let ms = Number::read(raw)
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

    /// A number of at least `low` and at most `high`.
    pub fn opt_float(&self, name: &str, low: f64, high: f64) -> Result<Option<f64>, Error> {
        let Some(raw) = self.raw(name) else {
            return Ok(None);
        };
        match Number::read(raw).map(Number::float) {
            Some(n) if n >= low && n <= high => Ok(Some(n)),
            _ => Err(self.refuse(name, &format!("a number from {low} to {high}"))),
        }
    }

    /// `true` or `false`; `default` when missing or null.
    pub fn flag(&self, name: &str, default: bool) -> Result<bool, Error> {
        match self.raw(name) {
            None => Ok(default),
            Some("true") => Ok(true),
            Some("false") => Ok(false),
            Some(_) => Err(self.refuse(name, "true or false")),
        }
    }

    /// A list of names; one string alone is a list of one. Empty when missing, null or "".
    pub fn names(&self, name: &str, limits: &Limits) -> Result<Vec<String>, Error> {
        if self.is_blank(name) {
            return Ok(Vec::new());
        }
        let Some(raw) = self.raw(name) else {
            return Ok(Vec::new());
        };
        let list = match raw.as_bytes().first() {
            Some(b'"') => decode(raw).ok().map(|one| vec![one]),
            _ => serde_json::from_str::<Vec<String>>(raw).ok(),
        };
        let fits = |n: &String| !n.is_empty() && n.len() <= limits.name_bytes;
        match list {
            Some(list) if list.len() <= limits.batch && list.iter().all(fits) => Ok(list),
            _ => Err(self.refuse(
                name,
                &format!(
                    "a list of at most {} strings, each of 1 to {} bytes",
                    limits.batch, limits.name_bytes
                ),
            )),
        }
    }

    /// A list of task ids, in their order, each once. Empty when missing or null.
    pub fn ids(&self, name: &str, limits: &Limits) -> Result<Vec<TaskId>, Error> {
        let Some(raw) = self.raw(name) else {
            return Ok(Vec::new());
        };
        let list = serde_json::from_str::<Vec<&RawValue>>(raw)
            .ok()
            .and_then(|items| {
                let read = |item: &&RawValue| Number::read(item.get()).and_then(Number::whole);
                items.iter().map(read).collect::<Option<Vec<TaskId>>>()
            });
        match list {
            Some(list) if list.len() <= limits.batch => Ok(each_once(list)),
            _ => Err(self.refuse(
                name,
                &format!("a list of at most {} task ids", limits.batch),
            )),
        }
    }

    /// A nested object; `None` when missing, null or false.
    pub fn object(&self, name: &str) -> Result<Option<Params<'a>>, Error> {
        match self.raw(name) {
            None | Some("false") => Ok(None),
            Some(raw) => Params::parse_at(raw, format!("{}{name}.", self.path)).map(Some),
        }
    }

    /// A list of nested objects; `None` when missing or null.
    pub fn objects(&self, name: &str, limits: &Limits) -> Result<Option<Vec<Params<'a>>>, Error> {
        let Some(raw) = self.raw(name) else {
            return Ok(None);
        };
        let rule = || format!("a list of at most {} objects", limits.batch);
        let items = serde_json::from_str::<Vec<&'a RawValue>>(raw)
            .map_err(|_| self.refuse(name, &rule()))?;
        if items.len() > limits.batch {
            return Err(Error::new(
                ErrorCode::TooLarge,
                format!(
                    "`{}{name}` has {} entries, the hub takes {}",
                    self.path,
                    items.len(),
                    limits.batch
                ),
            ));
        }
        let one = |(at, item): (usize, &&'a RawValue)| {
            if item.get().starts_with('{') {
                return Params::parse_at(item.get(), format!("{}{name}[{at}].", self.path));
            }
            Err(self.refuse(name, &rule()))
        };
        items
            .iter()
            .enumerate()
            .map(one)
            .collect::<Result<Vec<_>, _>>()
            .map(Some)
    }

    /// Any JSON of at most `max` bytes; `None` when missing or null.
    pub fn json(&self, name: &str, max: usize) -> Result<Option<Value>, Error> {
        let Some(raw) = self.raw(name) else {
            return Ok(None);
        };
        if raw.len() > max {
            return Err(Error::new(
                ErrorCode::TooLarge,
                format!(
                    "`{}{name}` has {} bytes, the hub takes {max}",
                    self.path,
                    raw.len()
                ),
            ));
        }
        serde_json::from_str(raw).map(Some).map_err(|e| {
            Error::invalid_params(format!(
                "invalid params: `{}{name}`: {}",
                self.path,
                why_json(&e)
            ))
        })
    }

    /// Null, 0 (of any form), false or "".
    fn is_blank(&self, name: &str) -> bool {
        match self.raw(name) {
            None | Some("\"\"" | "false" | "0") => true,
            Some(raw) => {
                raw.starts_with(['0', '-']) && Number::read(raw).is_some_and(|n| n.float() == 0.0)
            }
        }
    }
}

/// A number as it was given: 64-bit integers are kept exact.
#[derive(Clone, Copy)]
enum Number {
    Int(i64),
    Float(f64),
}

impl Number {
    /// From a JSON number or a string that holds one.
    fn read(raw: &str) -> Option<Number> {
        match raw.as_bytes().first()? {
            b'"' => Number::from_text(decode(raw).ok()?.trim()),
            b'-' | b'0'..=b'9' => Number::from_text(raw),
            _ => None,
        }
    }

    fn from_text(text: &str) -> Option<Number> {
        if let Ok(n) = text.parse::<i64>() {
            return Some(Number::Int(n));
        }
        // Rust also reads "inf" and "nan", which no JSON number is.
        if !text
            .bytes()
            .all(|b| b.is_ascii_digit() || b"+-.eE".contains(&b))
        {
            return None;
        }
        text.parse::<f64>()
            .ok()
            .filter(|f| f.is_finite())
            .map(Number::Float)
    }

    fn float(self) -> f64 {
        match self {
            Number::Int(n) => n as f64,
            Number::Float(f) => f,
        }
    }

    /// The whole number it is, within 64 bits.
    fn whole(self) -> Option<i64> {
        // 2^63 as a float: from there on the value does not fit.
        const BEYOND: f64 = 9_223_372_036_854_775_808.0;
        match self {
            Number::Int(n) => Some(n),
            Number::Float(f) if f.fract() == 0.0 && (-BEYOND..BEYOND).contains(&f) => {
                Some(f as i64)
            }
            Number::Float(_) => None,
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

/// Decodes a JSON string; the reason when it holds a lone surrogate or a bad escape.
pub(crate) fn decode(raw: &str) -> Result<String, String> {
    serde_json::from_str(raw).map_err(|e| why_json(&e))
}

/// serde_json's reason, with the words a caller knows.
pub(crate) fn why_json(error: &serde_json::Error) -> String {
    let text = error.to_string();
    // Only the part before the position: lines are one line here, and columns count from the fragment's start.
    let reason = text.split(" at line ").next().unwrap_or_default();
    match reason {
        r if r.contains("surrogate") || r.contains("unexpected end of hex escape") => {
            "a lone surrogate (\\ud800 to \\udfff without its pair) is no character".into()
        }
        r if r.contains("number out of range") => {
            "a number is beyond the range of a 64-bit float".into()
        }
        r => r.to_owned(),
    }
}

fn shorten(raw: &str) -> String {
    match raw.char_indices().nth(40) {
        None => raw.to_owned(),
        Some((at, _)) => format!("{}...", &raw[..at]),
    }
}

fn each_once(list: Vec<TaskId>) -> Vec<TaskId> {
    let mut seen = std::collections::HashSet::with_capacity(list.len());
    list.into_iter().filter(|id| seen.insert(*id)).collect()
}

/// The members of an object, undecoded.
pub(crate) struct Entries<'a>(pub(crate) Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'de> Deserialize<'de> for Entries<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Entries<'de>, D::Error> {
        struct Members;
        impl<'de> Visitor<'de> for Members {
            type Value = Entries<'de>;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Entries<'de>, A::Error> {
                let mut entries = Vec::with_capacity(4);
                while let Some(Key(key)) = map.next_key()? {
                    entries.push((key, map.next_value::<&'de RawValue>()?));
                }
                Ok(Entries(entries))
            }
        }
        deserializer.deserialize_map(Members)
    }
}

/// A key, borrowed when it has no escapes.
struct Key<'a>(Cow<'a, str>);

impl<'de> Deserialize<'de> for Key<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Key<'de>, D::Error> {
        struct Text;
        impl<'de> Visitor<'de> for Text {
            type Value = Key<'de>;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a key")
            }
            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Key<'de>, E> {
                Ok(Key(Cow::Borrowed(text)))
            }
            fn visit_str<E>(self, text: &str) -> Result<Key<'de>, E> {
                Ok(Key(Cow::Owned(text.to_owned())))
            }
        }
        deserializer.deserialize_str(Text)
    }
}
