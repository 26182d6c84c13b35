//! What was found.

use serde::{Serialize, Serializer};

/// How much it matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// As it should be.
    Ok,
    /// Worth knowing; nothing is broken.
    Note,
    /// Something will not work.
    Problem,
}

impl Level {
    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Note => "note",
            Self::Problem => "problem",
        }
    }
}

impl Serialize for Level {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(self.as_str())
    }
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Finding {
    /// The heading that it stands under.
    pub area: &'static str,
    /// What was looked at.
    pub name: String,
    /// How it is.
    pub level: Level,
    /// The same in words.
    pub message: String,
    /// The action.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub advice: Option<String>,
    /// What `--fix` has done about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fixed: Option<String>,
    /// More facts, by name.
    #[serde(skip_serializing_if = "Vec::is_empty", serialize_with = "as_object")]
    pub details: Vec<(&'static str, String)>,
}

fn as_object<S: Serializer>(details: &[(&str, String)], to: S) -> Result<S::Ok, S::Error> {
    to.collect_map(details.iter().map(|(name, value)| (name, value)))
}

impl Finding {
    fn new(area: &'static str, name: impl Into<String>, level: Level, message: String) -> Self {
        Self {
            area,
            name: name.into(),
            level,
            message,
            advice: None,
            fixed: None,
            details: Vec::new(),
        }
    }

    /// As it should be.
    pub fn ok(area: &'static str, name: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(area, name, Level::Ok, message.into())
    }

    /// Worth knowing.
    pub fn note(area: &'static str, name: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(area, name, Level::Note, message.into())
    }

    /// Will not work.
    pub fn problem(
        area: &'static str,
        name: impl Into<String>,
        message: impl Into<String>,
    ) -> Self {
        Self::new(area, name, Level::Problem, message.into())
    }

    /// With what to do about it.
    #[must_use]
    pub fn advise(mut self, advice: impl Into<String>) -> Self {
        self.advice = Some(advice.into());
        self
    }

    /// With one more fact.
    #[must_use]
    pub fn detail(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.details.push((name, value.into()));
        self
    }

    /// Put right: nothing is wrong any more.
    #[must_use]
    pub fn fixed(mut self, what: impl Into<String>) -> Self {
        self.level = Level::Ok;
        self.advice = None;
        self.fixed = Some(what.into());
        self
    }
}
