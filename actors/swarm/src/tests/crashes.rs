//! Crashes, and the recovery from them.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use kirosu_supervision::Intensity;
use serde_json::json;

use super::kit::{Does, Stub, Swarm, echo, eventually, grant, pool_of, run, task};

#[test]
fn a_crashed_session_comes_back_as_a_new_incarnation_and_its_run_is_ended() {
    run(async {
        let mut swarm = Swarm::start(vec![echo(Duration::from_secs(3600))]);
        swarm.hub.park().await.answer(grant(task(4, 2, "x")));
        eventually("the run is in the tree", || {
            swarm.node("root/pools/p/invocations/4.2").is_some()
        })
        .await;
        swarm.handle.kill_session("p", 1).unwrap();
        let hello = swarm.hub.welcome(&[]).await;
        assert_eq!(
            (hello.session.as_str(), hello.resume),
            ("here:1-b/p/1", false)
        );
        swarm.hub.expect("lease").await;
        eventually("the run has ended", || {
            swarm.lacks("root/pools/p/invocations/4.2")
        })
        .await;
        assert_eq!(
            swarm.hub.ended.load(Ordering::Relaxed),
            1,
            "the old line is closed"
        );
        assert!(!swarm.hub.has("hello"), "and does not come back");
        assert_eq!(swarm.node("root/pools/p/sessions/1").unwrap().restarts, 1);
        let missing = swarm.handle.kill_session("p", 2).unwrap_err();
        assert!(
            missing.message.contains("numbered from 1 to 1"),
            "{missing}"
        );
        swarm.kill().await;
    });
}

#[test]
fn a_provider_that_panics_fails_the_task_and_not_the_session() {
    run(async {
        let pool = pool_of("p", Arc::new(Stub::new(Does::Panics)));
        let mut swarm = Swarm::start(vec![pool]);
        swarm.hub.park().await.answer(grant(task(4, 2, "x")));
        let ack = swarm.hub.expect("ack").await;
        assert_eq!(
            (ack.param("status"), ack.param("class")),
            ("failed", "crashed")
        );
        ack.ok();
        swarm
            .hub
            .expect("lease")
            .await
            .answer(grant(task(5, 1, "y")));
        swarm.hub.expect("ack").await;
        assert_eq!(swarm.node("root/pools/p/sessions/1").unwrap().restarts, 0);
        swarm.kill().await;
    });
}

#[test]
fn a_pool_whose_sessions_crash_too_often_pauses_and_the_others_never_notice() {
    run(async {
        let mut bad = echo(Duration::ZERO);
        bad.intensity = Intensity {
            restarts: 1,
            period: Duration::from_secs(60),
        };
        let mut good = echo(Duration::ZERO);
        good.name = "good".into();
        let mut swarm = Swarm::start(vec![bad, good]);
        swarm.hub.park().await;
        swarm.hub.park().await;
        swarm.handle.kill_session("p", 1).unwrap();
        swarm.hub.park().await;
        swarm.handle.kill_session("p", 1).unwrap();
        let handle = swarm.handle.clone();
        let mut states = Vec::new();
        while states.last().map(String::as_str) != Some("gave_up") {
            tokio::time::sleep(Duration::from_millis(1)).await;
            let pools = handle.pools(Default::default()).await.unwrap().pools;
            states.push(pools[0].state.clone());
            assert_eq!(pools[1].state, "running");
            assert!(states.len() < 1000, "{states:?}");
        }
        swarm.hub.park().await;
        let pools = handle.pools(Default::default()).await.unwrap();
        assert_eq!(json!(pools)["pools"][0]["state"], "running");
        assert_eq!(
            swarm.node("root/pools/good/sessions/1").unwrap().restarts,
            0
        );
        assert_eq!(swarm.node("root/pools/p").unwrap().restarts, 0);
        swarm.kill().await;
    });
}
