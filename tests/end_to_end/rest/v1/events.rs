//! Server-sent events: resume, gaps, rights, and many clients of which one is slow.

use super::stream::{Sent, Stream, is_task};
use super::{key_header, post_with, problem};
use crate::common::http::with;
use crate::common::process::{Api, address, setup};
use crate::common::{Hub, PATIENCE, until};
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

/// Adds a task that no worker runs.
fn add(at: &str, key: &str, prompt: &str) -> i64 {
    let task = json!({"prompt": prompt, "queue": "unserved"});
    let added = post_with(at, "/v1/tasks", key, task).json();
    added["task_id"].as_i64().unwrap()
}

fn is_added(sent: &Sent, task_id: i64) -> bool {
    is_task(sent, task_id, "queued")
}

#[test]
fn events_arrive_with_numbers_from_which_a_client_goes_on() {
    let hub = setup().start();
    let at = address(&hub);
    let key = key_header(&hub, "ci", "enqueue");
    let mut stream = Stream::open(&at, "/v1/events", &key);
    assert!(
        stream.head.contains("content-type: text/event-stream"),
        "{}",
        stream.head
    );
    let one = add(&at, &key, "one");
    let first = stream.find(|sent| is_added(sent, one));
    assert_eq!(
        first.id,
        format!("{}:{}", hub_boot(&hub), first.json()["seq"])
    );
    drop(stream);
    let (two, three) = (add(&at, &key, "two"), add(&at, &key, "three"));
    let resume = format!("{key}Last-Event-ID: {}\r\n", first.id);
    let mut stream = Stream::open(&at, "/v1/events", &resume);
    let next = stream.must();
    assert_eq!(
        next.json()["seq"],
        first.json()["seq"].as_u64().unwrap() + 1,
        "{next:?}"
    );
    assert!(is_added(&next, two));
    stream.find(|sent| is_added(sent, three));
    // As a parameter, for clients that cannot send headers; only events of one task and kind.
    let path = format!(
        "/v1/events?since={}&kinds=task,run&task_id={three}",
        first.id
    );
    let mut stream = Stream::open(&at, &path, &key);
    assert!(is_added(&stream.must(), three));
}

#[test]
fn a_number_that_the_hub_has_not_reached_silences_no_other_client() {
    let hub = setup().start();
    let at = address(&hub);
    let key = key_header(&hub, "ci", "enqueue");
    let path = format!("/v1/events?since={}:999999999999", hub_boot(&hub));
    let _ahead = Stream::open(&at, &path, &key);
    let mut other = Stream::open(&at, "/v1/events", &key);
    let one = add(&at, &key, "one");
    other.find(|sent| is_added(sent, one));
}

fn hub_boot(hub: &Hub) -> String {
    hub.client().call("ping", json!({}))["boot_id"]
        .as_str()
        .unwrap()
        .to_owned()
}

#[test]
fn several_events_become_one_batch_with_the_newest_about_each_thing() {
    let hub = setup().start();
    let at = address(&hub);
    let key = key_header(&hub, "ci", "enqueue");
    let mut stream = Stream::open(&at, "/v1/events?coalesce=2000&kinds=task", &key);
    let done = post_with(&at, "/v1/tasks", &key, json!({"prompt": "one"})).json();
    let id = done["task_id"].as_i64().unwrap();
    post_with(
        &at,
        "/v1/wait",
        &key,
        json!({"task_ids": [id], "timeout_seconds": 20}),
    );
    let mut dropped = 0;
    loop {
        let batch = stream.must();
        assert_eq!(batch.event, "batch", "{batch:?}");
        dropped += batch.json()["dropped"].as_u64().unwrap();
        let events = batch.json()["events"].as_array().unwrap().clone();
        let mut ids: Vec<&Value> = events.iter().map(|event| &event["task_id"]).collect();
        ids.dedup();
        assert_eq!(ids.len(), events.len(), "{batch:?}");
        if events
            .iter()
            .any(|event| event["task_id"] == id && event["status"] == "done")
        {
            break;
        }
    }
    assert!(
        dropped >= 1,
        "enqueued, leased and done are at least two events in one batch"
    );
}

#[test]
fn a_restart_of_the_hub_is_a_gap_and_then_the_events_go_on() {
    let hub = Hub::start();
    let port = hub.port;
    let api = Api::start(&hub.setup, port, &[]);
    let at = api.address.clone();
    let mut stream = Stream::open(&at, "/v1/events", "");
    let one = add(&at, "", "one");
    let first = stream.find(|sent| is_added(sent, one));
    let mut setup = hub.kill();
    setup.port = port;
    let hub = setup.start();
    until("the gateway has found the hub", || {
        (with(&at, "GET", "/v1/ping", "", "").status == 200).then_some(())
    });
    let two = add(&at, "", "two");
    let gap = stream.find(|sent| sent.event == "gap");
    assert_eq!(gap.json()["reason"], "restarted");
    let next = stream.find(|sent| is_added(sent, two));
    assert!(next.id.starts_with(&hub_boot(&hub)), "{next:?}");
    // A client that was away learns the same.
    let away = format!("Last-Event-ID: {}\r\n", first.id);
    let gap = Stream::open(&at, "/v1/events", &away).must();
    assert_eq!(
        (gap.event.as_str(), &gap.json()["reason"]),
        ("gap", &json!("restarted"))
    );
    assert!(gap.id.starts_with(&hub_boot(&hub)), "{gap:?}");
}

#[test]
fn a_gateway_that_was_away_has_the_events_of_the_hub_since_then() {
    let hub = Hub::start();
    let api = Api::start(&hub.setup, hub.port, &[]);
    let mut stream = Stream::open(&api.address, "/v1/events", "");
    let one = add(&api.address, "", "one");
    let first = stream.find(|sent| is_added(sent, one));
    assert!(api.stop().success());
    let two = hub
        .client()
        .enqueue_with(json!({"prompt": "two", "queue": "unserved"}));
    let api = Api::start(&hub.setup, hub.port, &[]);
    let resume = format!("Last-Event-ID: {}\r\n", first.id);
    let mut stream = Stream::open(&api.address, "/v1/events", &resume);
    let next = stream.must();
    assert!(is_added(&next, two), "{next:?}");
}

#[test]
fn the_rights_of_a_key_hold_for_its_streams_until_it_ends() {
    let hub = setup().start();
    let at = address(&hub);
    let works = key_header(&hub, "gpu", "work");
    let refused = with(&at, "GET", "/v1/events", &works, "");
    assert_eq!(
        (refused.status, &problem(&refused)["code"]),
        (403, &json!("forbidden"))
    );
    let key = key_header(&hub, "eye", "observe");
    let mut stream = Stream::open(&at, "/v1/events", &key);
    hub.client().call("key_revoke", json!({"name": "eye"}));
    while stream.next().is_some() {}
    assert_eq!(with(&at, "GET", "/v1/events", &key, "").status, 403);
}

#[test]
fn the_output_of_a_task_is_a_stream_that_ends_with_it() {
    let hub = setup().start();
    let at = address(&hub);
    let key = key_header(&hub, "root", "admin");
    let id = add(&at, &key, "one");
    let lease = json!({"queues": ["unserved"], "worker_id": "w"});
    let leased = post_with(&at, "/v1/leases", &key, lease).json();
    let fence = leased["tasks"][0]["fence"].clone();
    let report = |verb: &str, more: Value| {
        let mut body = json!({"task_id": id, "fence": fence});
        body.as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        let answer = post_with(&at, &format!("/v1/leases/{verb}"), &key, body);
        assert_eq!(answer.status, 200, "{answer:?}");
    };
    report("output", json!({"text": "eins "}));
    let path = format!("/v1/tasks/{id}/output");
    let mut now = Stream::open(&at, &path, &key);
    assert_eq!(now.must().json()["text"], "eins ");
    assert_eq!(
        now.next(),
        None,
        "without follow it ends with what is there"
    );
    let mut stream = Stream::open(&at, &format!("{path}?follow=true"), &key);
    let first = stream.must();
    assert_eq!(
        (&first.json()["text"], &first.json()["fence"]),
        (&json!("eins "), &fence)
    );
    report("output", json!({"text": "zwö "}));
    let second = stream.must();
    assert_eq!(
        (&second.json()["text"], &second.json()["chunk"]),
        (&json!("zwö "), &json!(1))
    );
    drop(stream);
    report("output", json!({"text": "drei"}));
    // A client that has the first chunk only: the stored text does not say where it ends.
    let mut stream = Stream::open(&at, &format!("{path}?after=0"), &key);
    assert_eq!(stream.must().event, "gap");
    assert_eq!(stream.must().json()["text"], "eins zwö drei");
    let mut stream = Stream::open(&at, &format!("{path}?after=2"), &key);
    assert_eq!(stream.next(), None, "it has all");
    let resume = format!("{key}Last-Event-ID: {}\r\n", second.id);
    let mut stream = Stream::open(&at, &format!("{path}?follow=true"), &resume);
    assert_eq!(stream.must().json()["text"], "drei");
    report("ack", json!({"status": "done", "result": "r"}));
    let end = stream.must();
    assert_eq!(
        (end.event.as_str(), &end.json()["status"]),
        ("end", &json!("done"))
    );
    assert_eq!(stream.next(), None);
    // A browser that connects again learns that it must not.
    let resume = format!("{key}Last-Event-ID: {}\r\n", end.id);
    assert_eq!(
        with(&at, "GET", &format!("{path}?follow=true"), &resume, "").status,
        204
    );
    let mut all = Stream::open(&at, &path, &key);
    assert_eq!(all.must().json()["text"], "eins zwö drei");
    assert_eq!(all.must().event, "end");
}

/// A client that reads nothing.
fn deaf(at: &str, key: &str) -> TcpStream {
    let mut stream = TcpStream::connect(at).unwrap();
    let request = format!("GET /v1/events HTTP/1.1\r\nHost: {at}\r\n{key}\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    stream
}

#[test]
fn a_thousand_clients_get_each_event_and_one_that_does_not_read_holds_up_nobody() {
    const CLIENTS: usize = 1000;
    let hub = setup().start();
    let at = address(&hub);
    let key = key_header(&hub, "ci", "enqueue");
    let mut slow = deaf(&at, &key);
    let mut streams: Vec<Stream> = (0..CLIENTS)
        .map(|_| Stream::open(&at, "/v1/events?kinds=task", &key))
        .collect();
    let watches = hub.client().call("agents", json!({"all": true}));
    let connections = watches["connections"].as_array().unwrap().len();
    assert!(
        connections < 30,
        "one subscription serves all clients: {connections}"
    );
    let begun = Instant::now();
    let long = "x".repeat(200);
    let tasks = vec![json!({"prompt": long, "queue": "unserved"}); 20];
    let mut last = 0;
    for _ in 0..10 {
        let added = post_with(&at, "/v1/tasks/batch", &key, json!({"tasks": tasks})).json();
        last = added["task_ids"][19].as_i64().unwrap();
        assert!(begun.elapsed() < PATIENCE, "the hub is held up");
    }
    for stream in &mut streams {
        // One that was too slow for all of them learns it.
        stream.find(|sent| is_added(sent, last) || sent.event == "gap");
    }
    assert!(
        begun.elapsed() < Duration::from_secs(60),
        "{:?}",
        begun.elapsed()
    );
    drop(streams);
    // The slow one was disconnected, or gets what is left for it.
    slow.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut bytes = [0; 64 << 10];
    assert!(slow.read(&mut bytes).is_ok());
}
