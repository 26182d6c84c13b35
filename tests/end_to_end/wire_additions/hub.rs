//! The hub itself: draining, sockets, limits, figures.

use crate::common::{Hub, PATIENCE, Setup, ids, sentence, until, word};
use serde_json::{Value, json};

#[test]
fn drain_hands_out_nothing_more_and_lets_runs_end() {
    let hub = Hub::start();
    let (mut client, mut worker, mut waiting) = (hub.client(), hub.client(), hub.client());
    let running = client.enqueue("running");
    worker.lease(json!({}));
    let parked = waiting.send("lease", json!({"wait_seconds": 1}));
    waiting.call("stats", json!({}));
    let mut watcher = hub.client();
    watcher.call("watch", json!({"kinds": ["hub"]}));
    assert_eq!(
        client.call("drain", json!({})),
        json!({"ok": true, "leased": 1})
    );
    assert_eq!(watcher.notice("event")["state"], "draining");
    let kept = client.enqueue("kept");
    assert_eq!(worker.call("lease", json!({})), json!({"tasks": []}));
    let answer = worker.call(
        "ack",
        json!({"task_id": running, "status": "done", "lease": {}}),
    );
    assert_eq!((&answer["ok"], ids(&answer)), (&json!(true), vec![]));
    assert_eq!(waiting.result(parked), json!({"tasks": []}));
    assert_eq!(
        (client.status(running), client.status(kept)),
        ("done".into(), "queued".into())
    );
    // Undone by a restart.
    let hub = hub.kill().start();
    assert_eq!(hub.client().lease(json!({}))["task_id"], kept);
}

#[test]
fn a_unix_socket_speaks_the_same_and_outlives_a_crash() {
    use std::io::{BufRead, BufReader, Write};
    use std::os::unix::fs::PermissionsExt;
    use std::os::unix::net::UnixStream;
    let setup = Setup::new();
    let path = setup.directory.path().join("hub.sock");
    let setup = setup.set(&format!("hub.socket={}", path.display()));
    let ask = |line: &str| {
        let mut stream = UnixStream::connect(&path).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.write_all(line.as_bytes()).unwrap();
        let mut answer = String::new();
        BufReader::new(stream).read_line(&mut answer).unwrap();
        serde_json::from_str::<Value>(&answer).unwrap()
    };
    let enqueue = "{\"id\":1,\"method\":\"enqueue\",\"params\":{\"prompt\":\"x\"}}\n";
    let hub = setup.start();
    assert_eq!(ask(enqueue)["result"]["task_id"], 1);
    assert_eq!(hub.client().task(1)["status"], "queued");
    let mode = std::fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600, "for its owner alone");
    // Files of a killed hub do not prevent the start.
    let mut hub = hub.kill().start();
    assert_eq!(ask(enqueue)["result"]["task_id"], 2);
    hub.client().call("shutdown", json!({}));
    assert_eq!(hub.ended().code(), Some(0));
}

#[test]
fn a_full_hub_is_busy_and_says_so() {
    let hub = Hub::with(&[
        "limits.in_flight_total=3",
        "limits.in_flight_per_connection=3",
    ]);
    let (mut first, mut second, mut other) = (hub.client(), hub.client(), hub.client());
    let wait = json!({"queues": ["none"], "wait_seconds": 2});
    let mut parked = vec![first.send("lease", wait.clone())];
    parked.push(first.send("lease", wait.clone()));
    until("both leases wait", || {
        let metrics = other.call("metrics", json!({}));
        let mut gauges = metrics["metrics"].as_array()?.iter();
        gauges
            .any(|gauge| gauge["name"] == "kirosu_waiting_leases" && gauge["value"] == 2.0)
            .then_some(())
    });
    // The third and the one too many over the same connection: only so it is sure which comes first.
    let third = second.send("lease", wait);
    let error = second.refused("enqueue", json!({"prompt": "x"}));
    assert_eq!(word(&error), "busy");
    assert!(sentence(&error).contains("nothing was done"), "{error}");
    for sent in parked {
        first.result(sent);
    }
    second.result(third);
    other.enqueue("there is room again");
}

#[test]
fn a_hub_without_pools_says_so() {
    let hub = Hub::start();
    let mut client = hub.client();
    assert_eq!(client.call("pools", json!({})), json!({"pools": []}));
    let error = client.refused("pools", json!({"resize": {"pool": "a", "size": 3}}));
    assert_eq!(word(&error), "not_found");
    assert!(sentence(&error).contains("kirosu up"), "{error}");
    assert_eq!(
        word(&client.refused("pools", json!({"resize": {"pool": "a", "size": -3}}))),
        "invalid_params"
    );
}

#[test]
fn metrics_count_tasks_by_state_and_queue() {
    let hub = Hub::start();
    let mut client = hub.client();
    client.enqueue_with(json!({"prompt": "x", "queue": "docs"}));
    client.enqueue("y");
    client.lease(json!({}));
    let metrics = client.call("metrics", json!({}))["metrics"].take();
    let value = |name: &str, label: (&str, &str)| {
        let found =
            metrics.as_array().unwrap().iter().find(|m| {
                m["name"] == name && (label.0.is_empty() || m["labels"][label.0] == label.1)
            });
        found.unwrap_or_else(|| panic!("{name} in {metrics}"))["value"]
            .as_f64()
            .unwrap()
    };
    assert_eq!(value("kirosu_tasks", ("state", "queued")), 1.0);
    assert_eq!(value("kirosu_tasks", ("state", "leased")), 1.0);
    assert_eq!(value("kirosu_queue_tasks", ("queue", "docs")), 1.0);
    assert!(
        metrics
            .as_array()
            .unwrap()
            .iter()
            .all(|m| !m["help"].as_str().unwrap().is_empty())
    );
}
