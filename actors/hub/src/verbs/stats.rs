//! `stats`: the counters of the hub.

use super::{Begun, Command, Outcome, RequestScope, Started, refuse_unexpected};
use kirosu_protocol::{StatsAnswer, StatsParams};

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
