//! A value as it was written, before anyone knows what it should be.

use serde_json::Value;
use toml::de::DeValue;

/// A written value.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Raw {
    /// A TOML string.
    Text(String),
    /// Text of a variable or a flag: it may mean a number, a switch or a list.
    Loose(String),
    Bool(bool),
    Int(i128),
    Float(f64),
    List(Vec<Raw>),
    Table(Value),
    Date(String),
}

impl Raw {
    /// Takes a parsed TOML value; tables are the caller's business.
    pub fn from_toml(value: &DeValue<'_>) -> Self {
        match value {
            DeValue::String(text) => Self::Text(text.to_string()),
            DeValue::Boolean(value) => Self::Bool(*value),
            DeValue::Integer(number) => i128::from_str_radix(number.as_str(), number.radix())
                .map_or_else(|_| Self::Text(number.to_string()), Self::Int),
            DeValue::Float(number) => number
                .as_str()
                .parse()
                .map_or_else(|_| Self::Text(number.to_string()), Self::Float),
            DeValue::Array(items) => Self::List(
                items
                    .iter()
                    .map(|item| Self::from_toml(item.get_ref()))
                    .collect(),
            ),
            DeValue::Table(_) => Self::Table(json(value)),
            DeValue::Datetime(date) => Self::Date(date.to_string()),
        }
    }

    /// The text, whichever way it came.
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) | Self::Loose(text) => Some(text),
            _ => None,
        }
    }

    /// How it is quoted in a fault.
    pub fn shown(&self) -> String {
        match self {
            Self::Text(text) | Self::Loose(text) => format!("{text:?}"),
            Self::Bool(value) => value.to_string(),
            Self::Int(number) => number.to_string(),
            Self::Float(number) => number.to_string(),
            Self::List(_) => "a list".to_owned(),
            Self::Table(_) => "a table".to_owned(),
            Self::Date(date) => format!("the date {date}"),
        }
    }
}

/// A TOML value as JSON. Dates become texts, and so do numbers that JSON does not have.
fn json(value: &DeValue<'_>) -> Value {
    match value {
        DeValue::Table(table) => table
            .iter()
            .map(|(key, value)| (key.get_ref().to_string(), json(value.get_ref())))
            .collect::<serde_json::Map<_, _>>()
            .into(),
        DeValue::Array(items) => items.iter().map(|item| json(item.get_ref())).collect(),
        plain => match Raw::from_toml(plain) {
            Raw::Text(text) | Raw::Loose(text) | Raw::Date(text) => text.into(),
            Raw::Bool(value) => value.into(),
            Raw::Float(number) => number.into(),
            Raw::Int(number) => {
                i64::try_from(number).map_or_else(|_| number.to_string().into(), Value::from)
            }
            Raw::List(_) | Raw::Table(_) => Value::Null,
        },
    }
}
