//! `stats`: the counters of the hub.

use super::{Begun, Started, refuse_unexpected};
use crate::connection::RequestScope;
use kirosu_protocol::verbs::stats::{StatsAnswer, StatsParams};
use kirosu_store::{Command, Outcome};

pub fn begin(_: StatsParams, _: &mut RequestScope<'_>) -> Begun {
    Ok(Started::Submit(Command::Stats, finish))
}

fn finish(outcome: Outcome, scope: &mut RequestScope<'_>) {
    match outcome {
        Outcome::Stats(mut stats) => {
            stats.draining = scope.hub().is_draining();
            scope.answer(&StatsAnswer { stats });
        }
        outcome => refuse_unexpected(&outcome, scope),
    }
}
