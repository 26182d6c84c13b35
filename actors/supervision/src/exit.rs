//! How an actor ended. One enum for the whole house; restart policy matches on it.

use std::any::Any;
use std::fmt;

use serde::Serialize;

/// How one incarnation of a child ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", content = "detail", rename_all = "snake_case")]
pub enum ExitReason {
    /// It had nothing more to do and stopped by itself.
    Normal,
    /// Its supervisor asked for it, and it stopped in time.
    Stopped,
    /// It reported an error it could not go on with.
    Failed(String),
    /// Its code panicked; the text is the panic's message.
    Panicked(String),
    /// Its future was dropped: no grace was given, or the grace was used up.
    Killed,
    /// A supervisor met more restarts than its intensity allows.
    GaveUp(String),
}

impl ExitReason {
    /// Whether a transient child is restarted after this: everything but `Normal` and `Stopped`.
    pub fn is_abnormal(&self) -> bool {
        !matches!(self, Self::Normal | Self::Stopped)
    }

    /// Turns what `catch_unwind` returned into a reason.
    pub(crate) fn from_panic(payload: Box<dyn Any + Send>) -> Self {
        let message = match payload.downcast::<String>() {
            Ok(text) => *text,
            Err(payload) => match payload.downcast::<&'static str>() {
                Ok(text) => (*text).to_owned(),
                Err(unknown) => {
                    // Its drop is unknown code, and a panic there would escape the supervision.
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
