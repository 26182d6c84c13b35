//! Watchers that read late, never, or are many.

use crate::common::{Client, Hub};
use crate::wire_bytes::MIB;
use serde_json::json;

#[test]
fn a_watcher_that_reads_late_gets_what_is_kept_in_order() {
    let hub = Hub::start();
    let (mut client, mut late) = (hub.client(), hub.client());
    let task_id = client.enqueue("x");
    let fence = client.lease(json!({"lease_seconds": 3600}))["fence"].clone();
    late.call("watch", json!({"kinds": ["output"]}));
    let before = hub.resident();
    let text = "x".repeat(60_000);
    // More than a socket takes, less than is kept.
    for chunk in 0..60 {
        let piece = json!({"task_id": task_id, "fence": fence, "chunk": chunk, "text": text});
        client.call("output", piece);
    }
    let mut again = hub.client();
    again.call("watch", json!({"kinds": ["output"], "since": 0}));
    let grown = hub.resident().saturating_sub(before);
    assert!(grown < 64 * MIB, "grew by {} MiB", grown / MIB);
    for watcher in [&mut late, &mut again] {
        let chunks: Vec<u64> = (0..60)
            .map(|_| watcher.notice("event")["chunk"].as_u64().unwrap())
            .collect();
        assert_eq!(chunks, (0..60).collect::<Vec<u64>>());
    }
    let last = json!({"task_id": task_id, "fence": fence, "text": "last"});
    client.call("output", last);
    assert_eq!(late.notice("event")["text"], "last");
    assert_eq!(again.notice("event")["text"], "last");
}

#[test]
fn a_watcher_that_never_reads_costs_nothing_and_is_told_from_where_to_go_on() {
    let hub = Hub::start();
    let mut client = hub.client();
    let mut deaf: Vec<Client> = (0..20).map(|_| hub.client()).collect();
    for watcher in &mut deaf {
        watcher.call("watch", json!({"kinds": ["output"]}));
    }
    let text = "x".repeat(250_000);
    let before = hub.resident();
    for _ in 0..12 {
        client.enqueue("x");
        let task = client.lease(json!({"lease_seconds": 3600}));
        for _ in 0..15 {
            let piece = json!({"task_id": task["task_id"], "fence": task["fence"], "text": text});
            client.call("output", piece);
        }
    }
    // 43 MiB of output, of which 32 are kept, for 20 who do not read it.
    let grown = hub.resident().saturating_sub(before);
    assert!(grown < 150 * MIB, "grew by {} MiB", grown / MIB);
    let mut seen = 0;
    let since = loop {
        let event = deaf[0].notice("event");
        if event["lagged"] == true {
            break event["since"].clone();
        }
        seen += 1;
    };
    assert!(seen > 0);
    assert_eq!(
        client.call("watch", json!({"since": since, "kinds": ["hub"]}))["gap"],
        true
    );
}

#[test]
fn each_of_many_watchers_is_told_of_everything_in_order() {
    let hub = Hub::start();
    let mut client = hub.client();
    let mut watchers: Vec<Client> = (0..100).map(|_| hub.client()).collect();
    for watcher in &mut watchers {
        watcher.call("watch", json!({"kinds": ["task"]}));
    }
    let made: Vec<i64> = (0..100).map(|_| client.enqueue("x")).collect();
    for watcher in &mut watchers {
        let told: Vec<i64> = made
            .iter()
            .map(|_| watcher.notice("event")["task_id"].as_i64().unwrap())
            .collect();
        assert_eq!(told, made);
    }
}
