//! The machine's words: what it is told, and what it says is to be done.

use std::time::Duration;

use kirosu_protocol::task::Task;
use kirosu_protocol::verbs::ack::Ack;
use kirosu_protocol::verbs::hello::HeldLease;

use crate::lane::Turn;

/// How a lease is given up.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Report {
    /// The run ended; the hub is told how.
    Ack(Box<Ack>),
    /// It costs no attempt.
    Release {
        /// Why, for people.
        reason: String,
        /// How long nobody shall lease the task again.
        delay: Duration,
    },
}

/// How an invocation ended.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum End {
    /// With something to report.
    Report(Report),
    /// It was cancelled; the ack for the case that somebody wanted just that.
    Cancelled(Box<Ack>),
}

/// Why a run is to end before its time. The first cause counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cause {
    /// Somebody asked for it.
    Asked,
    /// The lease is another's.
    Lost,
    /// The drain is over.
    Drain,
}

/// What a heartbeat brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pulse {
    /// The lease holds.
    Alive,
    /// It holds, and somebody asked to cancel the run.
    Cancel,
    /// It is another's.
    Stale,
    /// No answer, or one that says nothing about the lease.
    Unknown,
}

/// What became of an ack or a release.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Told {
    /// The hub has answered: taken, or no longer wanted.
    Answered,
    /// Nobody knows; it is to be sent again.
    Unknown,
    /// The hub will never take it in this form; the text says why.
    Unfit(String),
}

/// Events in their order.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Event {
    /// A connection stands; the hub believes that the session holds these leases.
    Connected(Vec<HeldLease>),
    /// The connection broke.
    Disconnected,
    /// An attempt to connect failed.
    Unreachable,
    /// Whether the pool takes tasks.
    Ready(bool),
    /// The lanes of the provider have a turn for this session.
    Turn(Turn),
    /// The answer to a lease; empty when nothing came in time.
    Leased(Vec<Task>),
    /// What was leased cannot run: the provider's account is full or parked. The text says so for people; the time is
    /// how long nobody else should try either.
    NoRoom(Vec<Task>, String, Duration),
    /// A lease without an answer, or refused.
    LeaseFailed,
    /// The pause after a failed lease is over.
    Rested,
    /// The lease should be extended.
    BeatDue,
    /// What a heartbeat for this lease brought.
    Beat(HeldLease, Pulse),
    /// The hub wants this lease's run ended.
    Revoked(HeldLease, Cause),
    /// The invocation of this lease ended.
    Ended(HeldLease, End),
    /// What became of the report about this lease.
    Told(HeldLease, Told),
    /// The pause before the report is sent again is over.
    RetellDue(HeldLease),
    /// The supervisor asks for a stop.
    Stop,
    /// The drain is over, or skipped.
    Overdue,
    /// The hub has not said in time what it granted while the session was leaving.
    CheckOverdue,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Action {
    /// Ask the lanes of the provider for a turn, which is told by [`Event::Turn`].
    Queue,
    /// Park a lease.
    Lease(Turn),
    /// Wait a little, then tell [`Event::Rested`].
    Pause,
    /// Start the invocation of this task, and the heartbeats.
    Run(Box<Task>),
    /// Send a heartbeat.
    Beat(HeldLease),
    /// End the invocation before its time.
    Cancel(Cause),
    /// Tell the hub how the lease ends.
    Tell(HeldLease, Report),
    /// Wait a little, then tell [`Event::RetellDue`].
    PauseTelling(HeldLease),
    /// Give back a lease that the session does not know; nobody waits for the answer.
    ReleaseStray(HeldLease),
    /// Start the time after which [`Event::Overdue`] is told.
    StartDrain,
    /// Connect anew, so that a parked lease is withdrawn and `hello` says what was granted; then tell
    /// [`Event::CheckOverdue`] if nothing comes.
    Check,
    /// Nothing is left to do: end.
    Finish,
}
