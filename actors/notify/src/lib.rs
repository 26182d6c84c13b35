//! Notifications: delivers events to webhooks, programs and the desktop.
//!
//! # Theory of operation
//!
//! ```text
//! notify           supervisor, on a thread of its own
//! └── NAME         one actor per target of the settings
//! ```
//!
//! The hub stores an event in the commit of the change that causes it, with a row for each target that wants it. A target's
//! actor is a client of the hub: it asks for the next events (`notify_take`), delivers them one by one in their order, and
//! reports each delivery, which deletes the row. So an event is delivered at least once, also after a crash; each delivery
//! has the event's id. An event that cannot be delivered is tried again until it can be, or until the hub drops it as too
//! old; later events wait behind it.
//!
//! `machine` decides what to do next, without I/O and with the time as a parameter; `target` carries it out. `webhook`,
//! `program` and `desktop` deliver. `sign` computes the signature of the Standard Webhooks specification.

mod body;
mod check;
mod desktop;
mod machine;
mod options;
mod program;
mod sign;
mod specs;
mod target;
mod webhook;

pub use check::examine;
pub use options::{Address, NotifyOptions, TargetOptions, Way};
pub use specs::{NotifyHandle, specs};
pub use webhook::check_address;

/// Why an event was not delivered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{why}")]
pub(crate) struct DeliveryFailure {
    /// A sentence for a person. It has no secrets.
    pub why: String,
    /// The time before which the receiver wants no further request.
    pub retry_after: Option<std::time::Duration>,
    /// Whether the receiver wants no further request at all.
    pub is_final: bool,
}

impl DeliveryFailure {
    pub(crate) fn new(why: impl Into<String>) -> DeliveryFailure {
        DeliveryFailure {
            why: why.into(),
            retry_after: None,
            is_final: false,
        }
    }
}
