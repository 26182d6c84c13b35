//! What a session does next: a pure machine, without clock and without I/O.
//!
//! ```text
//! connecting ──connected──▶ idle (a turn, a lease) ──task──▶ running ──ended──▶ acking ──answered──▶ idle
//!                             │ stop                        │ stop: drain, then cancel and release
//!                             ▼                             ▼
//!                          leaving (was anything granted meanwhile?) ──▶ over
//! ```
//!
//! The actor tells it [`SessionEvent`]s and carries out the [`SessionAction`]s it answers, in order. News about a lease that is not
//! the present one change nothing: every answer may come late.

mod messages;
mod reports;

use std::time::Duration;

use kirosu_protocol::task::Task;
use kirosu_protocol::verbs::hello::HeldLease;

use crate::account::LeaseTurn;
use crate::run_end::{CancelCause, LeaseReport, RunEnd};
pub(crate) use messages::{HeartbeatResult, ReportResult, SessionAction, SessionEvent};
use reports::{LEAVING, NOT_READY, give_back, held, release, substitute};

/// Where the session stands.
#[derive(Debug, Clone, PartialEq)]
enum SessionState {
    /// It holds nothing and has asked for nothing.
    Resting,
    /// It waits for a turn to lease.
    Waiting,
    /// A lease is parked.
    Parked,
    /// A run is under way.
    Running {
        lease: HeldLease,
        heartbeat_sent: bool,
        cancelled: Option<CancelCause>,
    },
    /// The hub is being told how a lease ends.
    Reporting {
        lease: HeldLease,
        report: LeaseReport,
    },
    /// The stop came while a lease was parked.
    Leaving,
    /// It has ended.
    Over,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct SessionMachine {
    state: SessionState,
    connected: bool,
    ready: bool,
    pausing: bool,
    stopping: bool,
    overdue: bool,
    /// Leases given back as strays since the last lease was asked for: its answer may still name them.
    strays: Vec<HeldLease>,
}

impl SessionMachine {
    /// Not connected, in a pool nobody has looked at.
    pub(crate) fn new() -> Self {
        Self {
            state: SessionState::Resting,
            connected: false,
            ready: false,
            pausing: false,
            stopping: false,
            overdue: false,
            strays: Vec::new(),
        }
    }

    /// The state in one word, for logs.
    pub(crate) fn as_str(&self) -> &'static str {
        match self.state {
            SessionState::Resting if !self.connected => "connecting",
            SessionState::Resting | SessionState::Waiting | SessionState::Parked => "idle",
            SessionState::Running { .. } => "running",
            SessionState::Reporting { .. } => "acking",
            SessionState::Leaving | SessionState::Over => "stopping",
        }
    }

    /// Whether it waits for a turn.
    pub(crate) fn is_waiting(&self) -> bool {
        self.state == SessionState::Waiting
    }

    /// Whether it may use a turn that it has, or is to get one.
    pub(crate) fn is_hunting(&self) -> bool {
        matches!(self.state, SessionState::Waiting | SessionState::Parked)
    }

    /// The lease of the run under way, if one is.
    pub(crate) fn running(&self) -> Option<HeldLease> {
        match &self.state {
            SessionState::Running { lease, .. } => Some(*lease),
            _ => None,
        }
    }

    /// Takes note of what happened, and says what to do.
    pub(crate) fn on(&mut self, event: SessionEvent) -> Vec<SessionAction> {
        match event {
            SessionEvent::Connected(leases) => self.connected(leases),
            SessionEvent::Disconnected => self.disconnected(),
            SessionEvent::Unreachable => self.unreachable(),
            SessionEvent::Ready(ready) => {
                self.ready = ready;
                self.wait_no_more();
                self.go_on()
            }
            SessionEvent::Turn(turn) => self.turn(turn),
            SessionEvent::Leased(tasks) => self.leased(tasks, None),
            SessionEvent::NoRoom(tasks, why, delay) => self.leased(tasks, Some((why, delay))),
            SessionEvent::LeaseFailed => self.lease_failed(),
            SessionEvent::PauseOver => {
                self.pausing = false;
                self.go_on()
            }
            SessionEvent::HeartbeatDue => self.heartbeat(),
            SessionEvent::Heartbeat(lease, pulse) => self.heartbeat_answered(lease, pulse),
            SessionEvent::Revoked(lease, cause) => self.revoke(lease, cause),
            SessionEvent::Ended(lease, end) => self.ended(lease, end),
            SessionEvent::Reported(lease, reported) => self.reported(lease, reported),
            SessionEvent::ReportDue(lease) => self.resend_report(lease),
            SessionEvent::Stop => self.stop(),
            SessionEvent::Overdue => self.run_over(),
            SessionEvent::CheckOverdue => match self.state {
                SessionState::Leaving => self.finish(),
                _ => Vec::new(),
            },
        }
    }

    // --- the connection ---

    fn connected(&mut self, leases: Vec<HeldLease>) -> Vec<SessionAction> {
        self.connected = true;
        let own = match &self.state {
            SessionState::Running { lease, .. } | SessionState::Reporting { lease, .. } => {
                Some(*lease)
            }
            _ => None,
        };
        let mut strays = leases;
        strays.retain(|lease| Some(*lease) != own);
        self.strays.extend(&strays);
        if self.state == SessionState::Leaving {
            // The last one is waited for, as the connection ends with the session.
            let Some(last) = strays.pop() else {
                return self.finish();
            };
            let mut actions = release(strays);
            actions.extend(self.tell(last, give_back(LEAVING)));
            return actions;
        }
        let mut actions = release(strays);
        match self.state {
            SessionState::Running { .. } => actions.extend(self.heartbeat()),
            _ => actions.extend(self.go_on()),
        }
        actions
    }

    fn disconnected(&mut self) -> Vec<SessionAction> {
        self.connected = false;
        self.wait_no_more();
        self.end_if_hopeless()
    }

    fn unreachable(&mut self) -> Vec<SessionAction> {
        self.connected = false;
        self.wait_no_more();
        match self.state {
            SessionState::Leaving => self.finish(),
            _ => self.end_if_hopeless(),
        }
    }

    /// What cannot be told before the time is over stays untold: the hub finds out by the lease's end.
    fn end_if_hopeless(&mut self) -> Vec<SessionAction> {
        let telling = matches!(self.state, SessionState::Reporting { .. });
        if self.stopping && self.overdue && telling && !self.connected {
            return self.finish();
        }
        Vec::new()
    }

    // --- leases ---

    /// What a session does that holds nothing.
    fn go_on(&mut self) -> Vec<SessionAction> {
        if self.state != SessionState::Resting {
            return Vec::new();
        }
        if self.stopping {
            return self.finish();
        }
        if self.connected && self.ready && !self.pausing {
            self.state = SessionState::Waiting;
            return vec![SessionAction::Queue];
        }
        Vec::new()
    }

    /// Who cannot lease now leaves the line to others.
    fn wait_no_more(&mut self) {
        if self.state == SessionState::Waiting && !(self.connected && self.ready) {
            self.state = SessionState::Resting;
        }
    }

    fn turn(&mut self, turn: LeaseTurn) -> Vec<SessionAction> {
        if self.state != SessionState::Waiting {
            return Vec::new();
        }
        self.state = SessionState::Parked;
        self.strays.clear();
        vec![SessionAction::Lease(turn)]
    }

    fn rest(&mut self) -> Vec<SessionAction> {
        self.state = SessionState::Resting;
        self.go_on()
    }

    fn leased(
        &mut self,
        tasks: Vec<Task>,
        no_room: Option<(String, Duration)>,
    ) -> Vec<SessionAction> {
        let known = |task: &Task| self.strays.contains(&held(task));
        let mut tasks: Vec<Task> = tasks.into_iter().filter(|task| !known(task)).collect();
        if !matches!(self.state, SessionState::Parked | SessionState::Leaving) {
            return release(tasks.iter().map(held).collect());
        }
        if tasks.is_empty() {
            return match self.state {
                SessionState::Parked => self.rest(),
                _ => Vec::new(),
            };
        }
        let first = tasks.remove(0);
        let lease = held(&first);
        let mut actions = release(tasks.iter().map(held).collect());
        if self.stopping {
            actions.extend(self.tell(lease, give_back(LEAVING)));
        } else if !self.ready {
            actions.extend(self.tell(lease, give_back(NOT_READY)));
        } else if let Some((reason, delay)) = no_room {
            actions.extend(self.tell(lease, LeaseReport::Release { reason, delay }));
        } else {
            self.state = SessionState::Running {
                lease,
                heartbeat_sent: false,
                cancelled: None,
            };
            actions.push(SessionAction::Run(Box::new(first)));
        }
        actions
    }

    fn lease_failed(&mut self) -> Vec<SessionAction> {
        if self.state != SessionState::Parked {
            return Vec::new();
        }
        self.pausing = true;
        self.state = SessionState::Resting;
        vec![SessionAction::Pause]
    }

    // --- the run ---

    fn heartbeat(&mut self) -> Vec<SessionAction> {
        match &mut self.state {
            SessionState::Running {
                lease,
                heartbeat_sent,
                ..
            } if !*heartbeat_sent => {
                *heartbeat_sent = true;
                vec![SessionAction::Heartbeat(*lease)]
            }
            _ => Vec::new(),
        }
    }

    fn heartbeat_answered(&mut self, of: HeldLease, pulse: HeartbeatResult) -> Vec<SessionAction> {
        match &mut self.state {
            SessionState::Running {
                lease,
                heartbeat_sent,
                ..
            } if *lease == of => *heartbeat_sent = false,
            _ => return Vec::new(),
        }
        match pulse {
            HeartbeatResult::Alive | HeartbeatResult::Unknown => Vec::new(),
            HeartbeatResult::Cancel => self.revoke(of, CancelCause::Asked),
            HeartbeatResult::Stale => self.revoke(of, CancelCause::Lost),
        }
    }

    fn revoke(&mut self, of: HeldLease, cause: CancelCause) -> Vec<SessionAction> {
        match &mut self.state {
            SessionState::Running {
                lease, cancelled, ..
            } if *lease == of && cancelled.is_none() => {
                *cancelled = Some(cause);
                vec![SessionAction::Cancel(cause)]
            }
            _ => Vec::new(),
        }
    }

    fn ended(&mut self, of: HeldLease, end: RunEnd) -> Vec<SessionAction> {
        let SessionState::Running {
            lease, cancelled, ..
        } = self.state
        else {
            return Vec::new();
        };
        if lease != of {
            return Vec::new();
        }
        match (end, cancelled) {
            // A result that came in spite of the cancel may count: the hub decides.
            (RunEnd::Report(report), _) => self.tell(of, report),
            (RunEnd::Cancelled(_), Some(CancelCause::Lost)) => self.rest(),
            (RunEnd::Cancelled(_), Some(CancelCause::Drain)) => self.tell(of, give_back(LEAVING)),
            (RunEnd::Cancelled(ack), Some(CancelCause::Asked) | None) => {
                self.tell(of, LeaseReport::Ack(ack))
            }
        }
    }

    // --- the report ---

    fn tell(&mut self, lease: HeldLease, report: LeaseReport) -> Vec<SessionAction> {
        let reported = report.clone();
        self.state = SessionState::Reporting { lease, report };
        let hopeless = self.end_if_hopeless();
        if !hopeless.is_empty() {
            return hopeless;
        }
        vec![SessionAction::SendReport(lease, reported)]
    }

    fn reported(&mut self, of: HeldLease, reported: ReportResult) -> Vec<SessionAction> {
        let SessionState::Reporting { lease, report } = &self.state else {
            return Vec::new();
        };
        if *lease != of {
            return Vec::new();
        }
        match reported {
            ReportResult::Answered => self.rest(),
            ReportResult::Unknown => vec![SessionAction::PauseReport(of)],
            ReportResult::Unfit(why) => match substitute(report, of, &why) {
                Some(report) => self.tell(of, report),
                None => self.rest(),
            },
        }
    }

    fn resend_report(&mut self, of: HeldLease) -> Vec<SessionAction> {
        match &self.state {
            SessionState::Reporting { lease, report } if *lease == of => {
                vec![SessionAction::SendReport(of, report.clone())]
            }
            _ => Vec::new(),
        }
    }

    // --- the end ---

    fn stop(&mut self) -> Vec<SessionAction> {
        if self.stopping {
            return Vec::new();
        }
        self.stopping = true;
        match self.state {
            SessionState::Resting | SessionState::Waiting => self.finish(),
            SessionState::Parked if !self.connected => self.finish(),
            SessionState::Parked => {
                self.state = SessionState::Leaving;
                vec![SessionAction::Check]
            }
            SessionState::Running { .. } | SessionState::Reporting { .. } if self.overdue => {
                self.run_over()
            }
            SessionState::Running { .. } | SessionState::Reporting { .. } => {
                vec![SessionAction::StartDrain]
            }
            SessionState::Leaving | SessionState::Over => Vec::new(),
        }
    }

    fn run_over(&mut self) -> Vec<SessionAction> {
        self.overdue = true;
        if !self.stopping {
            return Vec::new();
        }
        match self.state {
            SessionState::Running { lease, .. } => self.revoke(lease, CancelCause::Drain),
            _ => self.end_if_hopeless(),
        }
    }

    fn finish(&mut self) -> Vec<SessionAction> {
        self.state = SessionState::Over;
        vec![SessionAction::Finish]
    }
}

#[cfg(test)]
mod tests;
