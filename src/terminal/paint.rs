//! Colours. Each has one meaning.

use kirosu_protocol::Status;

/// The meaning of a piece of text, which selects its colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Paint {
    /// No meaning: the terminal's default.
    Plain,
    /// A heading.
    Bold,
    /// Less important.
    Dim,
    /// Success.
    Good,
    /// In progress.
    Busy,
    /// Waits for a person, or is restarting.
    Attention,
    /// Failure.
    Bad,
}

impl Paint {
    /// The text, with escape sequences if `colour` is set.
    pub fn on(self, text: &str, colour: bool) -> String {
        match self.code() {
            Some(code) if colour && !text.is_empty() => format!("\x1b[{code}m{text}\x1b[0m"),
            _ => text.to_owned(),
        }
    }

    fn code(self) -> Option<&'static str> {
        match self {
            Paint::Plain => None,
            Paint::Bold => Some("1"),
            Paint::Dim => Some("2"),
            Paint::Good => Some("32"),
            Paint::Busy => Some("36"),
            Paint::Attention => Some("33"),
            Paint::Bad => Some("31"),
        }
    }

    /// The paint of a task's status.
    pub fn of_status(status: Status) -> Paint {
        match status {
            Status::Queued | Status::Blocked | Status::Scheduled => Paint::Plain,
            Status::AwaitingApproval => Paint::Attention,
            Status::Leased => Paint::Busy,
            Status::Done => Paint::Good,
            Status::Failed => Paint::Bad,
            Status::Cancelled => Paint::Dim,
        }
    }

    /// The paint of an actor's or pool's state.
    pub fn of_state(state: &str) -> Paint {
        match state {
            "running" => Paint::Good,
            "starting" | "draining" | "stopping" => Paint::Busy,
            "backing_off" | "paused" | "rate_limited" | "network" | "short" => Paint::Attention,
            "gave_up" | "missing" | "auth_required" | "failing" => Paint::Bad,
            _ => Paint::Plain,
        }
    }
}
