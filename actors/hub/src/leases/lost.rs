//! Log lines about lost leases.

use kirosu_store::EndedLease;

/// The largest number of leases that are logged one by one.
const LINES: usize = 20;

/// Logs lost leases: one line per lease with its task, session and worker, and one line that counts the rest.
pub(crate) fn log(leases: &[EndedLease], why: &str) {
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
