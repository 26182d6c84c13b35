//! What is wrong with the settings: everything at once.

use std::fmt;

use crate::origin::Origin;

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq)]
pub struct Fault {
    /// Dotted key, or the file's name when the file as a whole is meant.
    pub key: String,
    /// Where the offending value was written, where that is known.
    pub origin: Option<Origin>,
    /// What is wrong and what is allowed, in one lower-case sentence.
    pub message: String,
}

impl Fault {
    pub(crate) fn new(
        key: impl Into<String>,
        origin: Option<&Origin>,
        message: impl Into<String>,
    ) -> Self {
        Self {
            key: key.into(),
            origin: origin.cloned(),
            message: message.into(),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.origin {
            Some(origin) => write!(f, "{} ({origin}): {}", self.key, self.message),
            None => write!(f, "{}: {}", self.key, self.message),
        }
    }
}

/// All faults of one load, in the order of the layers. `Display` prints each on its own line.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub struct Faults(pub Vec<Fault>);

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, fault) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{fault}")?;
        }
        Ok(())
    }
}
