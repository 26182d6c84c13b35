//! The end of a run, as its invocation passes it to its session.

use std::time::Duration;

use kirosu_protocol::verbs::ack::Ack;

/// How a lease is ended.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum LeaseReport {
    /// The result of the run.
    Ack(Box<Ack>),
    /// The lease goes back without costing an attempt.
    Release {
        /// The reason, for people.
        reason: String,
        /// Time before any session may lease the task again.
        delay: Duration,
    },
}

/// How an invocation ended.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum RunEnd {
    /// With a report for the hub.
    Report(LeaseReport),
    /// By a cancel; the ack is sent if a person asked for the cancel.
    Cancelled(Box<Ack>),
}

/// Why a run is cancelled. The first cause counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CancelCause {
    /// A person asked for it.
    Asked,
    /// Another session has the lease.
    Lost,
    /// The drain is over.
    Drain,
}
