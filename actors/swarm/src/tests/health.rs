//! Providers that are missing, limited or not trusted.

use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::time::{Duration, SystemTime};

use kirosu_protocol::PoolInfo;
use kirosu_providers::FailureKind;
use serde_json::json;

use super::kit::{Does, Stub, Swarm, echo, grant, pool_of, run, task};

async fn info(swarm: &Swarm) -> PoolInfo {
    let answer = swarm.handle.pools(Default::default()).await;
    answer.unwrap().pools.remove(0)
}

#[test]
fn a_missing_provider_takes_no_tasks_until_it_is_found() {
    run(async {
        let stub = Stub {
            missing: AtomicU32::new(2),
            ..Stub::new(Does::ReturnsJob)
        };
        let mut swarm = Swarm::start(vec![pool_of("p", Arc::new(stub))]);
        swarm.hub.welcome(&[]).await;
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert!(!swarm.hub.has("lease"));
        let seen = info(&swarm).await;
        assert_eq!(seen.state, "missing");
        assert_eq!(seen.note.as_deref(), Some("provider 'stub': install it"));
        swarm.hub.expect("lease").await;
        assert_eq!(info(&swarm).await.state, "running");
        swarm.kill().await;
    });
}

#[test]
fn a_provider_that_goes_missing_burns_no_task() {
    run(async {
        let stub = Stub::new(Does::Fails(FailureKind::Missing));
        let mut pool = pool_of("p", Arc::new(stub));
        pool.size = 2;
        let mut swarm = Swarm::start(vec![pool]);
        let first = swarm.hub.park().await;
        let second = swarm.hub.park().await;
        first.answer(grant(task(4, 2, "x")));
        let release = swarm.hub.expect("release").await;
        assert_eq!(release.params["delay_seconds"], json!(3.0));
        release.ok();
        assert_eq!(info(&swarm).await.state, "missing");
        // The lease request was parked before: the task is released at once and does not run.
        second.answer(grant(task(5, 1, "y")));
        let release = swarm.hub.expect("release").await;
        assert_eq!(release.params["delay_seconds"], json!(null));
        release.ok();
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert!(!swarm.hub.has("lease") && !swarm.hub.has("ack"));
        swarm.kill().await;
    });
}

#[test]
fn a_rate_limit_parks_the_pool_and_reports_its_end() {
    run(async {
        let until = Some(SystemTime::now() + Duration::from_secs(600));
        let stub = Stub::new(Does::Fails(FailureKind::RateLimited { until }));
        let mut swarm = Swarm::start(vec![pool_of("p", Arc::new(stub))]);
        swarm.hub.park().await.answer(grant(task(4, 2, "x")));
        let ack = swarm.hub.expect("ack").await;
        assert_eq!(ack.param("class"), "rate_limited");
        assert!(ack.params["retry_at"].as_f64().unwrap() > 1e9);
        ack.ok();
        tokio::time::sleep(Duration::from_secs(500)).await;
        assert!(!swarm.hub.has("lease"));
        assert_eq!(info(&swarm).await.state, "rate_limited");
        swarm.hub.expect("lease").await;
        swarm.kill().await;
    });
}

#[test]
fn code_of_tasks_runs_only_where_the_pool_has_opted_in() {
    run(async {
        let python = |name| Stub {
            name,
            dangerous: true,
            ..Stub::new(Does::ReturnsJob)
        };
        let mut untrusted = echo(Duration::ZERO);
        untrusted.python = Some(Arc::new(python("python")));
        let mut code = task(4, 2, "print(1)");
        code["type"] = json!("python");
        let mut swarm = Swarm::start(vec![untrusted.clone()]);
        swarm.hub.park().await.answer(grant(code.clone()));
        let ack = swarm.hub.expect("ack").await;
        assert_eq!(ack.param("class"), "refused_by_policy");
        assert!(ack.param("error").contains("trust_all_tools = true"));
        swarm.kill().await;

        let trusted = crate::PoolOptions {
            trust_all_tools: true,
            ..untrusted
        };
        let mut swarm = Swarm::start(vec![trusted]);
        let lease = swarm.hub.park().await;
        assert_eq!(lease.params["exclude_types"], json!(["human"]));
        lease.answer(grant(code));
        assert_eq!(swarm.hub.expect("ack").await.param("status"), "done");
        swarm.kill().await;

        let swarm = Swarm::start(vec![pool_of("p", Arc::new(python("bare")))]);
        let handle = swarm.handle.clone();
        let blocked = async {
            while handle.pools(Default::default()).await.unwrap().pools[0].state != "not_trusted" {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        let waited = tokio::time::timeout(Duration::from_secs(60), blocked).await;
        assert!(waited.is_ok());
        swarm.kill().await;
    });
}
