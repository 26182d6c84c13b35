//! Reasons for the end of an actor. All restart rules match on this one enum.

use std::any::Any;
use std::fmt;

use serde::Serialize;

/// How one incarnation of a child ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", content = "detail", rename_all = "snake_case")]
pub enum ExitReason {
    /// It finished its work and stopped by itself.
    Normal,
    /// Its supervisor ordered it to stop, and it stopped within its grace.
    Stopped,
    /// It reported an error after which it could not continue. The text describes the error.
    Failed(String),
    /// Its code panicked. The text is the panic's message.
    Panicked(String),
    /// Its future was dropped: it had no grace, or the grace was over.
    Killed,
    /// A supervisor counted more restarts than its intensity allows. The text says how many.
    GaveUp(String),
}

impl ExitReason {
    /// Whether a transient child is restarted after this: everything but `Normal` and `Stopped`.
    pub fn is_abnormal(&self) -> bool {
        !matches!(self, Self::Normal | Self::Stopped)
    }

    /// Converts the payload of a caught panic into a reason.
    pub(crate) fn from_panic(payload: Box<dyn Any + Send>) -> Self {
        let message = match payload.downcast::<String>() {
            Ok(text) => *text,
            Err(payload) => match payload.downcast::<&'static str>() {
                Ok(text) => (*text).to_owned(),
                Err(unknown) => {
                    // Its `Drop` is unknown code, and a panic there would not be caught.
                    std::mem::forget(unknown);
                    "a panic without a text".to_owned()
                }
            },
        };
        Self::Panicked(message)
    }
}

impl fmt::Display for ExitReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Normal => f.write_str("normal"),
            Self::Stopped => f.write_str("stopped"),
            Self::Failed(why) => write!(f, "failed: {why}"),
            Self::Panicked(message) => write!(f, "panicked: {message}"),
            Self::Killed => f.write_str("killed"),
            Self::GaveUp(why) => write!(f, "gave up: {why}"),
        }
    }
}
