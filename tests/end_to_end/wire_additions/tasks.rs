//! Tasks one by one and in lists: get, wait, cancel, retry, reject, pause, list.

use crate::common::{Client, Hub, Setup, ids, word};
use serde_json::{Value, json};
use std::time::Instant;

#[test]
fn get_tells_all_about_a_task() {
    let hub = Hub::start();
    let mut client = hub.client();
    for id in [json!(1), json!(-5), json!(i64::MAX)] {
        assert_eq!(
            word(&client.refused("get", json!({"task_id": id}))),
            "unknown_task"
        );
    }
    let id = client.enqueue("x");
    let got = client.call("get", json!({"task_id": id}));
    assert_eq!(
        (&got["task"]["fence"], &got["attempts"]),
        (&json!(0), &json!([]))
    );
    client.lease(json!({"worker_id": "w"}));
    client.call(
        "ack",
        json!({"task_id": id, "status": "done", "result": "r"}),
    );
    let attempt = client.call("get", json!({"task_id": id}))["attempts"][0].take();
    assert_eq!(
        (
            &attempt["fence"],
            &attempt["worker_id"],
            &attempt["outcome"]
        ),
        (&json!(1), &json!("w"), &json!("done"))
    );
    assert!(attempt["ended_at"].as_f64().unwrap() >= attempt["started_at"].as_f64().unwrap());
}

#[test]
fn wait_answers_when_all_have_ended() {
    let hub = Hub::start();
    let (mut client, mut waiter) = (hub.client(), hub.client());
    let (a, b) = (client.enqueue("a"), client.enqueue("b"));
    let waiting = waiter.send("wait", json!({"task_ids": [b, a], "timeout_seconds": 20}));
    waiter.call("stats", json!({}));
    client.call("lease", json!({"max_tasks": 2}));
    client.call(
        "ack",
        json!({"task_id": a, "status": "done", "result": "r"}),
    );
    client.call("cancel", json!({"task_id": b}));
    let answer = waiter.result(waiting);
    assert_eq!(
        (&answer["finished"], ids(&answer)),
        (&json!(true), vec![b, a])
    );
    assert_eq!(
        (&answer["tasks"][0]["status"], &answer["tasks"][1]["result"]),
        (&json!("cancelled"), &json!("r"))
    );
    // Tasks that have ended are returned at once; after the timeout the others are returned in their present state.
    assert_eq!(waiter.call("wait", json!({"task_id": a}))["finished"], true);
    let c = client.enqueue("c");
    for timeout in [json!(0), json!(0.2)] {
        let answer = waiter.call(
            "wait",
            json!({"task_ids": [a, c], "timeout_seconds": timeout}),
        );
        assert_eq!(
            (&answer["finished"], &answer["tasks"][1]["status"]),
            (&json!(false), &json!("queued"))
        );
    }
    assert_eq!(
        word(&waiter.refused("wait", json!({"task_ids": [a, 99]}))),
        "unknown_task"
    );
    assert_eq!(
        word(&waiter.refused("wait", json!({"task_ids": []}))),
        "invalid_params"
    );
}

#[test]
fn wait_without_patience_still_looks() {
    let hub = Hub::start();
    let mut client = hub.client();
    let id = client.enqueue("a");
    // Many times: time and look race.
    for _ in 0..50 {
        let answer = client.call("wait", json!({"task_ids": [id], "timeout_seconds": 0}));
        assert_eq!(
            (&answer["finished"], ids(&answer)),
            (&json!(false), vec![id])
        );
        let error = client.refused("wait", json!({"task_ids": [999], "timeout_seconds": 0}));
        assert_eq!(word(&error), "unknown_task");
    }
}

#[test]
fn waits_that_are_over_cost_nothing() {
    let hub = Hub::start();
    let mut client = hub.client();
    let id = client.enqueue("a");
    client.call("cancel", json!({"task_id": id}));
    let wait = |client: &mut Client| {
        client.call("wait", json!({"task_ids": [id], "timeout_seconds": 600}));
    };
    // The best of some rounds: neighbours make it slower, nothing makes it faster.
    let round = |client: &mut Client| {
        let asked = Instant::now();
        for _ in 0..100 {
            client.call("stats", json!({}));
        }
        asked.elapsed()
    };
    let best = |client: &mut Client| (0..5).map(|_| round(client)).min().unwrap();
    wait(&mut client);
    let before = best(&mut client);
    for _ in 0..5_000 {
        wait(&mut client);
    }
    let after = best(&mut client);
    assert!(
        after < before * 3,
        "100 questions took {before:?}, and {after:?} after 5,000 waits"
    );
}

#[test]
fn cancel_ends_a_task_and_tells_its_holder() {
    let hub = Hub::start();
    let (mut client, mut plain) = (hub.client(), hub.client());
    let mut holder = hub.session("s-1");
    let id = client.enqueue("x");
    let task = holder.lease(json!({}));
    assert_eq!(
        client.call("cancel", json!({"task_id": id, "reason": "not needed"})),
        json!({"ok": true})
    );
    let notice = holder.notice("cancel");
    assert_eq!(
        (&notice["task_id"], &notice["fence"]),
        (&json!(id), &task["fence"])
    );
    assert_eq!(
        word(&holder.refused("ack", json!({"task_id": id, "fence": 1, "status": "done"}))),
        "stale_lease"
    );
    assert_eq!(client.status(id), "cancelled");
    client.call("cancel", json!({"task_id": id}));
    assert_eq!(client.call("stats", json!({}))["stats"]["cancelled"], 1);
    // A connection that sent `hello` without a session is notified, too; one without `hello` never gets notifications.
    let mut greeted = hub.client();
    greeted.call("hello", json!({}));
    let second = client.enqueue("y");
    greeted.lease(json!({}));
    let third = client.enqueue("z");
    plain.lease(json!({}));
    client.call("cancel", json!({"task_id": second}));
    client.call("cancel", json!({"task_id": third}));
    assert_eq!(greeted.notice("cancel")["task_id"], second);
    plain.raw("{\"id\":\"only\",\"method\":\"stats\"}\n");
    assert_eq!(plain.read()["id"], "only");
    let done = client.enqueue("d");
    client.lease(json!({}));
    client.call("ack", json!({"task_id": done, "status": "done"}));
    assert_eq!(
        word(&client.refused("cancel", json!({"task_id": done}))),
        "wrong_state"
    );
    assert_eq!(
        word(&client.refused("cancel", json!({"task_id": 99}))),
        "unknown_task"
    );
}

#[test]
fn a_holder_is_told_that_its_lease_is_lost() {
    let hub = Hub::start();
    let mut holder = hub.session("s-1");
    let id = holder.enqueue("x");
    holder.lease(json!({"lease_seconds": 1}));
    let notice = holder.notice("lease_lost");
    assert_eq!(
        (&notice["task_id"], &notice["fence"], &notice["reason"]),
        (&json!(id), &json!(1), &json!("expired"))
    );
}

#[test]
fn retry_brings_one_task_back() {
    let hub = Hub::start();
    let mut client = hub.client();
    let id = client.enqueue("x");
    assert_eq!(
        word(&client.refused("retry", json!({"task_id": id}))),
        "wrong_state"
    );
    client.lease(json!({}));
    client.call(
        "ack",
        json!({"task_id": id, "status": "failed", "error": "e"}),
    );
    client.call("retry", json!({"task_id": id}));
    client.call("retry", json!({"task_id": id}));
    let task = client.lease(json!({}));
    assert_eq!(
        (&task["fence"], &task["attempts"], &task["error"]),
        (&json!(2), &json!(1), &Value::Null)
    );
    client.call("cancel", json!({"task_id": id}));
    client.call("retry", json!({"task_id": id}));
    assert_eq!(client.status(id), "queued");
}

#[test]
fn reject_fails_what_waits_for_a_person() {
    let hub = Hub::start();
    let mut client = hub.client();
    let human = client.enqueue_with(json!({"prompt": "may I?", "type": "human"}));
    let gated = client.enqueue_with(json!({"prompt": "rm", "requires_approval": true}));
    let chat = client.enqueue("x");
    for id in [human, gated] {
        client.call(
            "reject",
            json!({"task_id": id, "by": "ada", "reason": "too risky"}),
        );
        client.call("reject", json!({"task_id": id}));
        let task = client.task(id);
        assert_eq!(task["status"], "failed");
        assert!(
            task["error"].as_str().unwrap().contains("too risky"),
            "{task}"
        );
        assert_eq!(
            word(&client.refused("approve", json!({"task_id": id}))),
            "wrong_state"
        );
    }
    assert_eq!(
        word(&client.refused("reject", json!({"task_id": chat}))),
        "wrong_state"
    );
}

#[test]
fn a_paused_queue_hands_out_nothing_until_it_is_resumed() {
    let setup = Setup::new();
    let hub = setup.start();
    let (mut client, mut worker) = (hub.client(), hub.client());
    client.enqueue_with(json!({"prompt": "x", "queue": "docs"}));
    assert_eq!(
        client.call("pause", json!({"queue": "docs"})),
        json!({"ok": true, "paused": ["docs"]})
    );
    assert_eq!(
        worker.call("lease", json!({"queues": ["docs"]})),
        json!({"tasks": []})
    );
    let other = client.enqueue("other");
    assert_eq!(
        worker.lease(json!({"queues": ["docs", "default"]}))["task_id"],
        other
    );
    // It survives a restart of the hub.
    let hub = hub.kill().start();
    let (mut client, mut worker) = (hub.client(), hub.client());
    let parked = worker.send("lease", json!({"queues": ["docs"], "wait_seconds": 20}));
    worker.call("stats", json!({}));
    assert_eq!(
        client.call("resume", json!({"queue": "docs"})),
        json!({"ok": true, "paused": []})
    );
    assert_eq!(ids(&worker.result(parked)), [1]);
}

#[test]
fn all_queues_can_be_paused_at_once_those_without_tasks_too() {
    let hub = Hub::start();
    let mut client = hub.client();
    client.enqueue("x");
    assert_eq!(
        client.call("pause", json!({"queue": "empty"}))["paused"],
        json!(["empty"])
    );
    let paused = client.call("pause", json!({}))["paused"].take();
    assert_eq!(paused, json!(["*", "empty"]));
    assert_eq!(client.call("lease", json!({})), json!({"tasks": []}));
    assert_eq!(client.call("resume", json!({}))["paused"], json!([]));
    client.enqueue_with(json!({"prompt": "x", "queue": "empty"}));
    assert_eq!(
        ids(&client.call(
            "lease",
            json!({"queues": ["default", "empty"], "max_tasks": 5})
        )),
        [1, 2]
    );
}

#[test]
fn list_goes_page_by_page_with_filters() {
    let hub = Hub::start();
    let mut client = hub.client();
    for n in 0..25 {
        client.enqueue_with(json!({"prompt": "x", "queue": if n % 5 == 0 { "five" } else { "rest" }, "type": if n % 2 == 0 { "even" } else { "odd" }}));
    }
    for filter in [
        json!({}),
        json!({"status": "queued"}),
        json!({"queue": "rest"}),
        json!({"type": "odd"}),
        json!({"queue": "five", "type": "even", "status": "queued"}),
    ] {
        let mut all = filter.clone();
        all["limit"] = 0.into();
        let expected = ids(&client.call("list", all));
        let (mut seen, mut before) = (Vec::new(), Value::Null);
        for _ in 0..30 {
            let mut page = filter.clone();
            page["limit"] = 3.into();
            page["before"] = before;
            let answer = client.call("list", page);
            seen.extend(ids(&answer));
            before = answer["next"].clone();
            if before.is_null() {
                break;
            }
        }
        assert_eq!(seen, expected, "{filter}");
        assert!(seen.windows(2).all(|pair| pair[0] > pair[1]));
    }
    assert_eq!(
        ids(&client.call("list", json!({"queue": "five"}))),
        [21, 16, 11, 6, 1]
    );
}
