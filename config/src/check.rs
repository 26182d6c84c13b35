//! Checks one value against the values that its key allows. Pure functions without knowledge of layers.

use std::collections::BTreeMap;
use std::time::Duration;

use config::{Map, ValueKind};

use crate::level;
use crate::path::expand;
use crate::raw::RawValue;
use crate::schema::{Allowed, KeyDefault, SettingKey, unknown_key};
use crate::settings::OFF;
use kirosu_protocol::size;

/// The word for a wait without an end.
pub(crate) const FOREVER: &str = "forever";

const DAY: Duration = Duration::from_secs(86_400);

/// A fault of a value: its path below the key, such as `.before` or `[2].name` (empty for the value itself), and a
/// sentence.
pub(crate) type ValueFault = (String, String);

/// Brings a written value into the form from which the settings are deserialised: times as humantime text, sizes as
/// bytes, paths with the home directory filled in. `Nil` means that an optional key was unset with an empty text.
///
/// # Errors
/// Every fault of the value, with what was written (unless it is a secret) and what is allowed.
pub(crate) fn check(
    key: &SettingKey,
    raw: &RawValue,
    home: Option<&str>,
) -> Result<ValueKind, Vec<ValueFault>> {
    match key.optional() && raw.text() == Some("") {
        true => Ok(ValueKind::Nil),
        false => value(key.allowed, raw, home),
    }
}

/// The message for a required key that is missing.
pub(crate) fn missing(key: &SettingKey) -> String {
    format!("has to be set: {} is allowed", key.allowed)
}

/// Whether a text is valid as the name of a pool or a provider.
pub(crate) fn is_name(text: &str) -> bool {
    let fits = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-');
    (1..=64).contains(&text.len()) && text.bytes().all(fits)
}

fn value(
    allowed: Allowed,
    raw: &RawValue,
    home: Option<&str>,
) -> Result<ValueKind, Vec<ValueFault>> {
    let refused = || match allowed {
        Allowed::Secret => format!("cannot take this value: {allowed} is allowed"),
        _ => format!("cannot take {}: {allowed} is allowed", raw.shown()),
    };
    let of_value = |message| vec![(String::new(), message)];
    match (allowed, &*raw.structured()) {
        (Allowed::Table(keys), RawValue::Table(entries)) => table(keys, entries, home),
        (Allowed::Tables(keys), RawValue::List(items)) => {
            tables(keys, items, home).unwrap_or_else(|| Err(of_value(refused())))
        }
        _ => match plain(allowed, raw, home) {
            Ok(value) => value.ok_or_else(|| of_value(refused())),
            Err(message) => Err(of_value(message)),
        },
    }
}

/// Checks a value without keys of its own. `Ok(None)` means that the value is not among the allowed ones.
///
/// # Errors
/// A sentence, where there is more to say than which values are allowed.
fn plain(
    allowed: Allowed,
    raw: &RawValue,
    home: Option<&str>,
) -> Result<Option<ValueKind>, String> {
    Ok(match allowed {
        Allowed::Text => text(raw).map(ValueKind::from),
        Allowed::Name => text(raw).filter(|text| is_name(text)).map(ValueKind::from),
        Allowed::Secret => text(raw)
            .filter(|text| !text.contains(['\n', '\r']))
            .map(ValueKind::from),
        Allowed::Path | Allowed::Program => match text(raw) {
            Some(text) => Some(expand(text, home)?.into()),
            None => None,
        },
        Allowed::Command => match list(raw, argument) {
            Some(words) => command(words, home)?.map(ValueKind::from),
            None => None,
        },
        Allowed::Level => match text(raw) {
            Some(text) => Some(level::read(text)?.into()),
            None => None,
        },
        Allowed::Bool => boolean(raw).map(ValueKind::from),
        Allowed::Int(min, max) => within(whole(raw), min, max).map(ValueKind::from),
        Allowed::Port if raw.text() == Some(OFF) => Some(OFF.into()),
        Allowed::Port => within(whole(raw), 0, u64::from(u16::MAX)).map(ValueKind::from),
        Allowed::Float(min, max) => within(number(raw), min, max).map(ValueKind::from),
        Allowed::Size(min, max) => within(bytes(raw), min, max).map(ValueKind::from),
        Allowed::Wait(..) if raw.text() == Some(FOREVER) => Some(FOREVER.into()),
        Allowed::Time(min, max) | Allowed::Wait(min, max) => within(time(raw), min, max).map(human),
        Allowed::Period => time(raw).filter(|time| divides_a_day(*time)).map(human),
        Allowed::Choice(words) => text(raw)
            .filter(|text| words.contains(text))
            .map(ValueKind::from),
        Allowed::List => list(raw, text).map(ValueKind::from),
        // A map has one value per entry: any text, also the empty one.
        Allowed::Map => argument(raw).map(ValueKind::from),
        Allowed::Tree => match &*raw.structured() {
            table @ RawValue::Table(_) => Some(table.to_value()),
            _ => None,
        },
        Allowed::Patterns => match raw {
            RawValue::Text(text) => Some(text.as_str().into()),
            RawValue::Table(each) => {
                let are_texts = each.values().all(|it| matches!(it, RawValue::Text(_)));
                (!each.is_empty() && are_texts).then(|| raw.to_value())
            }
            _ => None,
        },
        Allowed::Table(_) | Allowed::Tables(_) => None,
    })
}

/// Checks each entry of a table. An empty text does not unset a key here: in a rule, that would match more than the
/// operator wrote.
fn table(
    keys: &[SettingKey],
    entries: &BTreeMap<String, RawValue>,
    home: Option<&str>,
) -> Result<ValueKind, Vec<ValueFault>> {
    let (mut values, mut faults) = (Map::new(), Vec::new());
    for (name, raw) in entries {
        let Some(key) = keys.iter().find(|key| key.name == name) else {
            faults.push((format!(".{name}"), unknown_key(keys, name)));
            continue;
        };
        match value(key.allowed, raw, home) {
            Ok(value) => {
                values.insert(name.clone(), value);
            }
            Err(below) => {
                let placed = |(path, message)| (format!(".{name}{path}"), message);
                faults.extend(below.into_iter().map(placed));
            }
        }
    }
    let required = |key: &&SettingKey| matches!(key.default, KeyDefault::Required);
    for key in keys.iter().filter(required) {
        if !entries.contains_key(key.name) {
            faults.push((format!(".{}", key.name), missing(key)));
        }
    }
    match faults.is_empty() {
        true => Ok(values.into()),
        false => Err(faults),
    }
}

/// Checks each table of a list. `None` means that an item is not a table.
fn tables(
    keys: &[SettingKey],
    items: &[RawValue],
    home: Option<&str>,
) -> Option<Result<ValueKind, Vec<ValueFault>>> {
    let (mut values, mut faults) = (Vec::new(), Vec::new());
    for (index, item) in items.iter().enumerate() {
        let RawValue::Table(entries) = item else {
            return None;
        };
        match table(keys, entries, home) {
            Ok(value) => values.push(value),
            Err(below) => {
                let placed = |(path, message)| (format!("[{index}]{path}"), message);
                faults.extend(below.into_iter().map(placed));
            }
        }
    }
    Some(match faults.is_empty() {
        true => Ok(values.into()),
        false => Err(faults),
    })
}

fn within<T: PartialOrd>(value: Option<T>, min: T, max: T) -> Option<T> {
    value.filter(|value| (min..=max).contains(value))
}

fn human(time: Duration) -> ValueKind {
    humantime::format_duration(time).to_string().into()
}

fn divides_a_day(time: Duration) -> bool {
    let is_whole = time.subsec_nanos() == 0 && !time.is_zero();
    is_whole && DAY.as_secs().is_multiple_of(time.as_secs())
}

/// Fills in the home directory of a command's program; the arguments are passed on as written. `Ok(None)` means that the
/// program is empty.
fn command(mut words: Vec<String>, home: Option<&str>) -> Result<Option<Vec<String>>, String> {
    match words.first_mut() {
        Some(program) if program.trim().is_empty() => return Ok(None),
        Some(program) => *program = expand(program, home)?,
        None => {}
    }
    Ok(Some(words))
}

fn text(raw: &RawValue) -> Option<&str> {
    argument(raw).filter(|text| !text.trim().is_empty())
}

/// A text that may be empty. No program and no variable can hold a NUL.
fn argument(raw: &RawValue) -> Option<&str> {
    raw.text().filter(|text| !text.contains('\0'))
}

fn boolean(raw: &RawValue) -> Option<bool> {
    match raw {
        RawValue::Bool(value) => Some(*value),
        RawValue::Loose(text) => match text.trim().to_ascii_lowercase().as_str() {
            "true" | "1" | "yes" | "on" => Some(true),
            "false" | "0" | "no" | "off" => Some(false),
            _ => None,
        },
        _ => None,
    }
}

fn whole(raw: &RawValue) -> Option<u64> {
    match raw {
        RawValue::Int(number) => u64::try_from(*number).ok(),
        RawValue::Loose(text) => text.trim().parse().ok(),
        _ => None,
    }
}

fn number(raw: &RawValue) -> Option<f64> {
    match raw {
        RawValue::Float(number) => Some(*number),
        // Bounds are far below 2^53, so an integer that passes them is exact as a float.
        RawValue::Int(number) => Some(*number as f64),
        RawValue::Loose(text) => text.trim().parse().ok(),
        _ => None,
    }
}

fn bytes(raw: &RawValue) -> Option<u64> {
    raw.text().map_or_else(|| whole(raw), size::parse)
}

fn time(raw: &RawValue) -> Option<Duration> {
    let seconds = match raw.text().map(str::trim) {
        Some(text) => match text.parse() {
            Ok(seconds) => seconds,
            Err(_) => return humantime::parse_duration(text).ok(),
        },
        None => whole(raw)?,
    };
    Some(Duration::from_secs(seconds))
}

/// The items of a list. In a variable or a flag a list is TOML if it starts with a bracket, otherwise words between commas.
fn list(raw: &RawValue, item: fn(&RawValue) -> Option<&str>) -> Option<Vec<String>> {
    if let RawValue::Loose(loose) = raw
        && !loose.trim_start().starts_with('[')
    {
        let words = loose.split(',').map(str::trim);
        return Some(
            words
                .filter(|word| !word.is_empty())
                .map(str::to_owned)
                .collect(),
        );
    }
    match &*raw.structured() {
        RawValue::List(items) => items.iter().map(|it| item(it).map(str::to_owned)).collect(),
        _ => None,
    }
}
