//! Reports to the hub the pools that are down: the targets of notifications learn of them.
//!
//! The state of a pool has several causes (its supervisor, its provider's probe, the accounts), so it is read every two
//! seconds, which costs nothing but memory. A pool is reported once per state, until it runs again.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;
use kirosu_protocol::client::{Client, ClientOptions, Endpoint};
use kirosu_protocol::text::head;
use kirosu_protocol::{NOTIFY_ERROR_BYTES, PoolDownParams, PoolInfo, PoolsParams};
use kirosu_supervision::{BackoffPolicy, ChildContext, ChildSpec, supervised};

use crate::handle::SwarmHandle;

/// Interval between two looks at the pools.
const INTERVAL: Duration = Duration::from_secs(2);
/// The time for an answer of the hub.
const ANSWER: Duration = Duration::from_secs(15);
/// The states of a pool in which a person has to act, or its sessions crash too often.
const DOWN: [&str; 3] = ["gave_up", "auth_required", "missing"];

/// Spec of the reporter of the pools of this process, whose hub is at `hub`.
pub fn down_reports(swarm: &SwarmHandle, hub: &Endpoint, key: Option<String>) -> ChildSpec {
    let (swarm, hub) = (swarm.clone(), hub.clone());
    ChildSpec::simple("pool-reports", move |child: &ChildContext| DownReports {
        swarm: swarm.clone(),
        hub: hub.clone(),
        key: key.clone(),
        child: child.clone(),
    })
}

struct DownReports {
    swarm: SwarmHandle,
    hub: Endpoint,
    key: Option<String>,
    child: ChildContext,
}

supervised!(DownReports);

impl Actor for DownReports {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        let options = ClientOptions {
            key: self.key.clone(),
            delays: Arc::new(|| Box::new(BackoffPolicy::default().delays())),
            request_timeout: ANSWER,
            ..ClientOptions::default()
        };
        let client = Client::start(self.hub.clone(), options);
        let (swarm, child) = (self.swarm.clone(), self.child.clone());
        let run = async move {
            let mut reported = Reported::default();
            loop {
                // Without an answer nothing is known: pools that are still down would be reported again.
                let pools = swarm.pools(PoolsParams::default()).await.ok();
                let changes = pools.map(|it| reported.changes(&it.pools));
                for report in changes.unwrap_or_default() {
                    // The next look tries again.
                    if client.request(&report).await.is_ok() {
                        reported.0.insert(report.pool, report.state);
                        child.handled();
                    }
                }
                tokio::time::sleep(INTERVAL).await;
            }
        };
        ctx.spawn(run.into_actor(self));
    }
}

/// The pools that were reported, with their states.
#[derive(Debug, Default)]
struct Reported(HashMap<String, String>);

impl Reported {
    /// The reports to send. Forgets the pools that are not down.
    fn changes(&mut self, pools: &[PoolInfo]) -> Vec<PoolDownParams> {
        let is_down = |pool: &&PoolInfo| DOWN.contains(&pool.state.as_str());
        let down: Vec<&PoolInfo> = pools.iter().filter(is_down).collect();
        self.0
            .retain(|name, _| down.iter().any(|pool| pool.name == *name));
        let is_new = |pool: &&&PoolInfo| self.0.get(&pool.name) != Some(&pool.state);
        let new = down.iter().filter(is_new);
        new.map(|pool| PoolDownParams {
            pool: pool.name.clone(),
            state: pool.state.clone(),
            note: pool
                .note
                .as_deref()
                .map(|note| head(note, NOTIFY_ERROR_BYTES).to_owned()),
        })
        .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pool_is_reported_once_per_state_until_it_runs_again() {
        let mut reported = Reported::default();
        let mut looks = |state: &str| {
            let pool = PoolInfo {
                name: "a".to_owned(),
                state: state.to_owned(),
                ..PoolInfo::default()
            };
            let changes = reported.changes(&[pool]);
            for report in &changes {
                let state = report.state.clone();
                reported.0.insert(report.pool.clone(), state);
            }
            changes.len()
        };
        let states = [
            ("running", 0),
            ("rate_limited", 0),
            ("missing", 1),
            ("missing", 0),
            ("auth_required", 1),
            ("running", 0),
            ("auth_required", 1),
        ];
        for (state, count) in states {
            assert_eq!(looks(state), count, "{state}");
        }
    }
}
