//! Identifiers of children.

use std::fmt;
use std::sync::Arc;

use serde::{Serialize, Serializer};

/// Name of a child, unique among its siblings. A number costs no allocation, which matters for
/// the many children of a dynamic supervisor.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ChildId {
    /// A number, shown in decimal.
    Number(u64),
    /// A name without `/`, which separates the parts of a path.
    Name(Arc<str>),
}

impl fmt::Display for ChildId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => number.fmt(f),
            Self::Name(name) => f.write_str(name),
        }
    }
}

impl ChildId {
    /// Whether `name`, one part of a path, is this identifier.
    pub(crate) fn is(&self, name: &str) -> bool {
        match self {
            Self::Number(number) => name.parse() == Ok(*number),
            Self::Name(own) => **own == *name,
        }
    }
}

impl Serialize for ChildId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl From<u64> for ChildId {
    fn from(number: u64) -> Self {
        Self::Number(number)
    }
}

impl From<&str> for ChildId {
    fn from(name: &str) -> Self {
        Self::Name(name.into())
    }
}

impl From<String> for ChildId {
    fn from(name: String) -> Self {
        Self::Name(name.into())
    }
}

impl From<&String> for ChildId {
    fn from(name: &String) -> Self {
        Self::Name(name.as_str().into())
    }
}

impl From<ChildId> for String {
    fn from(id: ChildId) -> Self {
        id.to_string()
    }
}

/// Serializes a shared string; serde's own implementation needs its feature `rc`.
pub(crate) fn text<S: Serializer>(text: &Arc<str>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(text)
}

/// As [`text`], for an optional string.
pub(crate) fn maybe_text<S: Serializer>(
    text: &Option<Arc<str>>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    text.as_deref().serialize(serializer)
}
