//! Pools that grow, shrink, are added and removed.

use std::time::Duration;

use kirosu_protocol::{PoolsParams, Resize};
use serde_json::json;

use super::kit::{Swarm, echo, eventually, grant, run, task};

fn to(size: u32) -> PoolsParams {
    let pool = "p".to_owned();
    PoolsParams {
        resize: Some(Resize { pool, size }),
        ..PoolsParams::default()
    }
}

#[test]
fn grows_at_once_and_shrinks_when_the_running_tasks_have_ended() {
    run(async {
        let mut swarm = Swarm::start(vec![echo(Duration::from_secs(5))]);
        swarm.hub.park().await;
        let answer = swarm.handle.pools(to(3)).await.unwrap();
        assert_eq!(answer.pools[0].size, 3);
        swarm.hub.welcome(&[]).await;
        swarm.hub.welcome(&[]).await;
        for _ in 0..2 {
            let lease = swarm.hub.expect("lease").await;
            let id = 10 + i64::try_from(lease.connection).unwrap();
            lease.answer(grant(task(id, 1, "x")));
        }
        eventually("both run", || {
            let runs = swarm.node("root/pools/p/invocations");
            runs.is_some_and(|runs| runs.children.len() == 2)
        })
        .await;
        let answer = swarm.handle.pools(to(1)).await.unwrap();
        assert_eq!((answer.pools[0].size, answer.pools[0].busy), (1, 2));
        for _ in 0..2 {
            let ack = swarm.hub.expect("ack").await;
            assert_eq!(
                ack.param("status"),
                "done",
                "the drain is longer than the run"
            );
            ack.ok();
        }
        eventually("the highest sessions are gone", || {
            swarm.lacks("root/pools/p/sessions/2") && swarm.lacks("root/pools/p/sessions/3")
        })
        .await;
        // The same numbers are used again.
        swarm.handle.pools(to(2)).await.unwrap();
        let hello = swarm.hub.welcome(&[]).await;
        assert_eq!(
            (hello.session.as_str(), hello.resume),
            ("here:1-b/p/2", false)
        );
        let unknown = PoolsParams {
            resize: Some(Resize::default()),
            ..PoolsParams::default()
        };
        let error = swarm.handle.pools(unknown).await.unwrap_err();
        assert_eq!(error.message, "no pool is named ''; there are: p");
        swarm.kill().await;
    });
}

#[test]
fn a_reload_adds_changes_and_removes() {
    run(async {
        let named = |name: &str| crate::PoolOptions {
            name: name.into(),
            ..echo(Duration::from_secs(3))
        };
        let mut swarm = Swarm::start(vec![named("a"), named("b")]);
        let first = swarm.hub.park().await;
        let second = swarm.hub.park().await;
        let (a, b) = match first.param("worker_id") {
            "a-1@here" => (first, second),
            _ => (second, first),
        };
        a.answer(grant(task(4, 2, "x")));
        b.answer(json!({"tasks": []}));
        swarm.hub.expect("lease").await.answer(json!({"tasks": []}));
        let mut changed = named("b");
        changed.queues = vec!["slow".into()];
        changed.size = 2;
        let handle = swarm.handle.clone();
        let reload = tokio::spawn(async move { handle.reload(vec![named("c"), changed]).await });
        let ack = swarm.hub.expect("ack").await;
        assert_eq!(
            ack.params["task_id"],
            json!(4),
            "the run of the removed pool has its drain"
        );
        ack.ok();
        swarm.hub.welcome(&[]).await;
        swarm.hub.welcome(&[]).await;
        let done = reload.await.unwrap();
        assert_eq!(
            (done.added, done.removed),
            (vec!["c".to_owned()], vec!["a".to_owned()])
        );
        assert_eq!(done.kept, ["b"]);
        assert!(swarm.lacks("root/pools/a"));
        let answer = swarm.handle.pools(PoolsParams::default()).await.unwrap();
        let names: Vec<_> = answer
            .pools
            .iter()
            .map(|p| (p.name.as_str(), p.size))
            .collect();
        assert_eq!(names, [("c", 1), ("b", 2)]);
        let mut slow = 0;
        for _ in 0..4 {
            let lease = swarm.hub.expect("lease").await;
            slow += u32::from(lease.params["queues"][0] == "slow");
            lease.answer(json!({"tasks": []}));
        }
        assert!(slow > 0, "the new queues are asked for");
        swarm.kill().await;
    });
}
