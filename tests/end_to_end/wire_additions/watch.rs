//! Events: a task's life, gaps, and coming back.

use crate::common::{Client, Hub, sentence};
use serde_json::{Value, json};

#[test]
fn a_watcher_sees_a_tasks_life_and_can_come_back() {
    let hub = Hub::start();
    let (mut client, mut watcher) = (hub.client(), hub.client());
    let watched = watcher.call("watch", json!({"kinds": ["task"]}));
    assert_eq!(watched["gap"], false);
    let id = client.enqueue("x");
    client.lease(json!({"worker_id": "w"}));
    client.call("ack", json!({"task_id": id, "status": "done"}));
    let events: Vec<Value> = (0..3).map(|_| watcher.notice("event")).collect();
    let told: Vec<_> = events
        .iter()
        .map(|e| {
            (
                e["reason"].as_str().unwrap(),
                e["status"].as_str().unwrap(),
                e["fence"].as_i64().unwrap(),
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            ("enqueued", "queued", 0),
            ("leased", "leased", 1),
            ("done", "done", 1)
        ]
    );
    assert!(
        events
            .iter()
            .all(|e| e["event"] == "task" && e["task_id"] == id && e["time"].is_f64())
    );
    let numbers: Vec<i64> = events.iter().map(|e| e["seq"].as_i64().unwrap()).collect();
    assert!(
        numbers.windows(2).all(|pair| pair[0] < pair[1]),
        "{numbers:?}"
    );
    // Back with the last number seen: what was missed comes first, nothing twice.
    drop(watcher);
    let missed = client.enqueue("missed");
    let mut watcher = hub.client();
    let watched = watcher.call("watch", json!({"since": numbers[2], "kinds": ["task"]}));
    assert_eq!(watched["gap"], false);
    let event = watcher.notice("event");
    assert_eq!(
        (&event["task_id"], &event["reason"]),
        (&json!(missed), &json!("enqueued"))
    );
    let live = client.enqueue("live");
    assert_eq!(watcher.notice("event")["task_id"], live);
    // A number of another life of the hub is a gap, and so is one of the future.
    assert_eq!(
        hub.client().call("watch", json!({"since": 1_000_000}))["gap"],
        true
    );
    assert!(sentence(&client.refused("watch", json!({"kinds": ["weather"]}))).contains("progress"));
}

#[test]
fn events_that_are_no_longer_kept_are_a_gap() {
    let hub = Hub::start();
    let (mut client, mut watcher) = (hub.client(), hub.client());
    let since = watcher.call("watch", json!({}))["seq"].as_i64().unwrap();
    let tasks: Vec<Value> = (0..6000).map(|_| json!({"prompt": "x"})).collect();
    for _ in 0..3 {
        client.call("enqueue_batch", json!({"tasks": tasks}));
    }
    assert_eq!(
        hub.client().call("watch", json!({"since": since}))["gap"],
        true
    );
    let recent = hub.client().call("watch", json!({"kinds": ["task"]}))["seq"]
        .as_i64()
        .unwrap();
    assert_eq!(
        hub.client()
            .call("watch", json!({"since": recent - 10_000}))["gap"],
        false
    );
}

#[test]
fn no_event_is_lost_between_the_past_and_the_present() {
    let hub = Hub::start();
    let mut busy: Vec<Client> = (0..2).map(|_| hub.client()).collect();
    let mut last = 0;
    for _ in 0..100 {
        // Things happen while the watch begins.
        let sent: Vec<Vec<u64>> = busy
            .iter_mut()
            .map(|client| {
                (0..30)
                    .map(|_| client.send("enqueue", json!({"prompt": "x"})))
                    .collect()
            })
            .collect();
        let mut watcher = hub.client();
        watcher
            .raw(json!({"id": 1, "method": "watch", "params": {"since": last}}).to_string() + "\n");
        let mut answered = false;
        for _ in 0..40 {
            let line = watcher.read();
            if line["id"] == 1 {
                answered = line["result"]["gap"] == false;
                continue;
            }
            assert_eq!(line["params"]["seq"], last + 1);
            last += 1;
        }
        assert!(answered);
        for (client, sent) in busy.iter_mut().zip(sent) {
            sent.into_iter().for_each(|id| drop(client.result(id)));
        }
    }
}
