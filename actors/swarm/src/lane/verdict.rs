//! What the end of a run tells about its account.

use std::time::SystemTime;

use kirosu_providers::{FailureKind as Class, Finished, RunFailure};

use super::standing::{Verdict, Why};

/// Reads the end of a run. `others`: another provider can run in its place, so that one which is missing is left alone
/// for a while; without others the pool looks for a missing program itself.
pub(super) fn of(outcome: &Result<Finished, RunFailure>, others: bool, now: SystemTime) -> Verdict {
    let Err(failure) = outcome else {
        return Verdict::Works;
    };
    match failure.kind {
        Class::RateLimited { until } => Verdict::Parks {
            why: Why::RateLimited,
            wait: until.and_then(|at| at.duration_since(now).ok()),
        },
        Class::AuthRequired => parks(Why::AuthRequired),
        Class::Missing if others => parks(Why::Missing),
        Class::Network => parks(Why::Network),
        // It was asked, and it answered.
        Class::ProviderError | Class::BadInput | Class::RefusedByPolicy => Verdict::Works,
        _ => Verdict::Nothing,
    }
}

fn parks(why: Why) -> Verdict {
    Verdict::Parks { why, wait: None }
}

/// Tokens that count against an account's limit: what providers count, so without what came from a cache.
pub(super) fn tokens(outcome: &Result<Finished, RunFailure>) -> u64 {
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
