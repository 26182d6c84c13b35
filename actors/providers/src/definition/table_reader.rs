//! Reads the keys of a table one by one and records every fault: wrong types, unknown keys. [`define_table!`] defines a
//! type together with its keys.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::str::FromStr;
use std::time::Duration;

use kirosu_protocol::text::nearest;
use serde_json::{Map, Value};
use strum::VariantNames;

/// Defines a type whose fields are the keys of a table:
///
/// ```text
/// define_table! {
///     /// A rule for a denied tool.
///     pub struct DeniedRule {
///         /// The frames; `value` is the tool.
///         pub rule: FrameRule = same_table,
///         /// JSON pointer to the call's id.
///         pub id: Option<String> = TableReader::pointer,
///     }
/// }
/// ```
///
/// A key is read as its type says ([`FromKey`]), or by the function after `=`, which gets the table and the key. The
/// default of the type is what an empty table gives.
macro_rules! define_table {
    (
        $(#[$meta:meta])*
        pub struct $name:ident {
            $( $(#[$key_meta:meta])* pub $key:ident: $type:ty $(= $read:expr)?, )*
        }
    ) => {
        $(#[$meta])*
        #[derive(Debug, Clone)]
        pub struct $name {
            $( $(#[$key_meta])* pub $key: $type, )*
        }

        impl $crate::definition::table_reader::FromTable for $name {
            fn from_table(table: &$crate::definition::table_reader::TableReader<'_>) -> Self {
                Self {
                    $( $key: $crate::definition::table_reader::read_key!(table, $key $(, $read)?), )*
                }
            }
        }

        impl Default for $name {
            fn default() -> Self {
                $crate::definition::table_reader::from_empty_table()
            }
        }
    };
}
pub(super) use define_table;

/// Reads one key, for [`define_table!`].
macro_rules! read_key {
    ($table:ident, $key:ident) => {
        $crate::definition::table_reader::FromKey::from_key($table, stringify!($key))
    };
    ($table:ident, $key:ident, $read:expr) => {
        $read($table, stringify!($key))
    };
}
pub(super) use read_key;

/// A type that is read from a table.
pub(super) trait FromTable: Sized {
    /// Reads all keys. A key with a fault gets its default.
    fn from_table(table: &TableReader<'_>) -> Self;
}

/// A type that is read from one key of a table.
pub(super) trait FromKey: Sized {
    /// Reads the key. The default if it is missing or has a fault.
    fn from_key(table: &TableReader<'_>, name: &'static str) -> Self;
}

impl FromKey for bool {
    fn from_key(table: &TableReader<'_>, name: &'static str) -> Self {
        table.flag_or(name, false)
    }
}

impl FromKey for String {
    fn from_key(table: &TableReader<'_>, name: &'static str) -> Self {
        table.text(name).unwrap_or_default()
    }
}

impl FromKey for Option<String> {
    fn from_key(table: &TableReader<'_>, name: &'static str) -> Self {
        table.text(name)
    }
}

impl FromKey for Vec<String> {
    fn from_key(table: &TableReader<'_>, name: &'static str) -> Self {
        table.texts(name).unwrap_or_default()
    }
}

impl FromKey for Option<Vec<String>> {
    fn from_key(table: &TableReader<'_>, name: &'static str) -> Self {
        table.texts(name)
    }
}

impl FromKey for BTreeMap<String, String> {
    fn from_key(table: &TableReader<'_>, name: &'static str) -> Self {
        table.map(name)
    }
}

impl FromKey for BTreeMap<String, Value> {
    fn from_key(table: &TableReader<'_>, name: &'static str) -> Self {
        table.values(name)
    }
}

impl<T: FromTable + Default> FromKey for T {
    fn from_key(table: &TableReader<'_>, name: &'static str) -> Self {
        table.table(name, T::from_table).unwrap_or_default()
    }
}

impl<T: FromTable> FromKey for Vec<T> {
    fn from_key(table: &TableReader<'_>, name: &'static str) -> Self {
        table.tables(name, T::from_table)
    }
}

/// Reads the keys of a part of a type from the table of the whole.
pub(super) fn same_table<T: FromTable>(table: &TableReader<'_>, _: &'static str) -> T {
    T::from_table(table)
}

/// The value of an empty table.
pub(super) fn from_empty_table<T: FromTable>() -> T {
    T::from_table(&TableReader::new("", &Map::new(), &FaultList::default()))
}

/// Faults in the order in which they were found, one sentence each, with the path of the key.
pub(super) type FaultList = RefCell<Vec<String>>;

/// A table that is being read.
pub(super) struct TableReader<'v> {
    path: String,
    table: &'v Map<String, Value>,
    known: RefCell<Vec<&'static str>>,
    /// All keys were read, whatever their names.
    whole: Cell<bool>,
    faults: &'v FaultList,
}

impl<'v> TableReader<'v> {
    pub(super) fn new(
        path: impl Into<String>,
        table: &'v Map<String, Value>,
        faults: &'v FaultList,
    ) -> Self {
        Self {
            path: path.into(),
            table,
            known: RefCell::default(),
            whole: Cell::default(),
            faults,
        }
    }

    /// The path of a key, for faults.
    pub(super) fn key(&self, name: &str) -> String {
        if self.path.is_empty() {
            name.to_owned()
        } else {
            format!("{}.{name}", self.path)
        }
    }

    pub(super) fn fault(&self, name: &str, message: &str) {
        self.faults
            .borrow_mut()
            .push(format!("{}: {message}", self.key(name)));
    }

    fn value(&self, name: &'static str) -> Option<&'v Value> {
        self.known.borrow_mut().push(name);
        self.table.get(name)
    }

    fn read<T>(
        &self,
        name: &'static str,
        allowed: &str,
        read: impl FnOnce(&'v Value) -> Option<T>,
    ) -> Option<T> {
        let value = self.value(name)?;
        let taken = read(value);
        if taken.is_none() {
            self.fault(name, &format!("{allowed} is allowed"));
        }
        taken
    }

    /// The value of a key, which still has to be read.
    pub(super) fn peek(&self, name: &str) -> Option<&'v Value> {
        self.table.get(name)
    }

    pub(super) fn text(&self, name: &'static str) -> Option<String> {
        self.read(name, "a text", |it| it.as_str().map(str::to_owned))
    }

    /// A text that is not empty.
    pub(super) fn filled(&self, name: &'static str) -> Option<String> {
        self.text(name).filter(|it| !it.is_empty())
    }

    /// A text in lower case.
    pub(super) fn lower_case(&self, name: &'static str) -> String {
        self.text(name).unwrap_or_default().to_lowercase()
    }

    /// As [`texts`](Self::texts), in lower case.
    pub(super) fn lower_case_list(&self, name: &'static str) -> Vec<String> {
        let texts = self.texts(name).unwrap_or_default();
        texts.iter().map(|it| it.to_lowercase()).collect()
    }

    pub(super) fn flag_or(&self, name: &'static str, default: bool) -> bool {
        self.read(name, "true or false", Value::as_bool)
            .unwrap_or(default)
    }

    /// A duration above zero, such as `90s`.
    pub(super) fn length(&self, name: &'static str) -> Option<Duration> {
        self.read(name, "a length of time above zero, as \"90s\",", |it| {
            let length = humantime::parse_duration(it.as_str()?).ok()?;
            (!length.is_zero()).then_some(length)
        })
    }

    /// A list of strings, or one string.
    pub(super) fn texts(&self, name: &'static str) -> Option<Vec<String>> {
        self.read(name, "a list of strings", |it| match it {
            Value::String(one) => Some(vec![one.clone()]),
            Value::Array(items) => items
                .iter()
                .map(|it| it.as_str().map(str::to_owned))
                .collect(),
            _ => None,
        })
    }

    /// A table of strings.
    pub(super) fn map(&self, name: &'static str) -> BTreeMap<String, String> {
        self.read(name, "a table of texts", |it| {
            it.as_object()?
                .iter()
                .map(|(name, text)| Some((name.clone(), text.as_str()?.to_owned())))
                .collect()
        })
        .unwrap_or_default()
    }

    /// A table of any values.
    pub(super) fn values(&self, name: &'static str) -> BTreeMap<String, Value> {
        self.read(name, "a table", |it| {
            let entries = it.as_object()?.iter();
            Some(entries.map(|(k, v)| (k.clone(), v.clone())).collect())
        })
        .unwrap_or_default()
    }

    /// A variant of an enum, by its name; the default variant if the key is missing.
    pub(super) fn choice<T: FromStr + VariantNames + Default>(&self, name: &'static str) -> T {
        self.optional_choice(name).unwrap_or_default()
    }

    /// A variant of an enum, by its name.
    pub(super) fn optional_choice<T: FromStr + VariantNames>(
        &self,
        name: &'static str,
    ) -> Option<T> {
        let allowed = format!("one of {}", T::VARIANTS.join(", "));
        self.read(name, &allowed, |it| it.as_str()?.parse().ok())
    }

    /// One of some words, mapped to its value.
    pub(super) fn one_of<T: Copy>(&self, name: &'static str, words: &[(&str, T)]) -> Option<T> {
        let all: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        let allowed = format!("one of {}", all.join(", "));
        self.read(name, &allowed, |it| {
            let word = it.as_str()?;
            words.iter().find(|(w, _)| *w == word).map(|(_, t)| *t)
        })
    }

    /// A JSON pointer: empty, or steps that begin with `/`.
    pub(super) fn pointer(&self, name: &'static str) -> Option<String> {
        self.read(name, POINTER, |it| {
            it.as_str().filter(|it| is_pointer(it)).map(str::to_owned)
        })
    }

    /// A nested table.
    pub(super) fn table<T>(
        &self,
        name: &'static str,
        read: impl FnOnce(&TableReader<'v>) -> T,
    ) -> Option<T> {
        let table = self.read(name, "a table", Value::as_object)?;
        let below = TableReader::new(self.key(name), table, self.faults);
        let taken = read(&below);
        below.finish();
        Some(taken)
    }

    /// A nested table, or a list of such tables.
    pub(super) fn tables<T>(
        &self,
        name: &'static str,
        read: impl Fn(&TableReader<'v>) -> T,
    ) -> Vec<T> {
        let Some(value) = self.value(name) else {
            return Vec::new();
        };
        let items = match value {
            Value::Array(items) => items.as_slice(),
            one => std::slice::from_ref(one),
        };
        let mut taken = Vec::new();
        for (index, item) in items.iter().enumerate() {
            let Some(table) = item.as_object() else {
                self.fault(name, "a table, or a list of tables, is allowed");
                continue;
            };
            let path = match items.len() {
                1 => self.key(name),
                _ => format!("{}[{index}]", self.key(name)),
            };
            let below = TableReader::new(path, table, self.faults);
            taken.push(read(&below));
            below.finish();
        }
        taken
    }

    /// All keys of the table, whatever their names, with their strings.
    pub(super) fn rest<T>(&self, read: impl Fn(&str, &str) -> Option<T>) -> Vec<T> {
        let mut taken = Vec::new();
        for (name, value) in self.table {
            match value.as_str().and_then(|text| read(name, text)) {
                Some(it) => taken.push(it),
                None => self.fault(name, "an exit code from 0 to 255 and a class is allowed"),
            }
        }
        self.whole.set(true);
        taken
    }

    /// Records the keys that were not read.
    pub(super) fn finish(&self) {
        let known = self.known.borrow();
        if self.whole.get() {
            return;
        }
        for name in self.table.keys() {
            if !known.contains(&name.as_str()) {
                self.fault(name, &unknown(name, &known));
            }
        }
    }
}

/// The description of a pointer in faults.
pub(super) const POINTER: &str = "a JSON pointer such as \"/item/text\"";

/// Whether this is a JSON pointer.
pub(super) fn is_pointer(text: &str) -> bool {
    text.is_empty() || text.starts_with('/')
}

/// The sentence for an unknown word, with the most similar known one.
pub(super) fn unknown(name: &str, known: &[&str]) -> String {
    match nearest(name, known.iter().copied()) {
        Some(word) => format!("unknown; did you mean {word}?"),
        None => format!("unknown; known are {}", known.join(", ")),
    }
}
