//! Faults of settings. A load reports all of them at once.

use std::fmt;

use kirosu_protocol::text::write_lines;

use crate::origin::Origin;

/// Key of the fault that the user has not trusted the file.
const UNTRUSTED: &str = "untrusted file";

/// One fault.
#[derive(Debug, Clone, PartialEq)]
pub struct ConfigFault {
    /// Dotted key, or a word for the file as a whole.
    pub key: String,
    /// Place of the faulty value. `None` means that the value is not written anywhere.
    pub origin: Option<Origin>,
    /// The fault and the allowed values, in one sentence that starts in lower case.
    pub message: String,
}

impl ConfigFault {
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

impl ConfigFault {
    /// The fault that the user has not trusted the file of the working directory.
    pub(crate) fn untrusted(message: String) -> Self {
        Self::new(UNTRUSTED, None, message)
    }

    /// Whether the only fault is that the user has not trusted the file.
    pub fn is_untrusted(&self) -> bool {
        self.key == UNTRUSTED
    }
}

impl fmt::Display for ConfigFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.origin {
            Some(origin) => write!(f, "{} ({origin}): {}", self.key, self.message),
            None => write!(f, "{}: {}", self.key, self.message),
        }
    }
}

/// All faults of one load, in the order of the layers. `Display` writes one per line.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub struct ConfigFaults(pub Vec<ConfigFault>);

impl fmt::Display for ConfigFaults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_lines(f, &self.0)
    }
}
