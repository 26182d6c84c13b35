//! Orderly stops.

use std::time::Duration;

use kirosu_supervision::ExitReason;
use serde_json::json;
use tokio::time::Instant;

use super::kit::{Swarm, echo, grant, run, task};

const HOUR: Duration = Duration::from_secs(3600);

#[test]
fn all_sessions_of_all_pools_drain_side_by_side_and_release() {
    run(async {
        let pool = |name: &str| crate::PoolOptions {
            name: name.into(),
            size: 2,
            ..echo(HOUR)
        };
        let mut swarm = Swarm::start(vec![pool("a"), pool("b")]);
        for id in 1..=4 {
            let lease = swarm.hub.park().await;
            lease.answer(grant(task(id, 1, "x")));
        }
        swarm.hub.expect("heartbeat").await.ok();
        let began = Instant::now();
        let root = swarm.root.clone();
        let stopped = tokio::spawn(async move { root.shutdown().await });
        let mut released = Vec::new();
        for _ in 0..4 {
            let release = swarm.hub.expect("release").await;
            released.push(release.params["task_id"].as_i64().unwrap());
            assert_eq!(release.param("reason"), "the session is stopping");
            release.ok();
        }
        released.sort_unstable();
        assert_eq!(released, [1, 2, 3, 4]);
        assert_eq!(stopped.await.unwrap(), ExitReason::Stopped);
        let took = began.elapsed();
        assert!(
            took >= Duration::from_secs(10),
            "they had their drain: {took:?}"
        );
        assert!(
            took < Duration::from_secs(15),
            "but not one after the other: {took:?}"
        );
        assert!(!swarm.hub.has("ack") && !swarm.hub.has("lease"));
    });
}

#[test]
fn a_second_signal_skips_the_drain() {
    run(async {
        let mut swarm = Swarm::start(vec![echo(HOUR)]);
        swarm.hub.park().await.answer(grant(task(4, 2, "x")));
        swarm.hub.expect("heartbeat").await.ok();
        let began = Instant::now();
        let handle = swarm.handle.clone();
        let drained = tokio::spawn(async move { handle.drain().await });
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert!(!drained.is_finished());
        swarm.handle.stop_now();
        swarm.hub.expect("release").await.ok();
        drained.await.unwrap();
        assert!(
            began.elapsed() < Duration::from_secs(3),
            "{:?}",
            began.elapsed()
        );
        assert_eq!(swarm.root.shutdown().await, ExitReason::Stopped);
    });
}

#[test]
fn a_lease_granted_to_a_leaving_session_goes_back() {
    run(async {
        let mut swarm = Swarm::start(vec![echo(HOUR)]);
        let parked = swarm.hub.park().await;
        let root = swarm.root.clone();
        let stopped = tokio::spawn(async move { root.shutdown().await });
        // The hub granted task 6 at the moment when the connection was closed.
        assert!(swarm.hub.welcome(&[(6, 1)]).await.resume);
        drop(parked);
        let release = swarm.hub.expect("release").await;
        assert_eq!(release.params["task_id"], json!(6));
        release.ok();
        assert_eq!(stopped.await.unwrap(), ExitReason::Stopped);
    });
}

#[test]
fn an_ack_under_way_is_waited_for() {
    run(async {
        let mut swarm = Swarm::start(vec![echo(Duration::ZERO)]);
        swarm.hub.park().await.answer(grant(task(4, 2, "x")));
        let ack = swarm.hub.expect("ack").await;
        let root = swarm.root.clone();
        let stopped = tokio::spawn(async move { root.shutdown().await });
        tokio::time::sleep(Duration::from_secs(2)).await;
        ack.cut();
        swarm.hub.welcome(&[(4, 2)]).await;
        swarm.hub.expect("ack").await.ok();
        assert_eq!(stopped.await.unwrap(), ExitReason::Stopped);
        assert!(!swarm.hub.has("lease"));
    });
}
