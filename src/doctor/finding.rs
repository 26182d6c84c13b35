//! Findings of the doctor.

use kirosu_protocol::redact::hide_in_text;
use serde::{Serialize, Serializer};

/// The severity of a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// No fault.
    Ok,
    /// Worth knowing; everything works.
    Note,
    /// Something does not work.
    Problem,
}

impl Level {
    /// The name in output.
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

/// The result of one check.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Finding {
    /// The heading under which it is printed.
    pub area: &'static str,
    /// The checked object.
    pub name: String,
    /// Its severity.
    pub level: Level,
    /// The result as text.
    pub message: String,
    /// Advice for the user.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub advice: Option<String>,
    /// The change that `--fix` has made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fixed: Option<String>,
    /// More facts, as names and values.
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

    /// Hides secrets in what programs printed and in command lines.
    pub(super) fn hide_secrets(&mut self) {
        self.message = hide_in_text(&self.message);
        for (_, value) in &mut self.details {
            *value = hide_in_text(value);
        }
    }

    /// A finding without fault.
    pub fn ok(area: &'static str, name: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(area, name, Level::Ok, message.into())
    }

    /// A finding that is worth knowing.
    pub fn note(area: &'static str, name: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(area, name, Level::Note, message.into())
    }

    /// A finding about something that does not work.
    pub fn problem(
        area: &'static str,
        name: impl Into<String>,
        message: impl Into<String>,
    ) -> Self {
        Self::new(area, name, Level::Problem, message.into())
    }

    /// Adds advice for the user.
    #[must_use]
    pub fn advise(mut self, advice: impl Into<String>) -> Self {
        self.advice = Some(advice.into());
        self
    }

    /// Adds a fact.
    #[must_use]
    pub fn detail(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.details.push((name, value.into()));
        self
    }

    /// Records a fix; the finding has no fault any more.
    #[must_use]
    pub fn fixed(mut self, what: impl Into<String>) -> Self {
        self.level = Level::Ok;
        self.advice = None;
        self.fixed = Some(what.into());
        self
    }
}
