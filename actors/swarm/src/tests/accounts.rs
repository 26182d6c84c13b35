//! Sessions that wait for a parked account.

use std::sync::Arc;
use std::time::Duration;

use kirosu_providers::FailureKind;

use super::kit::{Does, Stub, Swarm, echo, grant, pool_of, run, task};

#[test]
fn a_session_that_waits_for_a_removed_provider_uses_the_new_one() {
    run(async {
        let stub = Stub::new(Does::Fails(FailureKind::AuthRequired));
        let mut pool = pool_of("p", Arc::new(stub));
        pool.size = 2;
        let mut swarm = Swarm::start(vec![pool]);
        let first = swarm.hub.park().await;
        let second = swarm.hub.park().await;
        first.answer(grant(task(4, 2, "x")));
        let ack = swarm.hub.expect("ack").await;
        assert_eq!(ack.param("class"), "auth_required");
        ack.ok();
        // The lease request was parked before the account was: it goes back, and no session leases again.
        second.answer(grant(task(5, 1, "y")));
        swarm.hub.expect("release").await.ok();
        tokio::time::sleep(Duration::from_secs(3600)).await;
        assert!(!swarm.hub.has("lease"));
        let mut other = echo(Duration::ZERO);
        other.size = 2;
        swarm.handle.reload(vec![other]).await;
        swarm.hub.expect("lease").await;
        swarm.hub.expect("lease").await;
        swarm.kill().await;
    });
}

#[test]
fn a_reload_lets_one_run_find_out_whether_somebody_has_logged_in() {
    run(async {
        let stub = Arc::new(Stub::new(Does::Fails(FailureKind::AuthRequired)));
        let mut pool = pool_of("p", stub);
        pool.size = 2;
        let mut swarm = Swarm::start(vec![pool.clone()]);
        let first = swarm.hub.park().await;
        let second = swarm.hub.park().await;
        first.answer(grant(task(4, 2, "x")));
        swarm.hub.expect("ack").await.ok();
        second.answer(serde_json::json!({"tasks": []}));
        tokio::time::sleep(Duration::from_secs(60)).await;
        assert!(!swarm.hub.has("lease"));
        swarm.handle.reload(vec![pool]).await;
        let lease = swarm.hub.expect("lease").await;
        assert!(!swarm.hub.has("lease"), "one, not two");
        lease.answer(grant(task(5, 1, "y")));
        swarm.hub.expect("ack").await.ok();
        tokio::time::sleep(Duration::from_secs(60)).await;
        assert!(!swarm.hub.has("lease"), "refused again");
        swarm.kill().await;
    });
}
