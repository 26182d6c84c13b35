//! A value that must not be printed.

use std::fmt;

use serde::{Deserialize, Serialize, Serializer};

/// What stands wherever a secret would be shown.
pub(crate) const HIDDEN: &str = "***";

/// The hub's key. `Debug`, `Display` and `Serialize` give `***`; only [`Secret::expose`] gives the text,
/// so that every place that handles the real key can be found by that name.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// Wraps a text. An empty text is allowed here; the settings treat it as "no key" before they build a `Secret`.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The secret itself: hand it on, never print it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(HIDDEN)
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(HIDDEN)
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(HIDDEN)
    }
}
