//! Colours: few, and always with the same meaning.

use kirosu_protocol::Status;

/// What a piece of text is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Paint {
    /// As it is.
    Plain,
    /// Headings.
    Bold,
    /// Of less weight.
    Dim,
    /// Well.
    Good,
    /// At work.
    Busy,
    /// Waits for somebody, or is starting again.
    Attention,
    /// Failed.
    Bad,
}

impl Paint {
    /// The text with this paint's escapes around it, where `colour` is on.
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

    /// For a task's status.
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

    /// For the state of an actor or a pool.
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
