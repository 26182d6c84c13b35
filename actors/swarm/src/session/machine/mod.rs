//! The decisions of a session: a pure machine, without clock and without I/O.
//!
//! ```text
//! connecting ──connected──▶ idle (a turn, a lease) ──task──▶ running ──ended──▶ acking ──answered──▶ idle
//!                             │ stop                        │ stop: drain, then cancel and release
//!                             ▼                             ▼
//!                          leaving (was a lease granted meanwhile?) ──▶ over
//! ```
//!
//! The actor passes [`SessionEvent`](Event)s and carries out the returned [`SessionAction`](Action)s in order. Events about a lease
//! other than the present one change nothing: every answer may come late.

mod messages;
mod reports;

use std::time::Duration;

use kirosu_protocol::HeldLease;
use kirosu_protocol::task::Task;

use crate::account::LeaseTurn;
use crate::run_end::{CancelCause, LeaseReport, lease_of};
pub(crate) use messages::{
    HeartbeatResult, ReportResult, SessionAction as Action, SessionEvent as Event, StrayCause,
};
use reports::{LEAVING, NOT_READY, give_back, release};

/// The state of a session.
#[derive(Debug, Clone, PartialEq)]
enum SessionState {
    /// It holds no lease and has requested none.
    Resting,
    /// It waits for a turn to lease.
    Waiting,
    /// A lease request is parked.
    Parked,
    /// A run is in progress.
    Running {
        lease: HeldLease,
        heartbeat_sent: bool,
        cancelled: Option<CancelCause>,
    },
    /// The report that ends a lease is being sent.
    Reporting {
        lease: HeldLease,
        report: LeaseReport,
    },
    /// The stop came while a lease request was parked.
    Leaving,
    /// The session has ended.
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
    /// Leases released as strays since the last lease request: its answer may still contain them.
    strays: Vec<HeldLease>,
    /// The last lease's answer could not be read: the next `hello` names the leases that it granted.
    unreadable: bool,
}

impl SessionMachine {
    /// A machine that is not connected, in a pool that was not probed yet.
    pub(crate) fn new() -> Self {
        Self {
            state: SessionState::Resting,
            connected: false,
            ready: false,
            pausing: false,
            stopping: false,
            overdue: false,
            strays: Vec::new(),
            unreadable: false,
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

    /// Whether it waits for a turn or uses one.
    pub(crate) fn is_leasing(&self) -> bool {
        matches!(self.state, SessionState::Waiting | SessionState::Parked)
    }

    /// The lease of the present run.
    pub(crate) fn running(&self) -> Option<HeldLease> {
        match &self.state {
            SessionState::Running { lease, .. } => Some(*lease),
            _ => None,
        }
    }

    /// Takes an event, and returns the actions that follow.
    pub(crate) fn on(&mut self, event: Event) -> Vec<Action> {
        match event {
            Event::Connected(leases) => self.connected(leases),
            Event::Disconnected => self.disconnected(),
            Event::Unreachable => self.unreachable(),
            Event::Ready(ready) => {
                self.ready = ready;
                self.leave_queue();
                self.advance()
            }
            Event::Turn(turn) => self.turn(turn),
            Event::Leased(tasks) => self.leased(tasks, None),
            Event::NoRoom(tasks, why, delay) => self.leased(tasks, Some((why, delay))),
            Event::LeaseFailed => self.lease_failed(),
            Event::LeaseUnreadable => {
                self.unreadable = self.state == SessionState::Parked;
                self.lease_failed()
            }
            Event::PauseOver => {
                self.pausing = false;
                self.advance()
            }
            Event::HeartbeatDue => self.heartbeat(),
            Event::Heartbeat(lease, pulse) => self.heartbeat_answered(lease, pulse),
            Event::Revoked(lease, cause) => self.revoke(lease, cause),
            Event::Ended(lease, end) => self.ended(lease, end),
            Event::Reported(lease, reported) => self.reported(lease, reported),
            Event::ReportDue(lease) => self.resend_report(lease),
            Event::Stop => self.stop(),
            Event::Overdue => self.drain_over(),
            Event::CheckOverdue => match self.state {
                SessionState::Leaving => self.finish(),
                _ => Vec::new(),
            },
        }
    }

    fn connected(&mut self, leases: Vec<HeldLease>) -> Vec<Action> {
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
        let cause = match std::mem::take(&mut self.unreadable) {
            true => StrayCause::Unreadable,
            false => StrayCause::Lost,
        };
        if self.state == SessionState::Leaving {
            // The last release is waited for, as the connection ends with the session.
            let Some(last) = strays.pop() else {
                return self.finish();
            };
            let mut actions = release(strays, cause);
            actions.extend(self.send_report(last, give_back(LEAVING)));
            return actions;
        }
        let mut actions = release(strays, cause);
        match self.state {
            SessionState::Running { .. } => actions.extend(self.heartbeat()),
            _ => actions.extend(self.advance()),
        }
        actions
    }

    fn disconnected(&mut self) -> Vec<Action> {
        self.connected = false;
        self.leave_queue();
        self.finish_if_unreachable()
    }

    fn unreachable(&mut self) -> Vec<Action> {
        self.connected = false;
        self.leave_queue();
        match self.state {
            SessionState::Leaving => self.finish(),
            _ => self.finish_if_unreachable(),
        }
    }

    /// The next step of a session without a lease.
    fn advance(&mut self) -> Vec<Action> {
        if self.state != SessionState::Resting {
            return Vec::new();
        }
        if self.stopping {
            return self.finish();
        }
        if self.connected && self.ready && !self.pausing {
            self.state = SessionState::Waiting;
            return vec![Action::Queue];
        }
        Vec::new()
    }

    /// A session that cannot lease now leaves the queue.
    fn leave_queue(&mut self) {
        if self.state == SessionState::Waiting && !(self.connected && self.ready) {
            self.state = SessionState::Resting;
        }
    }

    fn turn(&mut self, turn: LeaseTurn) -> Vec<Action> {
        if self.state != SessionState::Waiting {
            return Vec::new();
        }
        self.state = SessionState::Parked;
        self.strays.clear();
        vec![Action::Lease(turn)]
    }

    fn rest(&mut self) -> Vec<Action> {
        self.state = SessionState::Resting;
        self.advance()
    }

    fn leased(&mut self, tasks: Vec<Task>, no_room: Option<(String, Duration)>) -> Vec<Action> {
        let known = |task: &Task| self.strays.contains(&lease_of(task));
        let mut tasks: Vec<Task> = tasks.into_iter().filter(|task| !known(task)).collect();
        if !matches!(self.state, SessionState::Parked | SessionState::Leaving) {
            return release(tasks.iter().map(lease_of).collect(), StrayCause::Lost);
        }
        if tasks.is_empty() {
            return match self.state {
                SessionState::Parked => self.rest(),
                _ => Vec::new(),
            };
        }
        let first = tasks.remove(0);
        let lease = lease_of(&first);
        let mut actions = release(tasks.iter().map(lease_of).collect(), StrayCause::Lost);
        if self.stopping {
            actions.extend(self.send_report(lease, give_back(LEAVING)));
        } else if !self.ready {
            actions.extend(self.send_report(lease, give_back(NOT_READY)));
        } else if let Some((reason, delay)) = no_room {
            actions.extend(self.send_report(lease, LeaseReport::Release { reason, delay }));
        } else {
            self.state = SessionState::Running {
                lease,
                heartbeat_sent: false,
                cancelled: None,
            };
            actions.push(Action::Run(Box::new(first)));
        }
        actions
    }

    fn lease_failed(&mut self) -> Vec<Action> {
        if self.state != SessionState::Parked {
            return Vec::new();
        }
        self.pausing = true;
        self.state = SessionState::Resting;
        vec![Action::Pause]
    }

    fn heartbeat(&mut self) -> Vec<Action> {
        match &mut self.state {
            SessionState::Running {
                lease,
                heartbeat_sent,
                ..
            } if !*heartbeat_sent => {
                *heartbeat_sent = true;
                vec![Action::Heartbeat(*lease)]
            }
            _ => Vec::new(),
        }
    }

    fn heartbeat_answered(&mut self, of: HeldLease, pulse: HeartbeatResult) -> Vec<Action> {
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
            HeartbeatResult::Cancel => self.revoke(of, CancelCause::Requested),
            HeartbeatResult::Stale => self.revoke(of, CancelCause::Lost),
        }
    }

    fn revoke(&mut self, of: HeldLease, cause: CancelCause) -> Vec<Action> {
        match &mut self.state {
            SessionState::Running {
                lease, cancelled, ..
            } if *lease == of && cancelled.is_none() => {
                *cancelled = Some(cause);
                vec![Action::Cancel(cause)]
            }
            _ => Vec::new(),
        }
    }

    fn stop(&mut self) -> Vec<Action> {
        if self.stopping {
            return Vec::new();
        }
        self.stopping = true;
        match self.state {
            SessionState::Resting | SessionState::Waiting => self.finish(),
            SessionState::Parked if !self.connected => self.finish(),
            SessionState::Parked => {
                self.state = SessionState::Leaving;
                vec![Action::Check]
            }
            SessionState::Running { .. } | SessionState::Reporting { .. } if self.overdue => {
                self.drain_over()
            }
            SessionState::Running { .. } | SessionState::Reporting { .. } => {
                vec![Action::StartDrain]
            }
            SessionState::Leaving | SessionState::Over => Vec::new(),
        }
    }

    fn drain_over(&mut self) -> Vec<Action> {
        self.overdue = true;
        if !self.stopping {
            return Vec::new();
        }
        match self.state {
            SessionState::Running { lease, .. } => self.revoke(lease, CancelCause::Drain),
            _ => self.finish_if_unreachable(),
        }
    }

    fn finish(&mut self) -> Vec<Action> {
        self.state = SessionState::Over;
        vec![Action::Finish]
    }
}

#[cfg(test)]
mod tests;
