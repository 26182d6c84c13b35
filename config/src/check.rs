//! One value against what its key may hold: pure, no knowledge of layers.

use std::time::Duration;

use config::ValueKind;
use serde_json::Value;

use crate::level;
use crate::path::expand;
use crate::raw::Raw;
use crate::schema::{Key, Kind};
use crate::size;

/// The word for a time without end.
pub(crate) const FOREVER: &str = "forever";

/// Brings a written value into the one form that the settings are read from: times as humantime text, sizes as bytes,
/// paths with the home directory filled in. `Nil` says that an optional key was emptied on purpose.
/// The error says what was written (unless secret) and what is allowed.
pub(crate) fn check(key: &Key, raw: &Raw, home: Option<&str>) -> Result<ValueKind, String> {
    if key.optional() && raw.text() == Some("") {
        return Ok(ValueKind::Nil);
    }
    let read = match key.kind {
        Kind::Text => text(raw).map(ValueKind::from),
        Kind::Name => text(raw).filter(|text| is_name(text)).map(ValueKind::from),
        Kind::Secret => text(raw)
            .filter(|text| !text.contains(['\n', '\r']))
            .map(ValueKind::from),
        Kind::Path | Kind::Program => match text(raw) {
            Some(text) => Some(expand(text, home)?.into()),
            None => None,
        },
        Kind::Command => match list(raw) {
            Some(words) => Some(command(words, home)?.into()),
            None => None,
        },
        Kind::Hooks => match table(raw) {
            Some(table) => Some(hooks(table, home)?.to_string().into()),
            None => None,
        },
        Kind::Level => match text(raw) {
            Some(text) => Some(level::read(text)?.into()),
            None => None,
        },
        Kind::Bool => switch(raw).map(ValueKind::from),
        Kind::Int(min, max) => whole(raw)
            .filter(|n| (min..=max).contains(n))
            .map(ValueKind::from),
        Kind::Float(min, max) => number(raw)
            .filter(|n| (min..=max).contains(n))
            .map(ValueKind::from),
        Kind::Size(min, max) => bytes(raw)
            .filter(|n| (min..=max).contains(n))
            .map(ValueKind::from),
        Kind::Time(min, max) => time(raw)
            .filter(|wait| (min..=max).contains(wait))
            .map(|wait| ValueKind::from(humantime::format_duration(wait).to_string())),
        Kind::Wait(..) if raw.text() == Some(FOREVER) => Some(ValueKind::from(FOREVER)),
        Kind::Wait(min, max) => time(raw)
            .filter(|wait| (min..=max).contains(wait))
            .map(|wait| ValueKind::from(humantime::format_duration(wait).to_string())),
        Kind::Choice(words) => text(raw)
            .filter(|text| words.contains(text))
            .map(ValueKind::from),
        Kind::List => list(raw).map(ValueKind::from),
        // An entry of the map: any text, also the empty one.
        Kind::Map => raw
            .text()
            .filter(|text| !text.contains('\0'))
            .map(ValueKind::from),
        Kind::Tree => table(raw).map(|table| ValueKind::from(table.to_string())),
        Kind::Tables => tables(raw).map(|tables| ValueKind::from(Value::from(tables).to_string())),
    };
    read.ok_or_else(|| match key.kind {
        Kind::Secret => format!("cannot take this value: {} is allowed", allowed(key.kind)),
        kind => format!("cannot take {}: {} is allowed", raw.shown(), allowed(kind)),
    })
}

/// A command whose program has the home directory filled in; its arguments are the program's business.
fn command(mut words: Vec<String>, home: Option<&str>) -> Result<Vec<String>, String> {
    if let Some(program) = words.first_mut() {
        *program = expand(program, home)?;
    }
    Ok(words)
}

/// Hooks whose programs have the home directory filled in. What is not a command is left to their reader.
fn hooks(mut table: Value, home: Option<&str>) -> Result<Value, String> {
    for name in ["before", "after"] {
        let words = table.get_mut(name).and_then(Value::as_array_mut);
        if let Some(Value::String(program)) = words.and_then(|words| words.first_mut()) {
            *program = expand(program, home)?;
        }
    }
    Ok(table)
}

/// What a kind allows, as a phrase for a person.
pub(crate) fn allowed(kind: Kind) -> String {
    match kind {
        Kind::Text => "a text that is not empty".to_owned(),
        Kind::Name => "a name of 1 to 64 characters a-z, 0-9, _ and -".to_owned(),
        Kind::Secret => "a text of one line".to_owned(),
        Kind::Path => "a path".to_owned(),
        Kind::Program => "a program".to_owned(),
        Kind::Command => "a program and its arguments, a list of strings".to_owned(),
        Kind::Bool => "true or false".to_owned(),
        Kind::Int(min, max) => format!("a whole number from {min} to {max}"),
        Kind::Float(min, max) => format!("a number from {min} to {max}"),
        Kind::Size(min, max) => format!(
            "a size from {} to {} (such as \"16 MiB\", or a number of bytes)",
            size::format(min),
            size::format(max)
        ),
        Kind::Time(min, max) => format!(
            "a time from {} to {} (such as \"90s\" or \"5m\", or a number of seconds)",
            humantime::format_duration(min),
            humantime::format_duration(max)
        ),
        Kind::Wait(min, max) => format!("\"forever\", or {}", allowed(Kind::Time(min, max))),
        Kind::Level => "a level, or levels by module".to_owned(),
        Kind::Choice(words) => format!("one of {}", words.join(", ")),
        Kind::List => "a list of strings".to_owned(),
        Kind::Map => "a table of names and texts".to_owned(),
        Kind::Tree | Kind::Hooks => "a table".to_owned(),
        Kind::Tables => "a list of tables".to_owned(),
    }
}

/// Whether a text may name a pool or a provider.
pub(crate) fn is_name(text: &str) -> bool {
    let fits = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-');
    (1..=64).contains(&text.len()) && text.bytes().all(fits)
}

fn text(raw: &Raw) -> Option<&str> {
    raw.text()
        .filter(|text| !text.trim().is_empty() && !text.contains('\0'))
}

fn switch(raw: &Raw) -> Option<bool> {
    match raw {
        Raw::Bool(value) => Some(*value),
        Raw::Loose(text) => match text.trim().to_ascii_lowercase().as_str() {
            "true" | "1" | "yes" | "on" => Some(true),
            "false" | "0" | "no" | "off" => Some(false),
            _ => None,
        },
        _ => None,
    }
}

fn whole(raw: &Raw) -> Option<u64> {
    match raw {
        Raw::Int(number) => u64::try_from(*number).ok(),
        Raw::Loose(text) => text.trim().parse().ok(),
        _ => None,
    }
}

fn number(raw: &Raw) -> Option<f64> {
    match raw {
        Raw::Float(number) => Some(*number),
        // Bounds are small, so nothing that passes them loses digits here.
        Raw::Int(number) => Some(*number as f64),
        Raw::Loose(text) => text.trim().parse().ok(),
        _ => None,
    }
}

fn bytes(raw: &Raw) -> Option<u64> {
    raw.text().map_or_else(|| whole(raw), size::parse)
}

fn time(raw: &Raw) -> Option<Duration> {
    let seconds = match raw {
        Raw::Text(text) | Raw::Loose(text) => match text.trim().parse() {
            Ok(seconds) => seconds,
            Err(_) => return humantime::parse_duration(text.trim()).ok(),
        },
        _ => whole(raw)?,
    };
    Some(Duration::from_secs(seconds))
}

/// A table, which comes through all layers unchanged as the text of its JSON. Of a variable or a flag it is TOML.
fn table(raw: &Raw) -> Option<Value> {
    match raw {
        Raw::Table(table) => Some(table.clone()),
        Raw::Loose(loose) => {
            let value = toml::de::DeValue::parse(loose.trim()).ok()?;
            match Raw::from_toml(value.get_ref()) {
                Raw::Table(table) => Some(table),
                _ => None,
            }
        }
        _ => None,
    }
}

fn tables(raw: &Raw) -> Option<Vec<Value>> {
    match raw {
        Raw::List(items) => items
            .iter()
            .map(|item| match item {
                Raw::Table(table) => Some(table.clone()),
                _ => None,
            })
            .collect(),
        Raw::Loose(loose) => {
            let value = toml::de::DeValue::parse(loose.trim()).ok()?;
            match Raw::from_toml(value.get_ref()) {
                Raw::Loose(_) => None,
                list => tables(&list),
            }
        }
        _ => None,
    }
}

/// A list of a variable or a flag is TOML when it starts with a bracket, else words between commas.
fn list(raw: &Raw) -> Option<Vec<String>> {
    match raw {
        Raw::List(items) => items
            .iter()
            .map(|item| text(item).map(str::to_owned))
            .collect(),
        Raw::Loose(loose) if loose.trim_start().starts_with('[') => {
            let value = toml::de::DeValue::parse(loose.trim()).ok()?;
            list(&Raw::from_toml(value.get_ref()))
        }
        Raw::Loose(loose) => Some(
            loose
                .split(',')
                .map(str::trim)
                .filter(|word| !word.is_empty())
                .map(str::to_owned)
                .collect(),
        ),
        _ => None,
    }
}
