//! Leases over a connection: parked, acknowledged, given back.

use crate::support::TestHub;
use kirosu_supervision::testkit;
use serde_json::json;

/// Longer than the tasks that a connection serializes itself.
const HEAVY_BYTES: usize = 300 << 10;

#[test]
fn a_parked_lease_gets_a_task_that_a_reader_serializes() {
    testkit::run(async {
        let directory = tempfile::tempdir().unwrap();
        let hub = TestHub::start(directory.path());
        let (mut worker, mut client) = (hub.client().await, hub.client().await);
        let lease = json!({"worker_id": "w", "wait_seconds": 30});
        worker.send("lease", lease).await;
        let prompt = "x".repeat(HEAVY_BYTES);
        client.call("enqueue", json!({"prompt": prompt})).await;
        let leased = worker.answer().await;
        let task = &leased["tasks"][0];
        assert_eq!(task["prompt"].as_str().unwrap().len(), HEAVY_BYTES);
        let ack = json!({"task_id": 1, "status": "done", "result": "r"});
        assert_eq!(worker.call("ack", ack).await["ok"], true);
        assert_eq!(client.status().await, "done");
        drop((worker, client));
        hub.root.shutdown().await;
    });
}

#[test]
fn a_lease_whose_time_is_over_gets_no_task_and_leaves_the_queue() {
    testkit::run(async {
        let directory = tempfile::tempdir().unwrap();
        let hub = TestHub::start(directory.path());
        let mut worker = hub.client().await;
        let lease = json!({"worker_id": "w", "wait_seconds": 5});
        let leased = worker.call("lease", lease).await;
        assert_eq!(leased["tasks"], json!([]));
        worker.call("enqueue", json!({"prompt": "x"})).await;
        assert_eq!(worker.status().await, "queued");
        drop(worker);
        hub.root.shutdown().await;
    });
}

#[test]
fn a_refused_ack_leases_nothing() {
    testkit::run(async {
        let directory = tempfile::tempdir().unwrap();
        let hub = TestHub::start(directory.path());
        let mut worker = hub.client().await;
        worker.call("enqueue", json!({"prompt": "x"})).await;
        let lease = json!({"worker_id": "w"});
        let ack = json!({"task_id": 99, "status": "done", "result": "r", "lease": lease});
        worker.send("ack", ack).await;
        let refused = worker.refusal().await;
        assert_eq!(refused["data"]["code"], "unknown_task", "{refused}");
        assert_eq!(worker.status().await, "queued");
        drop(worker);
        hub.root.shutdown().await;
    });
}
