//! Reports that end leases: which ones the machine sends, and until when.

use std::time::Duration;

use kirosu_protocol::task::FailureClass;
use kirosu_protocol::{Ack, AckStatus, HeldLease};

use super::{Action, ReportResult, SessionMachine, SessionState, StrayCause};
use crate::invocation::children::WAITS_CHILDREN;
use crate::run_end::{CancelCause, LeaseReport, RunEnd};

pub(super) const LEAVING: &str = "the session is stopping";
pub(super) const NOT_READY: &str = "the pool takes no tasks now";

impl SessionMachine {
    pub(super) fn ended(&mut self, of: HeldLease, end: RunEnd) -> Vec<Action> {
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
            (RunEnd::Report(report), _) => self.send_report(of, report),
            (RunEnd::Cancelled(_), Some(CancelCause::Lost)) => self.rest(),
            (RunEnd::Cancelled(_), Some(CancelCause::Drain)) => {
                self.send_report(of, give_back(LEAVING))
            }
            (RunEnd::Cancelled(ack), Some(CancelCause::Requested) | None) => {
                self.send_report(of, LeaseReport::Ack(ack))
            }
        }
    }

    pub(super) fn send_report(&mut self, lease: HeldLease, report: LeaseReport) -> Vec<Action> {
        let reported = report.clone();
        self.state = SessionState::Reporting { lease, report };
        let finished = self.finish_if_unreachable();
        if !finished.is_empty() {
            return finished;
        }
        vec![Action::SendReport(lease, reported)]
    }

    pub(super) fn reported(&mut self, of: HeldLease, reported: ReportResult) -> Vec<Action> {
        let SessionState::Reporting { lease, report } = &self.state else {
            return Vec::new();
        };
        if *lease != of {
            return Vec::new();
        }
        match reported {
            ReportResult::Answered => self.rest(),
            ReportResult::Unknown => vec![Action::PauseReport(of)],
            ReportResult::WaitsChildren => match parked(report, of) {
                Some(report) => self.send_report(of, report),
                None => self.rest(),
            },
            ReportResult::Unfit(why) => match substitute(report, of, &why) {
                Some(report) => self.send_report(of, report),
                None => self.rest(),
            },
        }
    }

    pub(super) fn resend_report(&mut self, of: HeldLease) -> Vec<Action> {
        match &self.state {
            SessionState::Reporting { lease, report } if *lease == of => {
                vec![Action::SendReport(of, report.clone())]
            }
            _ => Vec::new(),
        }
    }

    /// A report that cannot be sent before the drain is over is dropped: the hub learns of it when the lease expires.
    pub(super) fn finish_if_unreachable(&mut self) -> Vec<Action> {
        let is_reporting = matches!(self.state, SessionState::Reporting { .. });
        if self.stopping && self.overdue && is_reporting && !self.connected {
            return self.finish();
        }
        Vec::new()
    }
}

pub(super) fn give_back(reason: &str) -> LeaseReport {
    LeaseReport::Release {
        reason: reason.to_owned(),
        delay: Duration::ZERO,
    }
}

pub(super) fn release(leases: Vec<HeldLease>, cause: StrayCause) -> Vec<Action> {
    leases
        .into_iter()
        .map(|lease| Action::ReleaseStray(lease, cause))
        .collect()
}

/// Returns the report that a run waits for children, in place of one that it is done. `None` if the report is no such one, so that
/// this happens once.
fn parked(report: &LeaseReport, lease: HeldLease) -> Option<LeaseReport> {
    match report {
        LeaseReport::Ack(ack) if ack.status == AckStatus::Done => {
            let class = FailureClass::Parked;
            let failed = Ack::failed(lease.task_id, Some(lease.fence), class, WAITS_CHILDREN);
            Some(LeaseReport::Ack(Box::new(Ack {
                usage: ack.usage.clone(),
                provider: ack.provider.clone(),
                conversation: ack.conversation.clone(),
                ..failed
            })))
        }
        _ => None,
    }
}

/// Returns a report that the hub accepts in place of one that it refused: a failure with the reason. `None` if the
/// report is a failure already, so that this happens once.
fn substitute(report: &LeaseReport, lease: HeldLease, why: &str) -> Option<LeaseReport> {
    match report {
        LeaseReport::Ack(ack) if ack.result.is_some() => {
            let why = format!("the run ended well, but the hub does not take its result: {why}");
            let class = FailureClass::ProviderError;
            let mut failed = Ack::failed(lease.task_id, Some(lease.fence), class, why);
            failed.usage.clone_from(&ack.usage);
            failed.provider.clone_from(&ack.provider);
            Some(LeaseReport::Ack(Box::new(failed)))
        }
        _ => None,
    }
}
