//! What a session does next: a pure machine, without clock and without I/O.
//!
//! ```text
//! connecting ──connected──▶ idle (a turn, a lease) ──task──▶ running ──ended──▶ acking ──answered──▶ idle
//!                             │ stop                        │ stop: drain, then cancel and release
//!                             ▼                             ▼
//!                          leaving (was anything granted meanwhile?) ──▶ over
//! ```
//!
//! The actor tells it [`Event`]s and carries out the [`Action`]s it answers, in order. News about a lease that is not
//! the present one change nothing: every answer may come late.

mod reports;
mod words;

use std::time::Duration;

use kirosu_protocol::task::Task;
use kirosu_protocol::verbs::hello::HeldLease;

use crate::lane::Turn;
use reports::{LEAVING, NOT_READY, give_back, held, release, substitute};
pub(crate) use words::{Action, Cause, End, Event, Pulse, Report, Told};

/// Where the session stands.
#[derive(Debug, Clone, PartialEq)]
enum State {
    /// It holds nothing and has asked for nothing.
    Resting,
    /// It waits for a turn to lease.
    Waiting,
    /// A lease is parked.
    Parked,
    /// A run is under way.
    Running {
        lease: HeldLease,
        beating: bool,
        cancelled: Option<Cause>,
    },
    /// The hub is being told how a lease ends.
    Telling { lease: HeldLease, report: Report },
    /// The stop came while a lease was parked.
    Leaving,
    /// It has ended.
    Over,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Machine {
    state: State,
    connected: bool,
    ready: bool,
    pausing: bool,
    stopping: bool,
    overdue: bool,
    /// Leases given back as strays since the last lease was asked for: its answer may still name them.
    strays: Vec<HeldLease>,
}

type Actions = Vec<Action>;

impl Machine {
    /// Not connected, in a pool nobody has looked at.
    pub(crate) fn new() -> Self {
        Self {
            state: State::Resting,
            connected: false,
            ready: false,
            pausing: false,
            stopping: false,
            overdue: false,
            strays: Vec::new(),
        }
    }

    /// The state in one word, for logs.
    pub(crate) fn word(&self) -> &'static str {
        match self.state {
            State::Resting if !self.connected => "connecting",
            State::Resting | State::Waiting | State::Parked => "idle",
            State::Running { .. } => "running",
            State::Telling { .. } => "acking",
            State::Leaving | State::Over => "stopping",
        }
    }

    /// Whether it waits for a turn.
    pub(crate) fn is_waiting(&self) -> bool {
        self.state == State::Waiting
    }

    /// Whether it may use a turn that it has, or is to get one.
    pub(crate) fn is_hunting(&self) -> bool {
        matches!(self.state, State::Waiting | State::Parked)
    }

    /// The lease of the run under way, if one is.
    pub(crate) fn running(&self) -> Option<HeldLease> {
        match &self.state {
            State::Running { lease, .. } => Some(*lease),
            _ => None,
        }
    }

    /// Takes note of what happened, and says what to do.
    pub(crate) fn on(&mut self, event: Event) -> Actions {
        match event {
            Event::Connected(leases) => self.connected(leases),
            Event::Disconnected => self.disconnected(),
            Event::Unreachable => self.unreachable(),
            Event::Ready(ready) => {
                self.ready = ready;
                self.wait_no_more();
                self.go_on()
            }
            Event::Turn(turn) => self.turn(turn),
            Event::Leased(tasks) => self.leased(tasks, None),
            Event::NoRoom(tasks, why, delay) => self.leased(tasks, Some((why, delay))),
            Event::LeaseFailed => self.lease_failed(),
            Event::Rested => {
                self.pausing = false;
                self.go_on()
            }
            Event::BeatDue => self.beat(),
            Event::Beat(lease, pulse) => self.beaten(lease, pulse),
            Event::Revoked(lease, cause) => self.revoke(lease, cause),
            Event::Ended(lease, end) => self.ended(lease, end),
            Event::Told(lease, told) => self.told(lease, told),
            Event::RetellDue(lease) => self.retell(lease),
            Event::Stop => self.stop(),
            Event::Overdue => self.run_over(),
            Event::CheckOverdue => match self.state {
                State::Leaving => self.finish(),
                _ => Vec::new(),
            },
        }
    }

    // --- the connection ---

    fn connected(&mut self, leases: Vec<HeldLease>) -> Actions {
        self.connected = true;
        let own = match &self.state {
            State::Running { lease, .. } | State::Telling { lease, .. } => Some(*lease),
            _ => None,
        };
        let mut strays = leases;
        strays.retain(|lease| Some(*lease) != own);
        self.strays.extend(&strays);
        if self.state == State::Leaving {
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
            State::Running { .. } => actions.extend(self.beat()),
            _ => actions.extend(self.go_on()),
        }
        actions
    }

    fn disconnected(&mut self) -> Actions {
        self.connected = false;
        self.wait_no_more();
        self.end_if_hopeless()
    }

    fn unreachable(&mut self) -> Actions {
        self.connected = false;
        self.wait_no_more();
        match self.state {
            State::Leaving => self.finish(),
            _ => self.end_if_hopeless(),
        }
    }

    /// What cannot be told before the time is over stays untold: the hub finds out by the lease's end.
    fn end_if_hopeless(&mut self) -> Actions {
        let telling = matches!(self.state, State::Telling { .. });
        if self.stopping && self.overdue && telling && !self.connected {
            return self.finish();
        }
        Vec::new()
    }

    // --- leases ---

    /// What a session does that holds nothing.
    fn go_on(&mut self) -> Actions {
        if self.state != State::Resting {
            return Vec::new();
        }
        if self.stopping {
            return self.finish();
        }
        if self.connected && self.ready && !self.pausing {
            self.state = State::Waiting;
            return vec![Action::Queue];
        }
        Vec::new()
    }

    /// Who cannot lease now leaves the line to others.
    fn wait_no_more(&mut self) {
        if self.state == State::Waiting && !(self.connected && self.ready) {
            self.state = State::Resting;
        }
    }

    fn turn(&mut self, turn: Turn) -> Actions {
        if self.state != State::Waiting {
            return Vec::new();
        }
        self.state = State::Parked;
        self.strays.clear();
        vec![Action::Lease(turn)]
    }

    fn rest(&mut self) -> Actions {
        self.state = State::Resting;
        self.go_on()
    }

    fn leased(&mut self, tasks: Vec<Task>, no_room: Option<(String, Duration)>) -> Actions {
        let known = |task: &Task| self.strays.contains(&held(task));
        let mut tasks: Vec<Task> = tasks.into_iter().filter(|task| !known(task)).collect();
        if !matches!(self.state, State::Parked | State::Leaving) {
            return release(tasks.iter().map(held).collect());
        }
        if tasks.is_empty() {
            return match self.state {
                State::Parked => self.rest(),
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
            actions.extend(self.tell(lease, Report::Release { reason, delay }));
        } else {
            self.state = State::Running {
                lease,
                beating: false,
                cancelled: None,
            };
            actions.push(Action::Run(Box::new(first)));
        }
        actions
    }

    fn lease_failed(&mut self) -> Actions {
        if self.state != State::Parked {
            return Vec::new();
        }
        self.pausing = true;
        self.state = State::Resting;
        vec![Action::Pause]
    }

    // --- the run ---

    fn beat(&mut self) -> Actions {
        match &mut self.state {
            State::Running { lease, beating, .. } if !*beating => {
                *beating = true;
                vec![Action::Beat(*lease)]
            }
            _ => Vec::new(),
        }
    }

    fn beaten(&mut self, of: HeldLease, pulse: Pulse) -> Actions {
        match &mut self.state {
            State::Running { lease, beating, .. } if *lease == of => *beating = false,
            _ => return Vec::new(),
        }
        match pulse {
            Pulse::Alive | Pulse::Unknown => Vec::new(),
            Pulse::Cancel => self.revoke(of, Cause::Asked),
            Pulse::Stale => self.revoke(of, Cause::Lost),
        }
    }

    fn revoke(&mut self, of: HeldLease, cause: Cause) -> Actions {
        match &mut self.state {
            State::Running {
                lease, cancelled, ..
            } if *lease == of && cancelled.is_none() => {
                *cancelled = Some(cause);
                vec![Action::Cancel(cause)]
            }
            _ => Vec::new(),
        }
    }

    fn ended(&mut self, of: HeldLease, end: End) -> Actions {
        let State::Running {
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
            (End::Report(report), _) => self.tell(of, report),
            (End::Cancelled(_), Some(Cause::Lost)) => self.rest(),
            (End::Cancelled(_), Some(Cause::Drain)) => self.tell(of, give_back(LEAVING)),
            (End::Cancelled(ack), Some(Cause::Asked) | None) => self.tell(of, Report::Ack(ack)),
        }
    }

    // --- the report ---

    fn tell(&mut self, lease: HeldLease, report: Report) -> Actions {
        let told = report.clone();
        self.state = State::Telling { lease, report };
        let hopeless = self.end_if_hopeless();
        if !hopeless.is_empty() {
            return hopeless;
        }
        vec![Action::Tell(lease, told)]
    }

    fn told(&mut self, of: HeldLease, told: Told) -> Actions {
        let State::Telling { lease, report } = &self.state else {
            return Vec::new();
        };
        if *lease != of {
            return Vec::new();
        }
        match told {
            Told::Answered => self.rest(),
            Told::Unknown => vec![Action::PauseTelling(of)],
            Told::Unfit(why) => match substitute(report, of, &why) {
                Some(report) => self.tell(of, report),
                None => self.rest(),
            },
        }
    }

    fn retell(&mut self, of: HeldLease) -> Actions {
        match &self.state {
            State::Telling { lease, report } if *lease == of => {
                vec![Action::Tell(of, report.clone())]
            }
            _ => Vec::new(),
        }
    }

    // --- the end ---

    fn stop(&mut self) -> Actions {
        if self.stopping {
            return Vec::new();
        }
        self.stopping = true;
        match self.state {
            State::Resting | State::Waiting => self.finish(),
            State::Parked if !self.connected => self.finish(),
            State::Parked => {
                self.state = State::Leaving;
                vec![Action::Check]
            }
            State::Running { .. } | State::Telling { .. } if self.overdue => self.run_over(),
            State::Running { .. } | State::Telling { .. } => vec![Action::StartDrain],
            State::Leaving | State::Over => Vec::new(),
        }
    }

    fn run_over(&mut self) -> Actions {
        self.overdue = true;
        if !self.stopping {
            return Vec::new();
        }
        match self.state {
            State::Running { lease, .. } => self.revoke(lease, Cause::Drain),
            _ => self.end_if_hopeless(),
        }
    }

    fn finish(&mut self) -> Actions {
        self.state = State::Over;
        vec![Action::Finish]
    }
}

#[cfg(test)]
mod tests;
