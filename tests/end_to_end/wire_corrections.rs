//! Where the Python hub was wrong and this one is right: part 2 of the wire protocol, row by row.

use crate::common::{Client, Hub, PATIENCE, Setup, ids, sentence, until, word};
use kirosu_protocol::client::{Client as HubClient, ClientOptions, Endpoint};
use kirosu_protocol::limits::NESTING_MAX;
use kirosu_protocol::{GetParams, LeaseParams, ListParams, NewTask};
use rustix::process::Signal;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

/// A lease that expires, and the next one of the same task for another worker.
fn expire_and_lease_again(hub: &Hub, slow: &mut Client, quick: &mut Client) -> i64 {
    let id = slow.enqueue("x");
    let first = slow.lease(json!({"worker_id": "slow", "lease_seconds": 1}));
    assert_eq!(
        (&first["task_id"], &first["fence"]),
        (&json!(id), &json!(1))
    );
    let second = quick.lease(json!({"worker_id": "quick"}));
    assert_eq!(
        (&second["task_id"], &second["fence"]),
        (&json!(id), &json!(2)),
        "{}",
        hub.log()
    );
    id
}

#[test]
fn a_late_ack_does_not_overwrite_the_newer_lease() {
    let hub = Hub::start();
    let (mut slow, mut quick) = (hub.client(), hub.client());
    let id = expire_and_lease_again(&hub, &mut slow, &mut quick);
    let late = json!({"task_id": id, "status": "done", "result": "late"});
    // On the connection that leased it, a plain ack speaks for that lease.
    assert_eq!(word(&slow.refused("ack", late.clone())), "stale_lease");
    // Elsewhere the name of the worker, or the fence, distinguishes them.
    let mut other = hub.client();
    let mut named = late.clone();
    named["worker_id"] = "slow".into();
    assert_eq!(word(&other.refused("ack", named)), "stale_lease");
    let mut fenced = late.clone();
    fenced["fence"] = 1.into();
    assert_eq!(word(&other.refused("ack", fenced)), "stale_lease");
    assert_eq!(quick.status(id), "leased");
    quick.call(
        "ack",
        json!({"task_id": id, "status": "done", "result": "newer"}),
    );
    assert_eq!(word(&slow.refused("ack", late)), "stale_lease");
    assert_eq!(quick.task(id)["result"], "newer");
}

#[test]
fn an_ack_after_the_deadline_counts_while_nobody_else_has_the_task() {
    let hub = Hub::start();
    let mut client = hub.client();
    let id = client.enqueue("x");
    client.lease(json!({"worker_id": "slow", "lease_seconds": 1}));
    let mut watcher = hub.client();
    watcher.call("watch", json!({"since": 0, "task_id": id}));
    until("the lease expired", || {
        (watcher.notice("event")["reason"] == "lost").then_some(())
    });
    client.call(
        "ack",
        json!({"task_id": id, "status": "done", "result": "late but alone"}),
    );
    assert_eq!(client.task(id)["result"], "late but alone");
    assert_eq!(client.call("lease", json!({})), json!({"tasks": []}));
}

#[test]
fn an_ack_in_another_name_is_refused() {
    let hub = Hub::start();
    let mut client = hub.client();
    let id = client.enqueue("x");
    client.lease(json!({"worker_id": "a"}));
    let ack = |worker: &str| json!({"task_id": id, "status": "done", "worker_id": worker});
    assert_eq!(word(&client.refused("ack", ack("b"))), "stale_lease");
    assert_eq!(word(&hub.client().refused("ack", ack("b"))), "stale_lease");
    assert_eq!(client.status(id), "leased");
    hub.client().call("ack", ack("a"));
    assert_eq!(client.status(id), "done");
}

#[test]
fn acks_of_what_is_not_leased_are_errors_of_their_own() {
    let hub = Hub::start();
    let mut client = hub.client();
    for id in [json!(99), json!(0), json!(-1), json!(i64::MAX)] {
        assert_eq!(
            word(&client.refused("ack", json!({"task_id": id, "status": "done"}))),
            "unknown_task",
            "{id}"
        );
    }
    let id = client.enqueue("x");
    let error = client.refused("ack", json!({"task_id": id, "status": "done"}));
    assert_eq!(word(&error), "wrong_state", "{error}");
    assert_eq!(client.status(id), "queued");
    assert_eq!(
        word(&client.refused("ack", json!({"task_id": id, "status": "done", "fence": 1}))),
        "stale_lease"
    );
}

#[test]
fn the_same_ack_twice_is_fine_and_another_one_is_not() {
    let hub = Hub::start();
    let mut client = hub.client();
    for status in ["done", "failed"] {
        let id = client.enqueue("x");
        client.lease(json!({"worker_id": "w"}));
        let ack = json!({"task_id": id, "status": status, "result": "r"});
        client.call("ack", ack.clone());
        client.call("ack", ack.clone());
        hub.client().call("ack", ack.clone());
        let mut fenced = ack.clone();
        fenced["fence"] = 1.into();
        hub.client().call("ack", fenced);
        let other =
            json!({"task_id": id, "status": if status == "done" { "failed" } else { "done" }});
        assert_eq!(word(&client.refused("ack", other)), "stale_lease");
        assert_eq!(client.status(id), status);
    }
    assert_eq!(client.call("stats", json!({}))["stats"]["done"], 1);
}

#[test]
fn a_failed_ack_is_final_and_a_lost_lease_is_not() {
    let hub = Hub::start();
    let mut client = hub.client();
    let id = client.enqueue("x");
    for fence in 1..=3 {
        let task = client.lease(json!({"lease_seconds": 1}));
        assert_eq!(
            (&task["task_id"], &task["fence"]),
            (&json!(id), &json!(fence))
        );
    }
    let task = client.lease(json!({}));
    assert_eq!(task["attempts"], 4);
    client.call(
        "ack",
        json!({"task_id": id, "status": "failed", "error": "no"}),
    );
    assert_eq!(client.status(id), "failed");
}

#[test]
fn approve_runs_nothing_and_skips_nothing() {
    let hub = Hub::start();
    let mut client = hub.client();
    assert_eq!(
        word(&client.refused("approve", json!({"task_id": 1}))),
        "unknown_task"
    );
    let chat = client.enqueue("x");
    assert_eq!(
        word(&client.refused("approve", json!({"task_id": chat}))),
        "wrong_state"
    );
    assert_eq!(client.status(chat), "queued");
    client.lease(json!({}));
    assert_eq!(
        word(&client.refused("approve", json!({"task_id": chat}))),
        "wrong_state"
    );
    client.call("ack", json!({"task_id": chat, "status": "failed"}));
    assert_eq!(
        word(&client.refused("approve", json!({"task_id": chat}))),
        "wrong_state"
    );
    // A task that waits for approval becomes runnable, not done.
    let gated = client.enqueue_with(json!({"prompt": "rm", "requires_approval": true}));
    assert_eq!(client.status(gated), "awaiting_approval");
    assert_eq!(client.call("lease", json!({})), json!({"tasks": []}));
    client.call("approve", json!({"task_id": gated}));
    assert_eq!(client.status(gated), "queued");
    assert_eq!(client.lease(json!({}))["task_id"], gated);
}

#[test]
fn human_tasks_are_never_leased() {
    let hub = Hub::start();
    let mut client = hub.client();
    client.enqueue_with(json!({"prompt": "you", "type": "human"}));
    assert_eq!(
        client.call("lease", json!({"max_tasks": 10})),
        json!({"tasks": []})
    );
    assert_eq!(
        client.call("lease", json!({"types": ["human"]})),
        json!({"tasks": []})
    );
    let parked = client.send(
        "lease",
        json!({"wait_seconds": 20, "types": ["human", "chat"]}),
    );
    hub.client()
        .enqueue_with(json!({"prompt": "you too", "type": "human"}));
    let chat = hub.client().enqueue("me");
    assert_eq!(ids(&client.result(parked)), [chat]);
}

#[test]
fn leases_expire_on_time_on_a_fresh_hub_and_have_a_grace_after_a_restart() {
    let hub = Hub::with(&["lease.heartbeat_grace=1h"]);
    let mut client = hub.client();
    let id = client.enqueue("x");
    client.lease(json!({"lease_seconds": 1}));
    assert_eq!(client.lease(json!({"lease_seconds": 1}))["fence"], 2);
    let hub = hub.kill().start();
    let mut client = hub.client();
    let nobody = client.call("lease", json!({"wait_seconds": 1.5}));
    assert_eq!(
        nobody,
        json!({"tasks": []}),
        "its holder may be on its way back"
    );
    client.call("ack", json!({"task_id": id, "fence": 2, "status": "done"}));
}

#[test]
fn a_heartbeat_extends_the_lease() {
    let hub = Hub::start();
    let mut client = hub.client();
    let id = client.enqueue("x");
    let task = client.lease(json!({"lease_seconds": 1, "worker_id": "w"}));
    let until_first = task["leased_until"].as_f64().unwrap();
    let answer = client.call(
        "heartbeat",
        json!({"task_id": id, "fence": task["fence"], "lease_seconds": 60}),
    );
    assert_eq!(answer["ok"], true);
    assert!(
        answer["leased_until"].as_f64().unwrap() > until_first + 50.0,
        "{answer}"
    );
    assert_eq!(client.task(id)["leased_until"], answer["leased_until"]);
    // After the first deadline no other worker gets it.
    assert_eq!(
        hub.client().call("lease", json!({"wait_seconds": 1.5})),
        json!({"tasks": []})
    );
    assert_eq!(client.status(id), "leased");
    // Plain: the connection knows the lease; as long as it was taken for.
    let answer = client.call("heartbeat", json!({"task_id": id}));
    assert!(
        answer["leased_until"].as_f64().unwrap() < until_first + 40.0,
        "{answer}"
    );
    assert_eq!(
        word(&client.refused("heartbeat", json!({"task_id": id, "fence": 7}))),
        "stale_lease"
    );
    assert_eq!(
        word(&client.refused("heartbeat", json!({"task_id": id, "worker_id": "v"}))),
        "stale_lease"
    );
    assert_eq!(
        word(&client.refused("heartbeat", json!({"task_id": 77, "fence": 1}))),
        "unknown_task"
    );
    client.call("ack", json!({"task_id": id, "status": "done"}));
    assert_eq!(
        word(&client.refused("heartbeat", json!({"task_id": id}))),
        "stale_lease"
    );
}

#[test]
fn a_plain_heartbeat_on_another_connection_means_the_current_lease() {
    let hub = Hub::start();
    let mut client = hub.client();
    let id = client.enqueue("x");
    client.lease(json!({"worker_id": "w"}));
    let mut other = hub.client();
    assert_eq!(
        other.call("heartbeat", json!({"task_id": id, "lease_seconds": 60}))["ok"],
        true
    );
    assert_eq!(
        other.call("heartbeat", json!({"task_id": id, "worker_id": "w"}))["ok"],
        true
    );
    assert_eq!(
        word(&other.refused("heartbeat", json!({"task_id": id, "worker_id": "v"}))),
        "stale_lease"
    );
    other.call("progress", json!({"task_id": id, "data": {"percent": 3}}));
    other.call("output", json!({"task_id": id, "text": "one "}));
    other.call("output", json!({"task_id": id, "text": "two"}));
    let got = other.call("get", json!({"task_id": id, "output": true}));
    assert_eq!(
        (&got["progress"]["percent"], &got["output"][0]["text"]),
        (&json!(3), &json!("one two"))
    );
    other.call("release", json!({"task_id": id, "worker_id": "w"}));
    assert_eq!(other.status(id), "queued");
}

#[test]
fn a_waiting_lease_wakes_at_once() {
    let hub = Hub::start();
    let (mut worker, mut client) = (hub.client(), hub.client());
    let mut times: Vec<Duration> = (0..200)
        .map(|_| {
            let parked = worker.send("lease", json!({"wait_seconds": 20}));
            // Parked requests may be overtaken: when this is answered, the lease is waiting.
            worker.call("stats", json!({}));
            let begun = Instant::now();
            let id = client.enqueue("x");
            assert_eq!(ids(&worker.result(parked)), [id]);
            let took = begun.elapsed();
            worker.call("ack", json!({"task_id": id, "status": "done"}));
            took
        })
        .collect();
    times.sort();
    // An agent that polls once a second would need half a second; the bound leaves time for a debug build on a busy machine.
    assert!(
        times[100] < Duration::from_millis(50),
        "median {:?}",
        times[100]
    );
    eprintln!(
        "enqueue to start, debug build: median {:?}, p99 {:?}",
        times[100], times[198]
    );
}

#[test]
fn shutdown_answers_those_who_wait_and_keeps_leases_for_their_holders() {
    let mut hub = Hub::start();
    let (mut holder, mut waiting, mut idle) = (hub.client(), hub.client(), hub.client());
    let id = holder.enqueue("x");
    let task = holder.lease(json!({"worker_id": "w"}));
    let parked = waiting.send("lease", json!({"wait_seconds": 600}));
    waiting.call("stats", json!({}));
    idle.call("stats", json!({}));
    let begun = Instant::now();
    hub.client().call("shutdown", json!({}));
    assert_eq!(hub.ended().code(), Some(0), "{}", hub.log());
    assert!(
        begun.elapsed() < Duration::from_secs(10),
        "took {:?}",
        begun.elapsed()
    );
    assert!(idle.is_closed());
    drop((parked, waiting));
    let hub = hub.setup.start();
    let mut client = hub.client();
    let now = client.task(id);
    assert_eq!(
        (&now["status"], &now["fence"], &now["attempts"]),
        (&json!("leased"), &task["fence"], &json!(1))
    );
    client.call(
        "ack",
        json!({"task_id": id, "fence": task["fence"], "status": "done", "result": "r"}),
    );
    assert_eq!(client.task(id)["result"], "r");
}

#[test]
fn sigterm_and_sigint_end_in_good_order() {
    for signal in [Signal::TERM, Signal::INT] {
        let mut hub = Hub::start();
        let mut client = hub.client();
        client.enqueue("kept");
        hub.signal(signal);
        assert_eq!(hub.ended().code(), Some(0), "{}", hub.log());
        assert!(client.is_closed());
        assert!(!hub.log().contains("panicked"), "{}", hub.log());
        let hub = hub.setup.start();
        assert_eq!(hub.client().task(1)["prompt"], "kept");
    }
}

#[test]
fn a_line_without_end_costs_no_memory() {
    let hub = Hub::with(&["limits.line_bytes=1MiB", "limits.prompt_bytes=1MiB"]);
    let mut client = hub.client();
    client.call("stats", json!({}));
    let before = hub.resident();
    let megabyte = vec![b'x'; 1 << 20];
    let mut most = 0;
    for _ in 0..100 {
        client.raw(&megabyte);
        most = most.max(hub.resident());
    }
    let error = client.read()["error"].take();
    assert_eq!(word(&error), "too_large");
    assert!(sentence(&error).contains("1048576 bytes"), "{error}");
    client.raw("\n");
    client.call("stats", json!({}));
    most = most.max(hub.resident());
    assert!(
        most < before + (12 << 20),
        "{before} bytes before, {most} at most"
    );
    // A long line that has its end, in one piece with the next: the next is answered.
    client.raw(
        [
            &megabyte[..],
            b"yy\n{\"id\":\"next\",\"method\":\"stats\"}\n",
        ]
        .concat(),
    );
    assert_eq!(word(&client.read()["error"]), "too_large");
    assert_eq!(client.read()["id"], "next");
}

#[test]
fn deep_nesting_is_refused_and_harmless() {
    let hub = Hub::start();
    let mut client = hub.client();
    for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
        for levels in [63, 200, 100_000] {
            let middle = if open == "[" { "" } else { "1" };
            let deep = open.repeat(levels) + middle + &close.repeat(levels);
            let line = format!(
                "{{\"id\":1,\"method\":\"enqueue\",\"params\":{{\"prompt\":\"x\",\"metadata\":{deep}}}}}"
            );
            let error = client.exchange(line)["error"].take();
            assert_eq!(word(&error), "too_large", "{levels}");
            assert!(sentence(&error).contains("64 levels"), "{error}");
        }
    }
    // Never closed, and brackets within text.
    assert_eq!(
        word(&client.exchange("[".repeat(100_000))["error"]),
        "too_large"
    );
    let id = client.enqueue(&"[{".repeat(10_000));
    assert_eq!(client.task(id)["prompt"].as_str().unwrap().len(), 20_000);
    assert_eq!(client.call("stats", json!({}))["stats"]["total_tasks"], 1);
}

#[tokio::test]
async fn a_task_nested_to_the_limit_is_read_in_every_answer() {
    let hub = Hub::with(&[&format!("limits.nesting={NESTING_MAX}")]);
    let endpoint = Endpoint::Tcp("127.0.0.1".into(), hub.port);
    let client = HubClient::connect(endpoint, ClientOptions::default()).await;
    let client = client.expect("a connection");
    // The request adds two levels.
    let nested = |levels| (1..levels).fold(json!([]), |inner, _| json!([inner]));
    let with = |metadata| NewTask {
        metadata: Some(metadata),
        ..NewTask::chat("x")
    };
    let deepest = nested(NESTING_MAX - 2);
    let task_id = client
        .request(&with(deepest.clone()))
        .await
        .unwrap()
        .task_id;
    let too_deep = client.request(&with(nested(NESTING_MAX - 1))).await;
    assert!(too_deep.unwrap_err().refusal().is_some());
    let listed = client.request(&ListParams::default()).await.unwrap();
    let leased = client.request(&LeaseParams::one("w")).await.unwrap();
    let get = GetParams {
        task_id,
        ..GetParams::default()
    };
    let found = client.request(&get).await.unwrap();
    for task in [&listed.tasks[0], &leased.tasks[0], &found.task] {
        assert_eq!(task.metadata.as_ref(), Some(&deepest));
    }
}

#[test]
fn connections_beyond_the_limit_are_told_so() {
    let hub = Hub::with(&["limits.connections=5"]);
    let mut clients: Vec<Client> = (0..5).map(|_| hub.client()).collect();
    for client in &mut clients {
        client.call("stats", json!({}));
    }
    let mut sixth = hub.client();
    let error = sixth.read();
    assert!(error["id"].is_null());
    assert_eq!(word(&error["error"]), "busy");
    assert!(sentence(&error["error"]).contains('5'), "{error}");
    assert!(sixth.is_closed());
    // A closed connection frees its place.
    clients.pop();
    until("a place is free", || {
        let mut client = hub.client();
        client.raw("{\"id\":1,\"method\":\"stats\"}\n");
        (client.read()["id"] == 1).then_some(())
    });
    clients[0].call("stats", json!({}));
}

#[test]
fn requests_beyond_a_connections_limit_wait_their_turn() {
    let hub = Hub::with(&["limits.in_flight_per_connection=4"]);
    let mut client = hub.client();
    let sent: Vec<u64> = (0..500)
        .map(|_| client.send("enqueue", json!({"prompt": "x"})))
        .collect();
    for (at, id) in sent.into_iter().enumerate() {
        assert_eq!(client.result(id)["task_id"], at as i64 + 1);
    }
    let wait = json!({"queues": ["none"], "wait_seconds": 30});
    for _ in 0..4 {
        client.send("lease", wait.clone());
    }
    client.call("stats", json!({}));
    assert_eq!(word(&client.refused("lease", wait)), "busy");
}

#[test]
fn absurd_numbers_are_refused_with_the_range() {
    let hub = Hub::start();
    let mut client = hub.client();
    let id = client.enqueue("x");
    for (params, range) in [
        (json!({"lease_seconds": -1}), "from 1 to 86400"),
        (json!({"lease_seconds": 0.5}), "from 1 to 86400"),
        (json!({"lease_seconds": 1e12}), "from 1 to 86400"),
        (json!({"lease_seconds": "soon"}), "from 1 to 86400"),
        (json!({"max_tasks": -1}), "from 1 to 1000"),
        (json!({"max_tasks": 1001}), "from 1 to 1000"),
        (json!({"max_tasks": 1.5}), "from 1 to 1000"),
        (json!({"wait_seconds": 1e9}), "from 0 to 3600"),
        (json!({"worker_id": "w".repeat(257)}), "256 bytes"),
        (json!({"queues": [7]}), "strings"),
    ] {
        let error = client.refused("lease", params.clone());
        assert_eq!(word(&error), "invalid_params");
        assert!(sentence(&error).contains(range), "{params}: {error}");
    }
    assert_eq!(client.status(id), "queued", "nothing was clamped");
    client.lease(json!({"lease_seconds": 86400}));
    let error = client.refused("heartbeat", json!({"task_id": id, "lease_seconds": 86401}));
    assert!(sentence(&error).contains("from 1 to 86400"), "{error}");
}

#[test]
fn python_needs_the_opt_in_and_the_error_names_the_switch() {
    let setup = Setup::new();
    let mut hub = setup.start();
    let mut client = hub.client();
    for (method, params) in [
        ("enqueue", json!({"prompt": "print(1)", "type": "python"})),
        (
            "enqueue_batch",
            json!({"tasks": [{"prompt": "x"}, {"prompt": "print(1)", "type": "python"}]}),
        ),
    ] {
        let error = client.refused(method, params);
        assert_eq!(word(&error), "not_trusted");
        for switch in [
            "kirosu hub --trust-all-tools",
            "kirosu agent --trust-all-tools",
            "trust_all_tools = true",
        ] {
            assert!(sentence(&error).contains(switch), "{error}");
        }
    }
    assert_eq!(client.call("stats", json!({}))["stats"]["total_tasks"], 0);
    client.call("shutdown", json!({}));
    hub.ended();
    let hub = setup.argument("--trust-all-tools").start();
    let mut client = hub.client();
    let id = client.enqueue_with(json!({"prompt": "print(1)", "type": "python"}));
    assert_eq!(client.lease(json!({}))["task_id"], id);
}

#[test]
fn what_broke_the_python_hub_is_refused_and_harms_nobody() {
    let hub = Hub::start();
    let (mut client, mut other) = (hub.client(), hub.client());
    let id = client.enqueue("x");
    client.lease(json!({"worker_id": "w"}));
    let two_to_70 = "1180591620717411303424";
    for line in [
        format!(
            r#"{{"id":1,"method":"ack","params":{{"task_id":{id},"status":"done","result":"\ud800"}}}}"#
        ),
        format!(r#"{{"id":1,"method":"ack","params":{{"task_id":{two_to_70},"status":"done"}}}}"#),
        format!(r#"{{"id":1,"method":"approve","params":{{"task_id":{two_to_70}}}}}"#),
        format!(r#"{{"id":1,"method":"lease","params":{{"max_tasks":{two_to_70}}}}}"#),
        format!(r#"{{"id":1,"method":"list","params":{{"limit":{two_to_70}}}}}"#),
        r#"{"id":1,"method":"enqueue","params":{"prompt":"\udfff"}}"#.to_owned(),
        r#"{"id":1,"method":"enqueue","params":{"prompt":"a","type":"\ud800x"}}"#.to_owned(),
        r#"{"id":1,"method":"lease","params":{"worker_id":"\ud83c"}}"#.to_owned(),
        r#"{"id":1,"method":"enqueue","params":{"prompt":null}}"#.to_owned(),
        r#"{"id":1,"method":"ack","params":{"task_id":1.9,"status":"done"}}"#.to_owned(),
        r#"{"id":1,"method":"ack","params":{"task_id":"1.9","status":"done"}}"#.to_owned(),
        r#"{"id":1,"method":"ack","params":{"task_id":true,"status":"done"}}"#.to_owned(),
        r#"{"id":1,"method":"ack","params":{"status":"done"}}"#.to_owned(),
        r#"{"id":1,"method":"enqueue","params":{"prompt":"x","priority":1e999}}"#.to_owned(),
    ] {
        let answer = client.exchange(&line);
        assert_eq!(answer["error"]["code"], -32602, "{line} {answer}");
        assert!(sentence(&answer["error"]).len() > 20, "{answer}");
        // Every fifth request failed for all clients, until a restart.
        for _ in 0..6 {
            assert_eq!(other.call("stats", json!({}))["stats"]["total_tasks"], 1);
        }
    }
    assert_eq!(client.task(id)["result"], Value::Null);
    client.call(
        "ack",
        json!({"task_id": id, "status": "done", "result": "fine"}),
    );
    assert_eq!(other.enqueue("y"), 2, "no number was used up");
}

#[test]
fn numbers_that_are_none_are_no_ids() {
    let hub = Hub::start();
    let mut client = hub.client();
    for id in [
        "NaN",
        "Infinity",
        "-Infinity",
        "1e999",
        "-1e999",
        "[1e999]",
        "\"\\ud800\"",
        "01",
        "+1",
        "nul",
    ] {
        let answer = client.exchange(format!(
            "{{\"id\":{id},\"method\":\"enqueue\",\"params\":{{\"prompt\":\"x\"}}}}"
        ));
        assert!(answer["id"].is_null(), "{answer}");
        let code = answer["error"]["code"].as_i64().unwrap();
        assert!([-32700, -32600].contains(&code), "{id}: {answer}");
    }
    assert_eq!(client.call("stats", json!({}))["stats"]["total_tasks"], 0);
    // 2^70 is a number like others, and comes back as it was written.
    client.raw("{\"id\":1180591620717411303424,\"method\":\"stats\"}\n");
    assert!(client.line().contains("\"id\":1180591620717411303424,"));
}

#[test]
fn a_taken_port_is_one_sentence_and_an_exit_code() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut setup = Setup::new();
    setup.port = taken.local_addr().unwrap().port();
    let (status, output, errors) = setup.run();
    assert_eq!((status.code(), output.as_str()), (Some(1), ""), "{errors}");
    assert_eq!(errors.trim().lines().count(), 1, "{errors}");
    assert!(
        errors.contains(&format!("cannot listen on 127.0.0.1:{}", setup.port))
            && errors.contains("--port"),
        "{errors}"
    );
    assert!(!errors.contains("panicked"), "{errors}");
}

#[test]
fn a_second_hub_on_the_same_file_is_refused() {
    let first = Hub::start();
    let (status, output, errors) = first.setup.run();
    assert_eq!((status.code(), output.as_str()), (Some(1), ""), "{errors}");
    assert_eq!(errors.trim().lines().count(), 1, "{errors}");
    assert!(errors.contains("kirosu.db"), "{errors}");
    first.client().enqueue("the first is unharmed");
}

#[test]
fn a_thousand_connections_at_once_do_not_stall() {
    let hub = Hub::start();
    let begun = Instant::now();
    let streams: Vec<TcpStream> = (0..1000)
        .map(|_| TcpStream::connect(("127.0.0.1", hub.port)).unwrap())
        .collect();
    for (at, mut stream) in streams.iter().enumerate() {
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let line =
            json!({"id": at, "method": "enqueue", "params": {"prompt": "x"}}).to_string() + "\n";
        stream.write_all(line.as_bytes()).unwrap();
    }
    let mut seen = std::collections::HashSet::new();
    for (at, stream) in streams.iter().enumerate() {
        let mut line = String::new();
        BufReader::new(stream).read_line(&mut line).unwrap();
        let answer: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(answer["id"], at);
        assert!(seen.insert(answer["result"]["task_id"].as_i64().unwrap()));
    }
    // The Python hub took 16 seconds for a hundred.
    assert!(
        begun.elapsed() < Duration::from_secs(10),
        "took {:?}",
        begun.elapsed()
    );
    assert_eq!(
        hub.client().call("stats", json!({}))["stats"]["total_tasks"],
        1000
    );
    let connections = |client: &mut Client| {
        let metrics = client.call("metrics", json!({}))["metrics"].take();
        let mut metrics = metrics.as_array().unwrap().iter();
        metrics
            .find(|metric| metric["name"] == "kirosu_connections")
            .unwrap()["value"]
            .as_f64()
            .unwrap()
    };
    let mut client = hub.client();
    assert!(connections(&mut client) >= 1000.0);
    drop(streams);
    until("they are forgotten", || {
        (connections(&mut client) <= 1.0).then_some(())
    });
}

#[test]
fn what_clients_leave_behind_is_forgotten() {
    let hub = Hub::with(&["limits.in_flight_per_connection=8"]);
    let mut client = hub.client();
    for round in 0..40 {
        let mut rude = hub.client();
        let mut lines = String::new();
        for id in 0..12 {
            let (method, params) = match (id + round) % 6 {
                0 => ("lease", json!({"wait_seconds": 3000, "queues": ["none"]})),
                1 => ("enqueue", json!({"prompt": "x", "type": "python"})),
                2 => ("list", json!({})),
                3 => ("wait", json!({"task_ids": [9999]})),
                4 => ("watch", json!({"since": 0})),
                _ => ("enqueue", json!({"prompt": [5]})),
            };
            lines += &json!({"id": id, "method": method, "params": params}).to_string();
            lines += "\n";
        }
        rude.raw(&lines[..lines.len() - round]);
        if round % 2 == 0 {
            rude.read();
        }
    }
    until("nothing of them is left", || {
        let metrics = client.call("metrics", json!({}))["metrics"].take();
        let value = |name: &str| {
            let mut metrics = metrics.as_array().unwrap().iter();
            metrics.find(|metric| metric["name"] == name).unwrap()["value"]
                .as_f64()
                .unwrap()
        };
        let left = (
            value("kirosu_connections"),
            value("kirosu_requests_in_flight"),
        );
        (left == (1.0, 1.0)).then_some(())
    });
    let tree = client.call("tree", json!({}))["tree"].to_string();
    assert!(!tree.contains("\"restarts\":1"), "{tree}");
}

#[test]
fn pipelined_answers_do_not_wait_for_each_other_on_the_wire() {
    let hub = Hub::start();
    let mut client = hub.client();
    client.enqueue("x");
    let begun = Instant::now();
    for _ in 0..50 {
        client.raw("{\"id\":1,\"method\":\"stats\"}\n");
        client.raw("{\"id\":2,\"method\":\"stats\"}\n");
        assert_eq!(
            (client.read()["id"].take(), client.read()["id"].take()),
            (json!(1), json!(2))
        );
    }
    // With Nagle's delay each pair took 40 ms.
    assert!(
        begun.elapsed() < Duration::from_secs(1),
        "took {:?}",
        begun.elapsed()
    );
}

#[test]
fn a_flood_of_refused_lines_is_answered_to_the_end() {
    let hub = Hub::start();
    let mut client = hub.client();
    client.call("stats", json!({}));
    let mut sending = client.another_handle();
    let flood = std::thread::spawn(move || sending.write_all(&b"x\n".repeat(200_000)).unwrap());
    for _ in 0..200_000 {
        assert!(client.line().contains("-32700"));
    }
    flood.join().unwrap();
    client.call("stats", json!({}));
}

#[test]
fn a_client_that_does_not_read_holds_up_nobody() {
    let hub = Hub::start();
    let mut client = hub.client();
    client.enqueue_with(json!({"prompt": "x".repeat(100_000)}));
    let before = hub.resident();
    let mut deaf = TcpStream::connect(("127.0.0.1", hub.port)).unwrap();
    deaf.set_nonblocking(true).unwrap();
    let line = b"{\"id\":1,\"method\":\"list\"}\n";
    let mut sent = 0;
    // Until the hub stops reading: TCP flow control slows the client.
    while let Ok(n) = deaf.write(&line[sent % line.len()..]) {
        sent += n;
        if sent > 64 << 20 {
            break;
        }
    }
    client.call("stats", json!({}));
    assert!(
        hub.resident() < before + (64 << 20),
        "{} bytes before, {} now",
        before,
        hub.resident()
    );
    // A client that reads late still gets everything.
    deaf.set_nonblocking(false).unwrap();
    deaf.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut reader = BufReader::new(deaf.take(1 << 20));
    let mut first = String::new();
    reader.read_line(&mut first).unwrap();
    assert!(first.contains("\"stats\""));
}
