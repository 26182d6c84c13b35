//! `metrics`: the measurements of the hub.

use super::{Begun, RequestScope, Started, StoreQuery};
use crate::hub::Hub;
use crate::measure::{self, Measured, MetricFacts};
use crate::readers::QueryReply;
use crate::sessions::CountSessions;
use crate::writer::messages::GetMetrics;
use actix::MailboxError;
use kirosu_protocol::{MetricsParams, PoolInfo};
use kirosu_store::{Oldest, TargetRow};
use kirosu_supervision::Tree;
use std::sync::atomic::Ordering;

/// Facts that other actors know.
struct Collected {
    measured: Box<Measured>,
    /// The numbers of known and of connected sessions.
    sessions: (usize, usize),
    oldest: Vec<Oldest>,
    pools: Vec<PoolInfo>,
    targets: Vec<TargetRow>,
}

pub fn begin(_: MetricsParams, scope: &mut RequestScope<'_>) -> Begun {
    let collected = collect(scope.hub().clone());
    scope.call(collected, finish);
    Ok(Started::Pending)
}

async fn collect(hub: Hub) -> Result<Collected, MailboxError> {
    let oldest = match hub.readers().query(StoreQuery::Oldest).await? {
        Ok(QueryReply::Oldest(oldest)) => oldest,
        Ok(_) => Vec::new(),
        Err(error) => {
            tracing::warn!(%error, "the ages of the oldest tasks are not among the metrics");
            Vec::new()
        }
    };
    let targets = match hub.readers().query(StoreQuery::NotifyTargets).await? {
        Ok(QueryReply::Targets(targets)) => targets,
        Ok(_) => Vec::new(),
        Err(error) => {
            tracing::warn!(%error, "the targets of notifications are not among the metrics");
            Vec::new()
        }
    };
    Ok(Collected {
        targets,
        measured: hub.writer().send(GetMetrics).await?,
        sessions: hub.sessions().send(CountSessions).await?,
        oldest,
        pools: hub.wait_context().await.pools,
    })
}

fn finish(scope: &mut RequestScope<'_>, collected: Collected) {
    let hub = scope.hub();
    let answer = measure::answer(&MetricFacts {
        measured: *collected.measured,
        oldest: collected.oldest,
        pools: collected.pools,
        targets: collected.targets,
        restarts: hub.tree().map(Tree::restarts).unwrap_or_default(),
        sessions: collected.sessions,
        connections: hub.open_connections(),
        unread: hub.unread(),
        wrong_keys: hub.wrong_keys(),
        in_flight: hub.in_flight().load(Ordering::Relaxed),
        memory: hub.memory(),
        draining: hub.is_draining(),
        now_ms: scope.now_ms(),
    });
    scope.answer(&answer);
}
