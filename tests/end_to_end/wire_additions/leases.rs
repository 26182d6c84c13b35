//! Leases: parked requests, fences, acks, releases, output.

use crate::common::{Client, Hub, ids, until, word};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

#[test]
fn a_waiting_lease_is_answered_when_its_time_is_over() {
    let hub = Hub::start();
    let mut client = hub.client();
    let begun = Instant::now();
    assert_eq!(
        client.call("lease", json!({"wait_seconds": 0.3})),
        json!({"tasks": []})
    );
    assert!(
        (Duration::from_millis(290)..Duration::from_secs(5)).contains(&begun.elapsed()),
        "{:?}",
        begun.elapsed()
    );
    // No client holds the next task.
    let id = client.enqueue("x");
    assert_eq!(client.status(id), "queued");
}

#[test]
fn waiting_leases_are_served_in_order_each_with_what_it_takes() {
    let hub = Hub::start();
    let mut workers: Vec<(Client, u64)> = ["a", "b", "a"]
        .into_iter()
        .map(|queue| {
            let mut worker = hub.client();
            let parked = worker.send("lease", json!({"wait_seconds": 20, "queues": [queue]}));
            worker.call("stats", json!({}));
            (worker, parked)
        })
        .collect();
    let mut client = hub.client();
    for (worker, queue) in [(1, "b"), (0, "a"), (2, "a")] {
        let id = client.enqueue_with(json!({"prompt": "x", "queue": queue}));
        let (worker, parked) = &mut workers[worker];
        assert_eq!(ids(&worker.result(*parked)), [id]);
    }
}

/// How many connections the hub has.
fn connections(client: &mut Client) -> f64 {
    let answer = client.call("metrics", json!({}));
    let metrics = answer["metrics"].as_array().unwrap();
    let gauge = metrics
        .iter()
        .find(|metric| metric["name"] == "kirosu_connections");
    gauge.and_then(|gauge| gauge["value"].as_f64()).unwrap()
}

#[test]
fn a_client_that_leaves_while_it_waits_is_handed_nothing() {
    let hub = Hub::start();
    let mut client = hub.client();
    for _ in 0..20 {
        let mut gone = hub.client();
        gone.send("lease", json!({"wait_seconds": 600}));
        gone.call("stats", json!({}));
        drop(gone);
        // Two sockets have no order between them: an enqueue that overtakes the end of the other connection is still
        // handed to it, and a lease without a session then holds until it expires. So the hub must have seen the end.
        until("the hub has noticed", || {
            (connections(&mut client) == 1.0).then_some(())
        });
        let id = client.enqueue("x");
        let task = client.lease(json!({}));
        assert_eq!(
            (&task["task_id"], &task["attempts"]),
            (&json!(id), &json!(1))
        );
        client.call("ack", json!({"task_id": id, "status": "done"}));
    }
}

#[test]
fn parked_requests_may_be_overtaken_and_plain_ones_may_not() {
    let hub = Hub::start();
    let mut client = hub.client();
    client.raw("{\"id\":\"parked\",\"method\":\"lease\",\"params\":{\"wait_seconds\":20}}\n{\"id\":\"stats\",\"method\":\"stats\"}\n{\"id\":\"new\",\"method\":\"enqueue\",\"params\":{\"prompt\":\"x\"}}\n");
    let order: Vec<Value> = (0..3).map(|_| client.read()["id"].take()).collect();
    assert_eq!(order[0], "stats");
    assert!(order[1..].contains(&json!("parked")) && order[1..].contains(&json!("new")));
}

#[test]
fn fences_grow_and_old_ones_are_dead() {
    let hub = Hub::start();
    let mut client = hub.client();
    let id = client.enqueue("x");
    for fence in 1..=4 {
        assert_eq!(client.lease(json!({}))["fence"], fence);
        if fence < 4 {
            client.call("release", json!({"task_id": id, "fence": fence}));
        }
    }
    for (method, mut params) in [
        ("ack", json!({"status": "done"})),
        ("heartbeat", json!({})),
        ("release", json!({"delay_seconds": 5})),
        ("progress", json!({"data": 1})),
        ("output", json!({"text": "t"})),
    ] {
        params["task_id"] = id.into();
        params["fence"] = 3.into();
        if method == "release" {
            // Given back already: the same once more is fine, and changes nothing.
            client.call(method, params);
            assert_eq!(client.status(id), "leased");
            continue;
        }
        let error = client.refused(method, params);
        assert_eq!(word(&error), "stale_lease", "{method}: {error}");
        assert_eq!(
            (&error["data"]["task_id"], &error["data"]["fence"]),
            (&json!(id), &json!(4))
        );
    }
    assert_eq!(client.task(id)["attempts"], 1, "releases cost nothing");
    assert_eq!(
        word(&client.refused("release", json!({"task_id": id, "fence": 99}))),
        "stale_lease"
    );
}

#[test]
fn several_acks_and_the_next_lease_take_one_round_trip() {
    let hub = Hub::start();
    let mut client = hub.client();
    for _ in 0..5 {
        client.enqueue("x");
    }
    client.call("lease", json!({"max_tasks": 3}));
    let answer = client.call("ack", json!({"acks": [
        {"task_id": 1, "fence": 1, "status": "done", "result": "r1", "usage": {"input_tokens": 10, "output_tokens": 2, "cost_usd": 0.5}},
        {"task_id": 2, "fence": 9, "status": "done"},
        {"task_id": 77, "status": "done"},
        {"task_id": 3, "status": "failed", "error": "e"},
    ], "lease": {"max_tasks": 2, "worker_id": "w"}}));
    let acks = answer["acks"].as_array().unwrap();
    assert_eq!(
        (&acks[0], &acks[3]),
        (
            &json!({"task_id": 1, "ok": true}),
            &json!({"task_id": 3, "ok": true})
        )
    );
    assert_eq!(
        (word(&acks[1]["error"]), word(&acks[2]["error"])),
        ("stale_lease", "unknown_task")
    );
    assert_eq!(ids(&answer), [4, 5]);
    let got = client.call("get", json!({"task_id": 1}));
    assert_eq!(
        (
            &got["task"]["result"],
            &got["attempts"][0]["usage"]["cost_usd"]
        ),
        (&json!("r1"), &json!(0.5))
    );
    assert_eq!(client.status(2), "leased");
    // The single form; a refused ack leases nothing.
    let next = client.enqueue("next");
    let error = client.refused(
        "ack",
        json!({"task_id": 4, "fence": 8, "status": "done", "lease": {}}),
    );
    assert_eq!(word(&error), "stale_lease");
    until("the task is ready", || {
        (client.status(next) == "queued").then_some(())
    });
    let answer = client.call("ack", json!({"task_id": 4, "status": "done", "lease": {}}));
    assert_eq!((&answer["ok"], ids(&answer)), (&json!(true), vec![next]));
    assert_eq!(client.task(next)["attempts"], 1);
    // One bad entry refuses them all before anything is done.
    assert_eq!(
        word(&client.refused(
            "ack",
            json!({"acks": [{"task_id": 5, "status": "done"}, {"task_id": 2, "status": "?"}]})
        )),
        "invalid_params"
    );
    assert_eq!(client.status(5), "leased");
}

#[test]
fn an_ack_may_wait_for_the_next_task() {
    let hub = Hub::start();
    let (mut worker, mut client) = (hub.client(), hub.client());
    let first = client.enqueue("x");
    worker.lease(json!({}));
    let sent = worker.send(
        "ack",
        json!({"task_id": first, "status": "done", "lease": {"wait_seconds": 20}}),
    );
    // Overtaken as a waiting lease is; the ack has taken effect.
    worker.call("stats", json!({}));
    assert_eq!(client.status(first), "done");
    let second = client.enqueue("y");
    let answer = worker.result(sent);
    assert_eq!((&answer["ok"], ids(&answer)), (&json!(true), vec![second]));
    let begun = Instant::now();
    let answer = worker.call(
        "ack",
        json!({"task_id": second, "status": "done", "lease": {"wait_seconds": 0.3}}),
    );
    assert_eq!((&answer["ok"], ids(&answer)), (&json!(true), vec![]));
    assert!(begun.elapsed() >= Duration::from_millis(290));
    // A refused ack is answered at once, and leases no task later.
    let error = worker.refused(
        "ack",
        json!({"task_id": 99, "status": "done", "lease": {"wait_seconds": 20}}),
    );
    assert_eq!(word(&error), "unknown_task");
    let third = client.enqueue("z");
    let task = client.lease(json!({}));
    assert_eq!(
        (&task["task_id"], &task["attempts"]),
        (&json!(third), &json!(1))
    );
}

#[test]
fn a_released_task_is_ready_at_once_or_after_a_delay() {
    let hub = Hub::start();
    let mut client = hub.client();
    let id = client.enqueue("x");
    let task = client.lease(json!({"worker_id": "w"}));
    client.call(
        "release",
        json!({"task_id": id, "fence": task["fence"], "reason": "stopping"}),
    );
    assert_eq!(client.status(id), "queued");
    let task = client.lease(json!({}));
    assert_eq!((&task["fence"], &task["attempts"]), (&json!(2), &json!(1)));
    let begun = Instant::now();
    client.call(
        "release",
        json!({"task_id": id, "fence": 2, "delay_seconds": 0.4}),
    );
    assert_eq!(client.status(id), "scheduled");
    assert_eq!(client.lease(json!({}))["fence"], 3);
    assert!(begun.elapsed() >= Duration::from_millis(390));
    let got = client.call("get", json!({"task_id": id}));
    let outcomes: Vec<&str> = got["attempts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|a| a["outcome"].as_str().unwrap())
        .collect();
    assert_eq!(outcomes, ["released", "released"]);
}

#[test]
fn output_and_progress_are_kept_per_attempt_and_told() {
    let hub = Hub::start();
    let (mut client, mut watcher) = (hub.client(), hub.client());
    let id = client.enqueue("x");
    watcher.call(
        "watch",
        json!({"task_id": id, "kinds": ["output", "progress"]}),
    );
    client.lease(json!({}));
    for (chunk, text) in [(0, "one "), (1, "two "), (1, "two "), (2, "drei ü")] {
        client.call(
            "output",
            json!({"task_id": id, "fence": 1, "chunk": chunk, "text": text}),
        );
    }
    client.call(
        "output",
        json!({"task_id": id, "fence": 1, "text": " and the next"}),
    );
    client.call(
        "progress",
        json!({"task_id": id, "fence": 1, "data": {"percent": 40}}),
    );
    client.call(
        "progress",
        json!({"task_id": id, "fence": 1, "data": {"percent": 80}}),
    );
    let got = client.call("get", json!({"task_id": id, "output": true}));
    assert_eq!(
        got["output"],
        json!([{"fence": 1, "text": "one two drei ü and the next", "cut": false, "next_chunk": 4}])
    );
    assert_eq!(got["progress"], json!({"percent": 80}));
    assert!(
        client
            .call("get", json!({"task_id": id}))
            .get("output")
            .is_none()
    );
    let told: Vec<Value> = (0..6).map(|_| watcher.notice("event")).collect();
    let texts: Vec<&str> = told.iter().filter_map(|e| e["text"].as_str()).collect();
    assert_eq!(texts, ["one ", "two ", "drei ü", " and the next"]);
    assert_eq!(
        (&told[4]["data"]["percent"], &told[5]["data"]["percent"]),
        (&json!(40), &json!(80))
    );
    // Pipelined, the ack does not overtake the output before it.
    let mut sent: Vec<u64> = (4..40)
        .map(|n| {
            client.send(
                "output",
                json!({"task_id": id, "fence": 1, "chunk": n, "text": "."}),
            )
        })
        .collect();
    sent.push(client.send("ack", json!({"task_id": id, "fence": 1, "status": "done"})));
    for id in sent {
        client.result(id);
    }
    let got = client.call("get", json!({"task_id": id, "output": true}));
    assert!(
        got["output"][0]["text"]
            .as_str()
            .unwrap()
            .ends_with(&".".repeat(36))
    );
    assert_eq!(
        word(&client.refused("output", json!({"task_id": id, "fence": 1, "text": "late"}))),
        "stale_lease"
    );
}

#[test]
fn a_lease_tells_the_number_of_its_attempt_where_some_do_not_count() {
    let hub = Hub::start();
    let mut client = hub.client();
    let id = client.enqueue("x");
    let lease = || {
        let mut worker = hub.client();
        let task = worker.lease(json!({"worker_id": "w"}));
        (task, worker)
    };
    let (task, mut worker) = lease();
    assert_eq!(
        (&task["attempts"], &task["attempt"]),
        (&json!(1), &json!(null))
    );
    worker.call("release", json!({"task_id": id, "fence": task["fence"]}));
    // It was given back, and does not count; nor do those before a retry.
    let (task, mut worker) = lease();
    assert_eq!(
        (&task["attempts"], &task["attempt"]),
        (&json!(1), &json!(2))
    );
    let failed = json!({"task_id": id, "fence": task["fence"], "status": "failed", "error": "e"});
    worker.call("ack", failed);
    client.call("retry", json!({"task_id": id}));
    let (task, _worker) = lease();
    assert_eq!(
        (&task["attempts"], &task["attempt"]),
        (&json!(1), &json!(3))
    );
    let answer = client.call("get", json!({"task_id": id}));
    assert_eq!(answer["attempts"].as_array().unwrap().len(), 2);
    assert_eq!(answer["task"]["attempt"], json!(null));
}
