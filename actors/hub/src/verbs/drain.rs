//! `drain`: stops leasing until the hub ends.

use super::{Begun, RequestScope, Started};
use crate::writer::messages::GetStats;
use kirosu_protocol::{DrainAnswer, DrainParams};

pub fn begin(_: DrainParams, scope: &mut RequestScope<'_>) -> Begun {
    scope.hub().drain(true);
    let stats = scope.hub().writer().send(GetStats);
    scope.call(stats, |scope, stats| {
        let leased = u64::try_from(stats.leased).unwrap_or(0);
        scope.answer(&DrainAnswer { ok: true, leased });
    });
    Ok(Started::Pending)
}
