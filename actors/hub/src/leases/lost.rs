//! Lost leases, for the log.

use kirosu_store::EndedLease;

/// Lines at most; a number tells of the rest.
const LINES: usize = 20;

/// Says which leases were lost, each on a line with its task, session and worker.
pub(crate) fn tell(leases: &[EndedLease], why: &str) {
    for lease in leases.iter().take(LINES) {
        let EndedLease {
            task_id,
            fence,
            worker_id,
            session,
            status,
            ..
        } = lease;
        tracing::warn!(
            task_id,
            fence,
            session,
            worker = worker_id,
            status = status.as_str(),
            "{why}; its lease is lost"
        );
    }
    let rest = leases.len().saturating_sub(LINES);
    if rest > 0 {
        tracing::warn!(leases = rest, "{why}; these leases are lost too");
    }
}
