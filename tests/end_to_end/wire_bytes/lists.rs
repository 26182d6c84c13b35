//! Long lists: they are whole, and others do not wait for them.

use crate::common::{Client, Hub, ids, until};
use crate::wire_bytes::{MIB, enqueue_many, figure};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

#[test]
fn a_list_of_everything_is_whole_and_each_task_is_in_it_once() {
    let hub = Hub::start();
    let mut client = hub.client();
    enqueue_many(&mut client, 15_000, "some prompt");
    for plain in [
        json!({"limit": 0}),
        json!({"limit": -1}),
        json!({"limit": 0, "queue": "default"}),
    ] {
        let answer = client.call("list", plain);
        let expected: Vec<i64> = (1..=15_000).rev().collect();
        assert_eq!(ids(&answer), expected);
        assert_eq!(answer["stats"]["total_tasks"], 15_000);
        assert!(answer.get("next").is_none());
    }
    let page = client.call("list", json!({"limit": 12_000, "status": "queued"}));
    assert_eq!((ids(&page).len(), &page["next"]), (12_000, &json!(3001)));
    let strict = r#"{"jsonrpc":"2.0","id":"x","method":"list","params":{"limit":0}}"#;
    client.raw(strict.to_owned() + "\n");
    let answer = client.read();
    assert_eq!(
        (&answer["jsonrpc"], &answer["id"]),
        (&json!("2.0"), &json!("x"))
    );
    assert_eq!(ids(&answer["result"]).len(), 15_000);
    assert!(answer.get("error").is_none());
}

#[test]
fn requests_behind_a_long_list_are_answered_in_order() {
    let hub = Hub::start();
    let mut client = hub.client();
    enqueue_many(&mut client, 5000, &"x".repeat(200));
    let requests = [
        ("list", json!({"limit": 0})),
        ("stats", json!({})),
        ("list", json!({"limit": 1})),
    ];
    let sent: Vec<u64> = requests
        .map(|(method, params)| client.send(method, params))
        .into();
    let answers: Vec<Value> = sent.iter().map(|_| client.read()).collect();
    let order: Vec<&Value> = answers.iter().map(|answer| &answer["id"]).collect();
    assert_eq!(order, sent);
    assert_eq!(ids(&answers[0]["result"]).len(), 5000);
}

#[test]
fn nobody_waits_for_a_list_that_nobody_reads() {
    let hub = Hub::with(&["store.readers=2"]);
    let mut client = hub.client();
    enqueue_many(&mut client, 20_000, &"x".repeat(500));
    let task = client.lease(json!({"worker_id": "w", "lease_seconds": 3600}));
    let mut deaf: Vec<Client> = (0..4).map(|_| hub.client()).collect();
    for client in &mut deaf {
        for _ in 0..5 {
            client.send("list", json!({"limit": 0}));
        }
    }
    let before = hub.resident();
    let holder = json!({"task_id": task["task_id"], "worker_id": "w"});
    for _ in 0..20 {
        client.call("heartbeat", holder.clone());
        client.call("get", json!({"task_id": task["task_id"]}));
        assert_eq!(ids(&client.call("list", json!({"limit": 5}))).len(), 5);
        client.enqueue("another");
    }
    let grown = hub.resident().saturating_sub(before);
    assert!(grown < 64 * MIB, "grew by {} MiB", grown / MIB);
}

#[test]
fn others_wait_for_a_part_of_a_long_list_at_the_most() {
    let hub = Hub::start();
    let mut client = hub.client();
    enqueue_many(&mut client, 30_000, &"x".repeat(500));
    let task = client.lease(json!({"worker_id": "w", "lease_seconds": 3600}));
    let holder = json!({"task_id": task["task_id"], "worker_id": "w"});
    let mut greedy = hub.client();
    let sent = greedy.send("list", json!({"limit": 0}));
    let reading = std::thread::spawn(move || {
        let begun = Instant::now();
        let answer = greedy.result(sent);
        (ids(&answer).len(), begun.elapsed())
    });
    let (mut worst, mut count) = (Duration::ZERO, 0);
    while !reading.is_finished() {
        let begun = Instant::now();
        client.call("heartbeat", holder.clone());
        client.enqueue("another");
        worst = worst.max(begun.elapsed());
        count += 1;
    }
    let (listed, took) = reading.join().unwrap();
    assert!(listed >= 30_000);
    assert!(count >= 10, "only {count} of others' requests in {took:?}");
    assert!(worst < took / 3, "{worst:?} of {took:?}");
}

#[test]
fn requests_behind_a_slow_question_wait_in_the_socket() {
    let hub = Hub::start();
    let (mut client, mut deaf) = (hub.client(), hub.client());
    enqueue_many(&mut client, 20_000, &"x".repeat(500));
    for _ in 0..3 {
        deaf.send("list", json!({"limit": 0}));
    }
    let line = json!({"id": 1, "method": "enqueue", "params": {"prompt": "x".repeat(1 << 20)}});
    let line = line.to_string() + "\n";
    let mut sending = deaf.another_handle();
    let sender = std::thread::spawn(move || {
        use std::io::Write;
        // It is stopped when the connection is.
        let _ = sending.write_all(line.repeat(64).as_bytes());
    });
    until("some wait in the hub", || {
        (figure(&mut client, "kirosu_waiting_request_bytes") > 0.0).then_some(())
    });
    for _ in 0..30 {
        client.enqueue("small");
        let waiting = figure(&mut client, "kirosu_waiting_request_bytes");
        assert!(waiting <= (3 * MIB) as f64, "{waiting} bytes");
    }
    drop(deaf);
    drop(hub);
    sender.join().unwrap();
}
