//! A value as written, before it is checked.

use std::borrow::Cow;
use std::collections::BTreeMap;

use config::ValueKind;
use toml::de::DeValue;

/// A value as written.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum RawValue {
    /// A TOML string.
    Text(String),
    /// Text of a variable or a flag, which may also mean a number, a boolean, a list or a table.
    Loose(String),
    Bool(bool),
    Int(i128),
    Float(f64),
    List(Vec<RawValue>),
    Table(BTreeMap<String, RawValue>),
    Date(String),
}

impl RawValue {
    /// Converts a parsed TOML value. A number that does not fit becomes text, which the check of its key refuses.
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
            DeValue::Array(items) => {
                let items = items.iter().map(|item| Self::from_toml(item.get_ref()));
                Self::List(items.collect())
            }
            DeValue::Table(table) => {
                let entries = table.iter().map(|(key, value)| {
                    let value = Self::from_toml(value.get_ref());
                    (key.get_ref().to_string(), value)
                });
                Self::Table(entries.collect())
            }
            DeValue::Datetime(date) => Self::Date(date.to_string()),
        }
    }

    /// The text of a TOML string, a variable or a flag.
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) | Self::Loose(text) => Some(text),
            _ => None,
        }
    }

    /// The value; the text of a variable or a flag is read as TOML. Text that is not TOML is returned as it is.
    pub fn structured(&self) -> Cow<'_, Self> {
        match self {
            Self::Loose(text) => match DeValue::parse(text.trim()) {
                Ok(value) => Cow::Owned(Self::from_toml(value.get_ref())),
                Err(_) => Cow::Borrowed(self),
            },
            _ => Cow::Borrowed(self),
        }
    }

    /// The value for a message. Lists and tables are not written out.
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

    /// The value of a key whose content is not checked here. Dates become texts, and so do integers beyond 64 bits.
    pub fn to_value(&self) -> ValueKind {
        match self {
            Self::Text(text) | Self::Loose(text) | Self::Date(text) => text.as_str().into(),
            Self::Bool(value) => (*value).into(),
            Self::Float(number) => (*number).into(),
            Self::Int(number) => i64::try_from(*number)
                .map_or_else(|_| ValueKind::String(number.to_string()), ValueKind::I64),
            Self::List(items) => items.iter().map(Self::to_value).collect::<Vec<_>>().into(),
            Self::Table(entries) => entries
                .iter()
                .map(|(name, value)| (name.clone(), value.to_value()))
                .collect::<config::Map<_, _>>()
                .into(),
        }
    }
}
