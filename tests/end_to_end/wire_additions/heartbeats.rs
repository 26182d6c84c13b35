//! Heartbeats behind answers that take long to read.

use crate::common::{Hub, until, word};
use serde_json::json;
use std::time::{Duration, Instant};

/// Bytes of a prompt, chosen so that the prompts together exceed the sockets' buffers.
const LARGE: usize = 6 << 20;
const PROMPTS: usize = 8;

#[test]
fn a_heartbeat_behind_a_long_list_keeps_its_lease() {
    let hub = Hub::start();
    let mut other = hub.client();
    for _ in 0..PROMPTS {
        other.enqueue_with(json!({"prompt": "x".repeat(LARGE), "queue": "large"}));
    }
    let task = other.enqueue("keep me");
    let mut holder = hub.session("holder");
    let lease = holder.lease(json!({"lease_seconds": 3}));
    let fence = lease["fence"].clone();
    let mut until_then = lease["leased_until"].as_f64().unwrap();
    let over = until_then + 4.0;
    // Nothing of its answer is read until the lease has held for longer than without any heartbeat.
    let list = holder.send("list", json!({"limit": 0, "preview_bytes": 0}));
    let mut beats = Vec::new();
    while until_then < over {
        beats.push(holder.send("heartbeat", json!({"task_id": task, "fence": fence})));
        until_then = until("the lease is extended", || {
            let now = other.task(task);
            assert_eq!(now["fence"], fence, "the lease was lost: {now}");
            now["leased_until"].as_f64().filter(|at| *at > until_then)
        });
        let extended = Instant::now();
        until("a third of the lease is over", || {
            (extended.elapsed() > Duration::from_secs(1)).then_some(())
        });
    }
    assert!(beats.len() > 2, "{} heartbeats", beats.len());
    // It may take its time to read.
    let last = json!({"task_id": task, "fence": fence, "lease_seconds": 600});
    beats.push(holder.send("heartbeat", last));
    // Answers come in the order of their requests all the same.
    assert_eq!(holder.read()["id"], list);
    for beat in beats {
        let answer = holder.read();
        assert_eq!(
            (&answer["id"], &answer["result"]["ok"]),
            (&json!(beat), &json!(true))
        );
    }
    assert_eq!(other.task(task)["fence"], fence);
}

#[test]
fn a_heartbeat_behind_other_requests_finds_what_they_have_left() {
    let hub = Hub::start();
    let mut client = hub.client();
    let task = client.enqueue("x");
    let lease = client.lease(json!({"lease_seconds": 60}));
    let held = json!({"task_id": task, "fence": lease["fence"]});
    let list = client.send("list", json!({}));
    let release = client.send("release", held.clone());
    let beat = client.send("heartbeat", held);
    client.result(list);
    client.result(release);
    assert_eq!(word(&client.answer(beat)["error"]), "stale_lease");
    assert_eq!(client.status(task), "queued");
}
