//! Long answers, large texts and slow readers: what they cost is bounded by bytes, and others do not wait for them.
//!
//! Bounds are ratios within a run, or bytes: they hold on a busy machine, too.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use common::{Client, Hub, ids, until, word};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

const MIB: u64 = 1 << 20;

/// A figure of the hub.
fn figure(client: &mut Client, name: &str) -> f64 {
    let metrics = client.call("metrics", json!({}));
    let all = metrics["metrics"].as_array().unwrap();
    let found = all.iter().find(|metric| metric["name"] == name);
    found.and_then(|metric| metric["value"].as_f64()).unwrap()
}

fn enqueue_many(client: &mut Client, count: usize, prompt: &str) {
    let tasks = vec![json!({"prompt": prompt}); count.min(5000)];
    for _ in 0..count / tasks.len() {
        client.call("enqueue_batch", json!({"tasks": tasks}));
    }
}

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
fn a_long_list_takes_others_less_than_a_tenth_of_its_time() {
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
fn large_texts_are_cut_in_lists_and_whole_where_they_are_asked_for() {
    let hub = Hub::start();
    let mut client = hub.client();
    let (short, long) = ("ü".repeat(30_000), "ü".repeat(100_000));
    let plain = client.enqueue(&short);
    let large = client.enqueue_with(json!({
        "prompt": long, "system_prompt": long, "metadata": {"kept": long},
    }));
    let leased = client.call("lease", json!({"max_tasks": 2}));
    assert_eq!(ids(&leased), [plain, large]);
    client.call(
        "ack",
        json!({"task_id": plain, "status": "done", "result": short}),
    );
    client.call(
        "ack",
        json!({"task_id": large, "status": "failed", "error": long}),
    );
    let answer = client.call("list", json!({}));
    let [cut, whole] = answer["tasks"].as_array().unwrap().as_slice() else {
        panic!("{answer}");
    };
    assert_eq!(
        (&whole["prompt"], &whole["result"]),
        (&json!(short), &json!(short))
    );
    assert!(whole.get("cut").is_none());
    let prompt = cut["prompt"].as_str().unwrap();
    assert!(
        prompt.len() < 66_000 && prompt.starts_with("üüü"),
        "{}",
        prompt.len()
    );
    assert!(prompt.ends_with("[cut here: 65536 of 200000 bytes; `get` answers all of it]"));
    let lengths = json!({"prompt": 200_000, "system_prompt": 200_000, "error": 200_000});
    for (name, length) in lengths.as_object().unwrap() {
        assert_eq!(&cut["cut"][name], length, "{name}");
    }
    assert!(cut["cut"]["metadata"].as_u64() > Some(200_000) && cut["metadata"].is_null());
    let asked = client.call("list", json!({"preview_bytes": 0}));
    let asked = &asked["tasks"][0];
    assert_eq!(
        (&asked["prompt"], &asked["metadata"]["kept"]),
        (&json!(long), &json!(long))
    );
    assert!(asked.get("cut").is_none());
    let tiny = client.call("list", json!({"preview_bytes": 3}));
    assert!(
        tiny["tasks"][1]["prompt"]
            .as_str()
            .unwrap()
            .starts_with("ü\n[cut here: 2 of")
    );
    assert_eq!(client.task(large)["error"], json!(long));
    let waited = client.call("wait", json!({"task_ids": [large, plain]}));
    assert_eq!(ids(&waited), [large, plain]);
    assert_eq!(
        (&waited["tasks"][0]["prompt"], &waited["finished"]),
        (&json!(long), &json!(true))
    );
}

#[test]
fn answers_of_large_texts_that_nobody_reads_take_bounded_memory() {
    let hub = Hub::start();
    let mut client = hub.client();
    let text = "x".repeat(4 << 20);
    let made: Vec<i64> = (0..12).map(|_| client.enqueue(&text)).collect();
    let mut deaf: Vec<Client> = (0..3).map(|_| hub.client()).collect();
    let before = hub.resident();
    for client in &mut deaf {
        for _ in 0..10 {
            client.send("list", json!({"preview_bytes": 0}));
            client.send("get", json!({"task_id": made[0]}));
        }
        client.send("wait", json!({"task_ids": made, "timeout_seconds": 0}));
    }
    until("their texts are read for them", || {
        (figure(&mut client, "kirosu_answer_bytes") > 0.0).then_some(())
    });
    for _ in 0..50 {
        client.enqueue("small");
    }
    // A chunk of each, and room for one that is being written: not the gigabyte that was asked for.
    let grown = hub.resident().saturating_sub(before);
    assert!(grown < 200 * MIB, "grew by {} MiB", grown / MIB);
    drop(deaf);
    until("their room is given back", || {
        (figure(&mut client, "kirosu_answer_bytes") == 0.0).then_some(())
    });
    let all = client.call(
        "list",
        json!({"queue": "default", "preview_bytes": 0, "limit": 0}),
    );
    let whole = all["tasks"].as_array().unwrap().iter();
    assert_eq!(
        whole.filter(|task| task["prompt"] == text.as_str()).count(),
        12
    );
}

#[test]
fn a_lease_hands_out_no_more_bytes_than_a_worker_should_get_at_once() {
    let hub = Hub::start();
    let mut client = hub.client();
    let text = "x".repeat(3 << 20);
    for _ in 0..6 {
        client.enqueue(&text);
    }
    let first = client.call("lease", json!({"max_tasks": 100, "lease_seconds": 3600}));
    assert_eq!(ids(&first), [1, 2, 3]);
    assert_eq!(first["tasks"][2]["prompt"], text.as_str());
    let acks: Vec<Value> = (1..=3)
        .map(|id| json!({"task_id": id, "status": "done"}))
        .collect();
    let next = client.call("ack", json!({"acks": acks, "lease": {"max_tasks": 100}}));
    assert_eq!(ids(&next), [4, 5, 6]);
    assert_eq!(next["acks"].as_array().unwrap().len(), 3);
}

#[test]
fn metadata_and_progress_take_no_more_memory_than_they_should() {
    let hub = Hub::start();
    let mut client = hub.client();
    let zeros = json!(vec![0; 100_000]);
    client.enqueue_with(json!({"prompt": "p", "metadata": zeros}));
    let before = hub.resident();
    for _ in 0..60 {
        client.enqueue_with(json!({"prompt": "p", "metadata": zeros}));
    }
    // As values they are 190 MiB.
    let grown = hub.resident().saturating_sub(before);
    assert!(
        grown < 120 * MIB,
        "grew by {} MiB for metadata",
        grown / MIB
    );
    let task = client.lease(json!({"lease_seconds": 3600}));
    let (id, fence) = (&task["task_id"], &task["fence"]);
    let note = json!({"task_id": id, "fence": fence, "data": vec![0; 32_000]});
    let before = hub.resident();
    for _ in 0..700 {
        client.call("progress", note.clone());
    }
    assert!(figure(&mut client, "kirosu_event_bytes") <= (32 * MIB) as f64);
    // As values they are 680 MiB.
    let grown = hub.resident().saturating_sub(before);
    assert!(grown < 150 * MIB, "grew by {} MiB for events", grown / MIB);
}

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

#[test]
fn a_lease_costs_the_same_beside_many_different_ones_that_wait() {
    let hub = Hub::start();
    let mut client = hub.client();
    let mut waiting: Vec<Client> = (0..3).map(|_| hub.client()).collect();
    let cost = |client: &mut Client| {
        let mut times: Vec<Duration> = (0..60)
            .map(|_| {
                let begun = Instant::now();
                client.call("lease", json!({"queues": ["none"]}));
                begun.elapsed()
            })
            .collect();
        times.sort();
        times[10]
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
    assert!(many < few * 5, "{many:?} beside 2400, {few:?} beside 600");
    // Who waits for its own queue gets its task, and of those who wait for a common one, the first.
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
