//! A client that asks and never reads: it loses its connection, and others get its share of the hub.

use crate::common::{Client, Hub, until};
use serde_json::{Value, json};

/// Bytes of one answer: sixteen of them, as many as are worked on at once, are more than any socket buffers.
const LARGE: usize = 4 << 20;
/// Requests sent at once.
const BURST: usize = 64;

/// A figure of the hub.
fn figure(client: &mut Client, name: &str) -> f64 {
    let metrics = client.call("metrics", json!({}));
    let all = metrics["metrics"].as_array().unwrap();
    let found = all.iter().find(|metric| metric["name"] == name);
    found.and_then(|metric| metric["value"].as_f64()).unwrap()
}

#[test]
fn who_asks_and_never_reads_gives_its_share_back() {
    let hub = Hub::with(&[
        "limits.in_flight_total=100",
        "limits.in_flight_per_connection=100",
        "limits.unread_max=3s",
    ]);
    let mut client = hub.client();
    let id = client.enqueue(&"x".repeat(LARGE));
    let mut deaf = hub.client();
    let line = json!({"id": 1, "method": "get", "params": {"task_id": id}}).to_string() + "\n";
    deaf.raw(line.repeat(BURST));
    until("what it asked for waits for room", || {
        // This question itself is one more.
        let under_way = figure(&mut client, "kirosu_requests_in_flight") - 1.0;
        (1.0..BURST as f64).contains(&under_way).then_some(())
    });
    until("its share is given back", || {
        (figure(&mut client, "kirosu_requests_in_flight") == 1.0).then_some(())
    });
    until("its connection is gone", || {
        (figure(&mut client, "kirosu_connections") == 1.0).then_some(())
    });
    assert_eq!(figure(&mut client, "kirosu_connections_unread_total"), 1.0);
    assert!(hub.log().contains("does not read"), "{}", hub.log());
    assert_eq!(client.task(id)["status"], "queued");
}

#[test]
fn who_waits_long_without_reading_anything_is_left_alone() {
    let hub = Hub::with(&["limits.unread_max=1s"]);
    let (mut waiting, mut other) = (hub.client(), hub.client());
    let sent = waiting.send("lease", json!({"wait_seconds": 3}));
    let answer: Value = waiting.answer(sent);
    assert_eq!(answer["result"], json!({"tasks": []}));
    assert_eq!(figure(&mut other, "kirosu_connections_unread_total"), 0.0);
}
