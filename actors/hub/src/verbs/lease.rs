//! `lease`: hands out tasks, now or when some become ready.

use super::{Begun, Command, Outcome, RequestScope, Started, refuse_unexpected};
use kirosu_protocol::task::TYPE_PYTHON;
use kirosu_protocol::{LeaseAnswer, LeaseParams};

pub fn begin(params: LeaseParams, scope: &mut RequestScope<'_>) -> Begun {
    if params.wait_ms > 0 {
        scope.check_may_wait()?;
    }
    Ok(Started::Submit(command(params, scope), finish))
}

/// The command for a lease, which the store may park if the request may wait.
pub(super) fn command(mut params: LeaseParams, scope: &mut RequestScope<'_>) -> Command {
    let default_ms = scope.limits().lease_ms_default;
    params.lease_ms.get_or_insert(default_ms);
    // Also tasks from a time at which the hub accepted them.
    if !scope.hub().options().trust_all_tools {
        params.exclude_types.push(TYPE_PYTHON.to_owned());
    }
    let park = scope.allow_park(params.wait_ms);
    let session = scope.session().map(|session| session.to_string());
    Command::Lease {
        ask: params,
        session,
        park,
        spent: 0,
    }
}

fn finish(outcome: Outcome, scope: &mut RequestScope<'_>) {
    match outcome {
        Outcome::Leased(tasks) => scope.answer_leases(tasks, |tasks| LeaseAnswer { tasks }),
        Outcome::Parked => scope.park(),
        // The request was taken out of the store: its wait is over.
        Outcome::Ok => scope.answer(&LeaseAnswer { tasks: Vec::new() }),
        outcome => refuse_unexpected(&outcome, scope),
    }
}
