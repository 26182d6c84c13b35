//! Leases of many tasks, which the writer carries out in parts: events between the parts.

use crate::support::{TestClient, TestHub};
use kirosu_supervision::testkit;
use serde_json::{Value, json};
use std::time::Duration;

/// Tasks of one lease.
const MANY: usize = 1000;
const WORKERS: usize = 6;

async fn enqueue(client: &mut TestClient, count: usize) {
    let tasks = vec![json!({"prompt": "x"}); count];
    client.call("enqueue_batch", json!({"tasks": tasks})).await;
}

async fn stats(client: &mut TestClient) -> Value {
    client.call("stats", json!({})).await["stats"].take()
}

/// Waits until this number of tasks is leased.
async fn until_leased(client: &mut TestClient, count: usize) {
    for _ in 0..1000 {
        if stats(client).await["leased"] == count {
            return;
        }
        // By the test's clock.
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    panic!("{} instead of {count}", stats(client).await["leased"]);
}

fn ids(answer: &Value) -> Vec<i64> {
    let tasks = answer["tasks"].as_array().unwrap().iter();
    tasks
        .map(|task| task["task_id"].as_i64().unwrap())
        .collect()
}

/// Workers that have sent a lease of very many tasks each. There are enough for all.
async fn leasing(hub: &TestHub, wait_seconds: u32) -> Vec<TestClient> {
    let mut client = hub.client().await;
    enqueue(&mut client, WORKERS * MANY).await;
    let mut workers = Vec::new();
    for session in 0..WORKERS {
        let session = session.to_string();
        let mut worker = hub.client().await;
        let hello = json!({"name": session, "session_id": session});
        worker.call("hello", hello).await;
        workers.push(worker);
    }
    // Their parts take turns.
    for worker in &mut workers {
        let lease = json!({"max_tasks": MANY, "wait_seconds": wait_seconds});
        worker.send("lease", lease).await;
    }
    workers
}

/// The leases that a session has.
async fn held(hub: &TestHub, session: usize) -> Vec<i64> {
    let hello = json!({"session_id": session.to_string()});
    let hello = hub.client().await.call("hello", hello).await;
    let leases = hello["leases"].as_array().unwrap().iter();
    leases
        .map(|lease| lease["task_id"].as_i64().unwrap())
        .collect()
}

#[test]
fn tasks_that_are_cancelled_between_the_parts_are_left_out_or_their_holder_is_notified() {
    testkit::run(async {
        let directory = tempfile::tempdir().unwrap();
        let hub = TestHub::start(directory.path());
        let mut client = hub.client().await;
        let mut workers = leasing(&hub, 0).await;
        let cancelled: Vec<i64> = (1..=(WORKERS * MANY) as i64).step_by(100).collect();
        // Half of them between the first parts, the others one after the other, until after the last part.
        for task in cancelled.iter().step_by(2) {
            client.send("cancel", json!({"task_id": task})).await;
        }
        for _ in cancelled.iter().step_by(2) {
            client.answer().await;
        }
        for task in cancelled.iter().skip(1).step_by(2) {
            client.call("cancel", json!({"task_id": task})).await;
        }
        let mut answered = Vec::new();
        for (session, worker) in workers.iter_mut().enumerate() {
            let (over, live): (Vec<i64>, Vec<i64>) = ids(&worker.answer().await)
                .into_iter()
                .partition(|id| cancelled.contains(id));
            for _ in &over {
                let notice = worker.read().await;
                assert_eq!(notice["method"], "cancel", "{notice}");
                let task = notice["params"]["task_id"].as_i64().unwrap();
                assert!(over.contains(&task), "{task}");
            }
            assert_eq!(held(&hub, session).await, live);
            answered.extend(live);
            answered.extend(over);
        }
        answered.sort_unstable();
        let count = answered.len();
        answered.dedup();
        assert_eq!(answered.len(), count, "each task is with one of them");
        let is_left_out = |task: &&i64| answered.binary_search(task).is_err();
        let left_out = cancelled.iter().filter(is_left_out).count();
        assert_eq!(count, WORKERS * MANY - left_out);
        assert!((1..cancelled.len()).contains(&left_out), "{left_out}");
        drop((client, workers));
        hub.root.shutdown().await;
    });
}

#[test]
fn a_session_that_moves_between_the_parts_keeps_all_leases_or_none() {
    testkit::run(async {
        let directory = tempfile::tempdir().unwrap();
        let hub = TestHub::start(directory.path());
        let mut client = hub.client().await;
        let mut workers = leasing(&hub, 0).await;
        let moved = held(&hub, 3).await;
        let rest = workers.remove(3).rest().await;
        let answered = rest.lines().next().map_or(vec![], |line| {
            ids(&serde_json::from_str::<Value>(line).unwrap()["result"])
        });
        assert_eq!(moved, answered);
        let mut kept = moved.len();
        for worker in &mut workers {
            kept += ids(&worker.answer().await).len();
        }
        until_leased(&mut client, kept).await;
        assert!(kept >= (WORKERS - 1) * MANY, "{kept}");
        drop((client, workers));
        hub.root.shutdown().await;
    });
}

#[test]
fn a_drain_between_the_parts_ends_a_lease_with_the_tasks_so_far() {
    testkit::run(async {
        let directory = tempfile::tempdir().unwrap();
        let hub = TestHub::start(directory.path());
        let mut client = hub.client().await;
        let mut workers = leasing(&hub, 60).await;
        // A change that is answered when the first parts are committed.
        client.call("pause", json!({"queue": "other"})).await;
        client.call("drain", json!({})).await;
        let (mut leased, mut cut) = (0, 0);
        for worker in &mut workers {
            let count = ids(&worker.answer().await).len();
            leased += count;
            cut += usize::from((1..MANY).contains(&count));
        }
        assert_eq!(stats(&mut client).await["leased"], leased);
        assert!(cut > 0, "{leased}");
        drop((client, workers));
        hub.root.shutdown().await;
    });
}
