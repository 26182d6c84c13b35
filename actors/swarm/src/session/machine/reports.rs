//! Reports that the machine creates.

use std::time::Duration;

use kirosu_protocol::task::FailureClass;
use kirosu_protocol::{Ack, HeldLease};

use super::{Action, StrayCause};
use crate::run_end::LeaseReport;

pub(super) const LEAVING: &str = "the session is stopping";
pub(super) const NOT_READY: &str = "the pool takes no tasks now";

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

/// Returns a report that the hub accepts in place of one that it refused: a failure with the reason. `None` if the
/// report is a failure already, so that this happens once.
pub(super) fn substitute(report: &LeaseReport, lease: HeldLease, why: &str) -> Option<LeaseReport> {
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
