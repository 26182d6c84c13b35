//! The end of a run, as its invocation passes it to its session.

use std::time::Duration;

use kirosu_protocol::task::Task;
use kirosu_protocol::{Ack, HeldLease};

/// Returns the lease under which a session got a task.
pub(crate) fn lease_of(task: &Task) -> HeldLease {
    HeldLease {
        task_id: task.task_id,
        fence: task.fence,
    }
}

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

impl RunEnd {
    /// A run that ended with this ack.
    pub(crate) fn ack(ack: Ack) -> Self {
        Self::Report(LeaseReport::Ack(Box::new(ack)))
    }

    /// A run that did not begin: its lease goes back, and no session may lease the task again before `delay`.
    pub(crate) fn release(reason: impl Into<String>, delay: Duration) -> Self {
        let reason = reason.into();
        Self::Report(LeaseReport::Release { reason, delay })
    }

    /// The ack, if the run began.
    pub(crate) fn ack_mut(&mut self) -> Option<&mut Ack> {
        match self {
            Self::Report(LeaseReport::Ack(ack)) | Self::Cancelled(ack) => Some(ack),
            Self::Report(LeaseReport::Release { .. }) => None,
        }
    }
}

/// Why a run is cancelled. The first cause counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CancelCause {
    /// A person asked for it.
    Requested,
    /// Another session has the lease.
    Lost,
    /// The drain is over.
    Drain,
}
