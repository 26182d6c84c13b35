//! The effect of a run's end on its account.

use std::time::SystemTime;

use kirosu_providers::{FailureKind as Class, RunResult};

use super::limiter::{AccountVerdict, ParkReason};

/// Judges the end of a run. `others`: another provider can run in its place, so a missing program parks the account.
/// Without others the pool's probe looks for the program.
pub(super) fn of(outcome: &RunResult, others: bool, now: SystemTime) -> AccountVerdict {
    let Err(failure) = outcome else {
        return AccountVerdict::Works;
    };
    match failure.kind {
        Class::RateLimited { until } => AccountVerdict::Parks {
            why: ParkReason::RateLimited,
            wait: until.and_then(|at| at.duration_since(now).ok()),
        },
        Class::AuthRequired => parks(ParkReason::AuthRequired),
        Class::Missing if others => parks(ParkReason::Missing),
        Class::Network => parks(ParkReason::Network),
        // The provider was reached and answered.
        Class::ProviderError | Class::BadInput | Class::RefusedByPolicy => AccountVerdict::Works,
        _ => AccountVerdict::Nothing,
    }
}

fn parks(why: ParkReason) -> AccountVerdict {
    AccountVerdict::Parks { why, wait: None }
}

/// Tokens that count against an account's limit: as providers count, without tokens read from a cache.
pub(super) fn tokens(outcome: &RunResult) -> u64 {
    let usage = match outcome {
        Ok(finished) => finished.usage.as_ref(),
        Err(failure) => failure.usage.as_ref(),
    };
    usage.map_or(0, |usage| {
        usage
            .input
            .saturating_add(usage.cache_write)
            .saturating_add(usage.output)
            .saturating_add(usage.reasoning)
    })
}
