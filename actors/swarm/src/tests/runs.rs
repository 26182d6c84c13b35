//! From lease to ack, with a hub whose connection breaks.

use std::time::Duration;

use kirosu_protocol::ErrorCode;
use serde_json::json;

use super::kit::{Swarm, echo, grant, run, task};

const HOUR: Duration = Duration::from_secs(3600);

#[test]
fn leases_runs_streams_and_acks() {
    run(async {
        let mut pool = echo(Duration::ZERO);
        pool.queues = vec!["fast".into()];
        let mut swarm = Swarm::start(vec![pool]);
        let hello = swarm.hub.welcome(&[]).await;
        assert_eq!(
            (hello.session.as_str(), hello.resume),
            ("here:1-b/p/1", false)
        );
        let lease = swarm.hub.expect("lease").await;
        assert_eq!(lease.param("worker_id"), "p-1@here");
        // The queue with the name of the pool belongs to it in any case.
        assert_eq!(lease.params["queues"], json!(["fast", "p"]));
        assert_eq!(lease.params["exclude_types"], json!(["human", "python"]));
        assert_eq!(lease.params["lease_seconds"], json!(30.0));
        lease.answer(grant(task(4, 2, "hi there")));
        let output = swarm.hub.expect("output").await;
        assert_eq!(
            output.params,
            json!({"task_id": 4, "fence": 2, "chunk": 0, "text": "hi there"})
        );
        output.ok();
        let ack = swarm.hub.expect("ack").await;
        let expected = json!({"task_id": 4, "fence": 2, "status": "done", "result": "hi there", "provider": "echo", "pool": "p"});
        assert_eq!(ack.params, expected);
        ack.ok();
        let again = swarm.hub.expect("lease").await;
        again.answer(json!({"tasks": []}));
        swarm.hub.expect("lease").await;
        assert_eq!(swarm.node("root/pools/p/sessions/1").unwrap().handled, 1);
        swarm.kill().await;
    });
}

#[test]
fn an_ack_is_sent_again_until_it_is_answered() {
    run(async {
        let mut swarm = Swarm::start(vec![echo(Duration::ZERO)]);
        swarm.hub.park().await.answer(grant(task(4, 2, "x")));
        swarm.hub.expect("ack").await.cut();
        let hello = swarm.hub.welcome(&[(4, 2)]).await;
        assert!(hello.resume, "a reconnect is no new incarnation");
        swarm.hub.expect("ack").await.refuse(ErrorCode::Busy);
        swarm.hub.expect("ack").await.cut();
        let hello = swarm.hub.welcome(&[]).await;
        assert!(hello.resume && hello.connection == 2);
        let ack = swarm.hub.expect("ack").await;
        assert_eq!(ack.params["fence"], json!(2));
        ack.refuse(ErrorCode::StaleLease);
        swarm.hub.expect("lease").await;
        assert!(!swarm.hub.has("release"));
        swarm.kill().await;
    });
}

#[test]
fn a_run_outlives_a_break_and_output_keeps_its_numbers() {
    run(async {
        let mut swarm = Swarm::start(vec![echo(Duration::from_secs(40))]);
        swarm.hub.park().await.answer(grant(task(4, 2, "x")));
        // Breaks in the run, at the first heartbeat.
        swarm.hub.expect("heartbeat").await.cut();
        assert!(swarm.hub.welcome(&[(4, 2)]).await.resume);
        let beat = swarm.hub.expect("heartbeat").await;
        assert_eq!(beat.params["lease_seconds"], json!(30.0));
        beat.answer(json!({"ok": true, "leased_until": 0.0}));
        // Breaks again while output is being sent.
        swarm.hub.expect("output").await.cut();
        swarm.hub.welcome(&[(4, 2)]).await;
        let output = swarm.hub.expect("output").await;
        assert_eq!(
            output.params["chunk"],
            json!(0),
            "the same piece, the same number"
        );
        output.ok();
        let ack = swarm.hub.expect("ack").await;
        assert_eq!(ack.param("status"), "done");
        swarm.kill().await;
    });
}

#[test]
fn the_output_of_a_run_that_ended_without_the_hub_is_not_lost() {
    run(async {
        let mut swarm = Swarm::start(vec![echo(Duration::from_secs(40))]);
        swarm.hub.park().await.answer(grant(task(4, 2, "x")));
        swarm.hub.expect("heartbeat").await.cut();
        // No connection is accepted until long after the run has ended.
        let shut = tokio::time::Instant::now() + Duration::from_secs(60);
        while tokio::time::Instant::now() < shut {
            swarm.hub.expect("hello").await.cut();
        }
        swarm.hub.welcome(&[(4, 2)]).await;
        let output = swarm.hub.expect("output").await;
        assert_eq!(output.param("text"), "x");
        assert!(!swarm.hub.has("ack"));
        output.ok();
        assert_eq!(swarm.hub.expect("ack").await.param("status"), "done");
        swarm.kill().await;
    });
}

#[test]
fn a_cancel_ends_the_run_and_is_acked() {
    run(async {
        let mut swarm = Swarm::start(vec![echo(HOUR)]);
        let lease = swarm.hub.park().await;
        lease.notify("cancel", json!({"task_id": 4, "fence": 1}));
        lease.answer(grant(task(4, 2, "x")));
        let beat = swarm.hub.expect("heartbeat").await;
        assert_eq!(
            swarm.handle.pools(Default::default()).await.unwrap().pools[0].busy,
            1
        );
        beat.notify(
            "cancel",
            json!({"task_id": 4, "fence": 2, "reason": "enough"}),
        );
        let ack = swarm.hub.expect("ack").await;
        assert_eq!(
            (ack.param("status"), ack.param("class")),
            ("failed", "cancelled")
        );
        ack.refuse(ErrorCode::StaleLease);
        swarm.hub.expect("lease").await;
        swarm.kill().await;
    });
}

#[test]
fn a_lost_lease_ends_the_run_without_an_ack() {
    run(async {
        let mut swarm = Swarm::start(vec![echo(HOUR)]);
        swarm.hub.park().await.answer(grant(task(4, 2, "x")));
        let beat = swarm.hub.expect("heartbeat").await;
        beat.refuse(ErrorCode::StaleLease);
        swarm
            .hub
            .expect("lease")
            .await
            .answer(grant(task(5, 1, "y")));
        let beat = swarm.hub.expect("heartbeat").await;
        beat.notify(
            "lease_lost",
            json!({"task_id": 5, "fence": 1, "reason": "taken"}),
        );
        swarm.hub.expect("lease").await;
        assert!(!swarm.hub.has("ack"));
        swarm.kill().await;
    });
}

#[test]
fn a_lease_whose_answer_was_lost_goes_back() {
    run(async {
        let mut swarm = Swarm::start(vec![echo(Duration::ZERO)]);
        swarm.hub.park().await.cut();
        swarm.hub.welcome(&[(9, 3)]).await;
        let release = swarm.hub.expect("release").await;
        assert_eq!(
            (&release.params["task_id"], &release.params["fence"]),
            (&json!(9), &json!(3))
        );
        release.ok();
        swarm.hub.expect("lease").await;
        swarm.kill().await;
    });
}

#[test]
fn a_lease_that_cannot_be_read_goes_back_at_once() {
    run(async {
        let mut swarm = Swarm::start(vec![echo(Duration::ZERO)]);
        let lease = swarm.hub.park().await;
        lease.answer(json!({"tasks": [{"task_id": 5, "fence": 3}]}));
        // The hub still believes that the session holds the lease.
        assert!(swarm.hub.welcome(&[(5, 3)]).await.resume);
        let release = swarm.hub.expect("release").await;
        assert_eq!(
            (&release.params["task_id"], &release.params["fence"]),
            (&json!(5), &json!(3))
        );
        assert_eq!(
            release.param("reason"),
            "the session cannot read this lease"
        );
        assert_eq!(release.params["delay_seconds"], json!(60.0));
        release.ok();
        swarm
            .hub
            .expect("lease")
            .await
            .answer(grant(task(6, 1, "x")));
        swarm.hub.expect("ack").await.ok();
        swarm.kill().await;
    });
}
