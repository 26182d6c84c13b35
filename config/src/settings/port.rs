//! The hub's TCP port, or none.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The word in the settings for no TCP port.
pub(crate) const OFF: &str = "off";

/// The hub's TCP port: a number, or the word `off` in the settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "WrittenPort", into = "WrittenPort")]
pub enum HubPort {
    /// No TCP port: the hub listens on its Unix socket only.
    Off,
    /// A port; 0 lets the system choose a free one.
    Number(u16),
}

impl HubPort {
    /// The number. `None` means no TCP port.
    pub fn number(self) -> Option<u16> {
        match self {
            HubPort::Off => None,
            HubPort::Number(number) => Some(number),
        }
    }
}

impl fmt::Display for HubPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            HubPort::Off => f.write_str(OFF),
            HubPort::Number(number) => number.fmt(f),
        }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum WrittenPort {
    Number(u16),
    Word(String),
}

impl TryFrom<WrittenPort> for HubPort {
    type Error = String;

    fn try_from(written: WrittenPort) -> Result<HubPort, String> {
        match written {
            WrittenPort::Number(number) => Ok(HubPort::Number(number)),
            WrittenPort::Word(word) if word == OFF => Ok(HubPort::Off),
            WrittenPort::Word(word) => Err(format!("{word:?} is not a port")),
        }
    }
}

impl From<HubPort> for WrittenPort {
    fn from(port: HubPort) -> WrittenPort {
        match port {
            HubPort::Off => WrittenPort::Word(OFF.to_owned()),
            HubPort::Number(number) => WrittenPort::Number(number),
        }
    }
}
