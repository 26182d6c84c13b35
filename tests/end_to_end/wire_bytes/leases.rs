//! Leases among many others, and holders that give their names.

use crate::common::{Client, Hub, ids, until, word};
use crate::wire_bytes::figure;
use serde_json::{Value, json};
use std::time::Duration;

#[test]
fn a_lease_costs_the_same_beside_many_different_ones_that_wait() {
    let hub = Hub::start();
    let mut client = hub.client();
    let mut waiting: Vec<Client> = (0..3).map(|_| hub.client()).collect();
    // Processor time, which neighbours do not change.
    let cost = |client: &mut Client| {
        let before = hub.processor_time();
        for _ in 0..300 {
            client.call("lease", json!({"queues": ["none"]}));
        }
        hub.processor_time() - before
    };
    let mut park = |from: usize, to: usize| {
        for number in from..to {
            let queues = json!([format!("inbox-{number}"), "common"]);
            // So that there are such pairs of queue and type.
            let params = json!({"queues": queues, "wait_seconds": 600});
            waiting[number % 3].send("lease", params);
        }
    };
    let inboxes: Vec<Value> = (0..2400)
        .map(|n| json!({"prompt": "x", "queue": format!("inbox-{n}")}))
        .collect();
    client.call("enqueue_batch", json!({"tasks": inboxes}));
    for _ in 0..3 {
        let queues: Vec<String> = (0..2400).map(|n| format!("inbox-{n}")).collect();
        let leased = client.call("lease", json!({"queues": queues, "max_tasks": 1000}));
        let acks: Vec<Value> = ids(&leased)
            .iter()
            .map(|id| json!({"task_id": id, "status": "done"}))
            .collect();
        if !acks.is_empty() {
            client.call("ack", json!({"acks": acks}));
        }
    }
    park(0, 600);
    let few = cost(&mut client);
    park(600, 2400);
    until("all wait", || {
        (figure(&mut client, "kirosu_waiting_leases") == 2400.0).then_some(())
    });
    let many = cost(&mut client);
    assert!(
        many < few * 4 + Duration::from_millis(60),
        "300 leases took {many:?} beside 2400, {few:?} beside 600"
    );
    // A worker that waits for its own queue gets its task; of those that wait for a common queue, the first one does.
    client.enqueue_with(json!({"prompt": "mine", "queue": "inbox-1201"}));
    assert_eq!(
        waiting[1201 % 3].read()["result"]["tasks"][0]["queue"],
        "inbox-1201"
    );
    client.enqueue_with(json!({"prompt": "for the first", "queue": "common"}));
    assert_eq!(waiting[0].read()["id"], 1);
}

#[test]
fn a_holder_who_names_itself_or_no_fence_is_found_by_the_writer() {
    let hub = Hub::start();
    let (mut client, mut other) = (hub.client(), hub.client());
    let id = client.enqueue("x");
    client.lease(json!({"worker_id": "w"}));
    for params in [
        json!({"task_id": id}),
        json!({"task_id": id, "worker_id": "w"}),
        json!({"task_id": id, "worker_id": "w", "fence": 1}),
    ] {
        assert_eq!(other.call("heartbeat", params.clone())["ok"], true);
        let mut output = params.clone();
        output["text"] = json!("said");
        other.call("output", output);
        let mut progress = params;
        progress["data"] = json!({"at": 1});
        other.call("progress", progress);
    }
    for params in [
        json!({"task_id": id, "worker_id": "v"}),
        json!({"task_id": id, "fence": 0}),
        json!({"task_id": id, "fence": 2, "worker_id": "w"}),
    ] {
        assert_eq!(
            word(&other.refused("heartbeat", params.clone())),
            "stale_lease"
        );
        assert_eq!(word(&other.refused("release", params)), "stale_lease");
    }
    assert_eq!(
        word(&other.refused("heartbeat", json!({"task_id": 99}))),
        "unknown_task"
    );
    let detail = other.call("get", json!({"task_id": id, "output": true}));
    assert_eq!(detail["output"][0]["text"], "saidsaidsaid");
    other.call("release", json!({"task_id": id, "worker_id": "w"}));
    assert_eq!(
        word(&other.refused("heartbeat", json!({"task_id": id}))),
        "wrong_state"
    );
}
