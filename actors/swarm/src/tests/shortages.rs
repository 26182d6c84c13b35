//! Runs that could not be started, and answers that could not be checked.

use std::sync::Arc;
use std::time::Duration;

use kirosu_protocol::PoolInfo;
use kirosu_providers::{Containment, FailureKind, RunnerCommand};
use serde_json::json;

use super::kit::{Does, Stub, Swarm, grant, pool_of, run, task};
use crate::{HookOptions, PoolOptions};

async fn info(swarm: &Swarm) -> PoolInfo {
    let answer = swarm.handle.pools(Default::default()).await;
    answer.unwrap().pools.remove(0)
}

/// A pool whose programs other than the provider cannot be started: their runner is missing.
fn unable(stub: Stub) -> PoolOptions {
    let runner = RunnerCommand {
        program: "/nonexistent/runner".into(),
        args: Vec::new(),
    };
    PoolOptions {
        containment: Some(Containment::new(runner, "test")),
        ..pool_of("p", Arc::new(stub))
    }
}

#[test]
fn a_run_that_was_not_started_goes_back_and_one_session_tries_again() {
    run(async {
        let mut pool = pool_of("p", Arc::new(Stub::new(Does::Fails(FailureKind::Shortage))));
        pool.size = 3;
        let mut swarm = Swarm::start(vec![pool]);
        let leases = [
            swarm.hub.park().await,
            swarm.hub.park().await,
            swarm.hub.park().await,
        ];
        for (lease, id) in leases.into_iter().zip(4..) {
            lease.answer(grant(task(id, 1, "x")));
            let release = swarm.hub.expect("release").await;
            assert_eq!(release.params["delay_seconds"], json!(1.0));
            release.ok();
        }
        let seen = info(&swarm).await;
        assert_eq!(seen.state, "short");
        assert!(seen.note.unwrap().starts_with("no; 0 under way"));
        // One leases again, the others wait for its result.
        let lease = swarm.hub.expect("lease").await;
        tokio::time::sleep(Duration::from_secs(5)).await;
        assert!(!swarm.hub.has("lease") && !swarm.hub.has("ack"));
        drop(lease);
        swarm.kill().await;
    });
}

#[test]
fn a_service_that_is_away_parks_its_account_and_costs_nothing() {
    run(async {
        let stub = Stub::new(Does::Fails(FailureKind::Network));
        let mut swarm = Swarm::start(vec![pool_of("p", Arc::new(stub))]);
        swarm.hub.park().await.answer(grant(task(4, 1, "x")));
        let release = swarm.hub.expect("release").await;
        assert_eq!(release.params["delay_seconds"], json!(null));
        release.ok();
        assert_eq!(info(&swarm).await.state, "network");
        let lease = swarm.hub.expect("lease").await;
        assert_eq!(info(&swarm).await.lanes[0].state, "probing");
        drop(lease);
        swarm.kill().await;
    });
}

#[test]
fn an_answer_that_cannot_be_checked_waits_and_is_kept() {
    run(async {
        let pool = PoolOptions {
            accept_commands: true,
            ..unable(Stub::new(Does::ReturnsJob))
        };
        let mut swarm = Swarm::start(vec![pool]);
        let mut wants = task(4, 2, "x");
        wants["accept"] = json!({"command": ["true"]});
        let lease = swarm.hub.park().await;
        let begun = tokio::time::Instant::now();
        lease.answer(grant(wants));
        let ack = swarm.hub.expect("ack").await;
        assert!(begun.elapsed() > Duration::from_secs(29 * 60));
        assert_eq!(ack.param("class"), "missing");
        assert!(ack.param("result").contains("system_prompt"));
        assert!(ack.param("error").starts_with("the answer was not checked"));
        assert_eq!(info(&swarm).await.state, "short");
        ack.ok();
        swarm.kill().await;
    });
}

#[test]
fn hooks_that_cannot_be_started_cost_nothing_before_and_no_answer_after() {
    run(async {
        let before = PoolOptions {
            hooks: HookOptions {
                before: vec!["true".into()],
                ..HookOptions::default()
            },
            ..unable(Stub::new(Does::ReturnsJob))
        };
        let mut swarm = Swarm::start(vec![before.clone()]);
        swarm.hub.park().await.answer(grant(task(4, 1, "x")));
        swarm.hub.expect("release").await.ok();
        swarm.kill().await;

        for must in [false, true] {
            let hooks = HookOptions {
                after: vec!["true".into()],
                after_must_succeed: must,
                ..HookOptions::default()
            };
            let after = PoolOptions {
                hooks,
                ..before.clone()
            };
            let mut swarm = Swarm::start(vec![after]);
            swarm.hub.park().await.answer(grant(task(4, 1, "x")));
            let ack = swarm.hub.expect("ack").await;
            assert_eq!(ack.param("status"), if must { "failed" } else { "done" });
            assert!(ack.param("result").contains("system_prompt"));
            ack.ok();
            swarm.kill().await;
        }
    });
}
