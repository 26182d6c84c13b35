//! The events that the session machine takes, and the actions that it returns.

use std::time::Duration;

use kirosu_protocol::HeldLease;
use kirosu_protocol::task::Task;

use crate::account::LeaseTurn;
use crate::run_end::{CancelCause, LeaseReport, RunEnd};

/// The result of a heartbeat.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum HeartbeatResult {
    /// The lease was extended.
    Alive,
    /// The lease is valid, and a person cancelled the run.
    Cancel,
    /// Another session holds the lease, or the task has ended.
    Stale,
    /// No answer, or one that does not concern the lease.
    Unknown,
}

/// The result of sending an ack or a release.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ReportResult {
    /// The hub has answered: it took the report, or no longer wants it.
    Answered,
    /// Unknown: the report has to be sent again.
    Unknown,
    /// The run has asked to wait for the children of its task, so it is not done.
    WaitsChildren,
    /// The hub never takes the report in this form; the text is the hub's reason.
    Unfit(String),
}

/// Why the session does not know a lease that the hub granted it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StrayCause {
    /// The answer was lost.
    Lost,
    /// The answer cannot be read.
    Unreadable,
}

/// An event, to be passed to the machine in order.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum SessionEvent {
    /// A connection is open; the hub believes that the session holds these leases.
    Connected(Vec<HeldLease>),
    /// The connection broke.
    Disconnected,
    /// An attempt to connect failed.
    Unreachable,
    /// Whether the pool takes tasks.
    Ready(bool),
    /// The admission queue gave this session a turn.
    Turn(LeaseTurn),
    /// The answer to a lease request; empty when no task came in time.
    Leased(Vec<Task>),
    /// The leased tasks cannot run, because the provider's account is full or parked. With the reason for people, and the
    /// delay before any session may lease the tasks again.
    NoRoom(Vec<Task>, String, Duration),
    /// A lease request was refused or had no answer.
    LeaseFailed,
    /// The answer to a lease request cannot be read. The actor has broken the connection.
    LeaseUnreadable,
    /// The pause after a failed lease request is over.
    PauseOver,
    /// The next heartbeat is due.
    HeartbeatDue,
    /// The result of a heartbeat for this lease.
    Heartbeat(HeldLease, HeartbeatResult),
    /// The hub requires the end of this lease's run.
    Revoked(HeldLease, CancelCause),
    /// The invocation of this lease ended.
    Ended(HeldLease, RunEnd),
    /// The result of the report about this lease.
    Reported(HeldLease, ReportResult),
    /// The pause before the report is sent again is over.
    ReportDue(HeldLease),
    /// The supervisor stops the session.
    Stop,
    /// The drain is over, or skipped.
    Overdue,
    /// The hub did not report in time which leases it granted while the session was leaving.
    CheckOverdue,
}

/// An action for the actor.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum SessionAction {
    /// Request a turn from the admission queue; [`SessionEvent::Turn`] follows.
    Queue,
    /// Send a lease request.
    Lease(LeaseTurn),
    /// Wait, then pass [`SessionEvent::PauseOver`].
    Pause,
    /// Start the invocation of this task, and the heartbeats.
    Run(Box<Task>),
    /// Send a heartbeat.
    Heartbeat(HeldLease),
    /// Cancel the invocation.
    Cancel(CancelCause),
    /// Send the hub the report that ends the lease.
    SendReport(HeldLease, LeaseReport),
    /// Wait, then pass [`SessionEvent::ReportDue`].
    PauseReport(HeldLease),
    /// Release a lease that the session does not know. The answer is not waited for.
    ReleaseStray(HeldLease, StrayCause),
    /// Start the timer that passes [`SessionEvent::Overdue`].
    StartDrain,
    /// Connect again, so that the hub withdraws a parked lease request and `hello` reports the leases it granted; pass
    /// [`SessionEvent::CheckOverdue`] after a time limit.
    Check,
    /// End: the session has no work left.
    Finish,
}
