//! Parameters of `enqueue`.

use crate::common::{Hub, Setup, ids, sentence, word};
use crate::wire_additions::numbers;
use serde_json::json;
use std::time::{Duration, Instant};

#[test]
fn queues_are_apart_and_priority_goes_first() {
    let hub = Hub::start();
    let mut client = hub.client();
    let plain = client.enqueue("plain");
    let docs = client.enqueue_with(json!({"prompt": "d", "queue": "docs"}));
    let low = client.enqueue_with(json!({"prompt": "l", "queue": "docs", "priority": -5}));
    let high = client.enqueue_with(json!({"prompt": "h", "queue": "docs", "priority": 10}));
    let high_later = client
        .enqueue_with(json!({"prompt": "h", "queue": "docs", "priority": 10, "type": "other"}));
    assert_eq!(
        ids(&client.call("lease", json!({"max_tasks": 9}))),
        [plain],
        "no queue named: the default one"
    );
    assert_eq!(
        ids(&client.call("lease", json!({"queues": ["docs"], "max_tasks": 3}))),
        [high, high_later, docs]
    );
    let late = client.enqueue_with(json!({"prompt": "later", "priority": 1}));
    assert_eq!(
        ids(&client.call(
            "lease",
            json!({"queues": ["docs", "default"], "max_tasks": 9})
        )),
        [late, low]
    );
    assert_eq!(client.task(low)["queue"], "docs");
    assert_eq!(client.task(low)["priority"], -5);
    assert!(
        sentence(&client.refused("enqueue", json!({"prompt": "x", "priority": 1001})))
            .contains("-1000 to 1000")
    );
}

#[test]
fn leases_take_the_types_they_name() {
    let hub = Hub::start();
    let mut client = hub.client();
    let chat = client.enqueue("c");
    let build = client.enqueue_with(json!({"prompt": "b", "type": "build"}));
    let test = client.enqueue_with(json!({"prompt": "t", "type": "test"}));
    assert_eq!(
        ids(&client.call("lease", json!({"types": ["test"], "max_tasks": 5}))),
        [test]
    );
    assert_eq!(
        ids(&client.call("lease", json!({"types": "nothing", "max_tasks": 5}))),
        [0; 0]
    );
    assert_eq!(
        ids(&client.call("lease", json!({"exclude_types": ["chat"], "max_tasks": 5}))),
        [build]
    );
    assert_eq!(ids(&client.call("lease", json!({"max_tasks": 5}))), [chat]);
}

#[test]
fn a_delayed_task_starts_at_its_time_without_a_poll() {
    let hub = Hub::start();
    let mut client = hub.client();
    let now = || {
        std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .unwrap()
            .as_secs_f64()
    };
    let delayed = client.enqueue_with(json!({"prompt": "x", "delay_seconds": 0.7}));
    let at = now() + 0.4;
    let timed = client.enqueue_with(json!({"prompt": "x", "run_at": at}));
    let past = client.enqueue_with(json!({"prompt": "x", "run_at": 1000}));
    assert_eq!(
        (client.status(delayed), client.status(timed)),
        ("scheduled".into(), "scheduled".into())
    );
    assert!((client.task(timed)["run_at"].as_f64().unwrap() - at).abs() < 0.01);
    assert_eq!(client.lease(json!({}))["task_id"], past);
    assert_eq!(client.lease(json!({}))["task_id"], timed);
    assert!(now() >= at - 0.002, "not before its time");
    assert_eq!(client.lease(json!({}))["task_id"], delayed);
    let error = client.refused(
        "enqueue",
        json!({"prompt": "x", "run_at": 5, "delay_seconds": 5}),
    );
    assert!(sentence(&error).contains("not both"));
}

#[test]
fn failed_attempts_are_retried_with_backoff_until_they_are_spent() {
    let hub = Hub::start();
    let mut client = hub.client();
    let id = client.enqueue_with(json!({"prompt": "x", "max_attempts": 3, "retry": {"initial_seconds": 0.2, "factor": 2, "max_seconds": 1}}));
    let mut starts = Vec::new();
    for attempt in 1..=3 {
        let task = client.lease(json!({}));
        starts.push(Instant::now());
        assert_eq!(
            (&task["task_id"], &task["attempts"], &task["fence"]),
            (&json!(id), &json!(attempt), &json!(attempt))
        );
        client.call(
            "ack",
            json!({"task_id": id, "status": "failed", "error": format!("try {attempt}")}),
        );
        assert_eq!(
            client.status(id),
            if attempt < 3 { "scheduled" } else { "failed" }
        );
    }
    assert!(
        starts[1] - starts[0] >= Duration::from_millis(95)
            && starts[2] - starts[1] >= Duration::from_millis(195),
        "{starts:?}"
    );
    let got = client.call("get", json!({"task_id": id}));
    let outcomes: Vec<_> = got["attempts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|a| (a["outcome"].as_str().unwrap(), a["error"].as_str().unwrap()))
        .collect();
    assert_eq!(
        outcomes,
        [
            ("provider_error", "try 1"),
            ("provider_error", "try 2"),
            ("provider_error", "try 3")
        ]
    );
    assert_eq!(got["task"]["error"], "try 3");
}

#[test]
fn the_class_of_a_failure_decides_what_comes_next() {
    let hub = Hub::start();
    let mut client = hub.client();
    for (class, status) in [
        ("bad_input", "failed"),
        ("refused_by_policy", "failed"),
        ("auth_required", "awaiting_approval"),
        ("missing", "awaiting_approval"),
        ("timeout", "scheduled"),
        ("rate_limited", "scheduled"),
    ] {
        let id = client.enqueue_with(json!({"prompt": "x", "max_attempts": 5}));
        client.lease(json!({"queues": ["default"]}));
        client.call(
            "ack",
            json!({"task_id": id, "status": "failed", "class": class, "error": "e"}),
        );
        assert_eq!(client.status(id), status, "{class}");
        assert_eq!(
            client.task(id)["attempts"],
            if class == "rate_limited" { 0 } else { 1 },
            "{class}"
        );
        if status != "failed" {
            client.call("cancel", json!({"task_id": id}));
        }
    }
    let id = client.enqueue("x");
    client.lease(json!({}));
    let error = client.refused(
        "ack",
        json!({"task_id": id, "status": "failed", "class": "tired"}),
    );
    assert!(sentence(&error).contains("rate_limited"), "{error}");
}

#[test]
fn an_idempotency_key_makes_a_task_once() {
    let setup = Setup::new();
    let hub = setup.start();
    let mut client = hub.client();
    let params = json!({"prompt": "x", "idempotency_key": "order-7"});
    let first = client.enqueue_with(params.clone());
    assert_eq!(client.enqueue_with(params.clone()), first);
    let answer = client.call(
        "enqueue_batch",
        json!({"tasks": [params, {"prompt": "y"}, {"prompt": "x", "idempotency_key": "order-7"}]}),
    );
    assert_eq!(numbers(&answer["task_ids"]), [first, first + 1, first]);
    // From many connections at once, and after a crash.
    let ids: Vec<i64> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8)
            .map(|_| {
                scope.spawn(|| {
                    hub.client()
                        .enqueue_with(json!({"prompt": "x", "idempotency_key": "order-8"}))
                })
            })
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .collect()
    });
    assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
    let hub = hub.kill().start();
    assert_eq!(
        hub.client()
            .enqueue_with(json!({"prompt": "x", "idempotency_key": "order-8"})),
        ids[0]
    );
    assert_eq!(
        hub.client().call("stats", json!({}))["stats"]["total_tasks"],
        3
    );
}

#[test]
fn a_task_waits_for_those_it_depends_on() {
    let hub = Hub::start();
    let mut client = hub.client();
    let (a, b) = (client.enqueue("a"), client.enqueue("b"));
    let c = client.enqueue_with(json!({"prompt": "c", "depends_on": [a, b, a], "parent_id": a}));
    let d = client.enqueue_with(json!({"prompt": "d", "depends_on": [c]}));
    assert_eq!(
        (client.status(c), client.status(d)),
        ("blocked".into(), "blocked".into())
    );
    let mut worker = hub.client();
    assert_eq!(ids(&worker.call("lease", json!({"max_tasks": 9}))), [a, b]);
    let parked = worker.send("lease", json!({"wait_seconds": 20}));
    client.call("ack", json!({"task_id": a, "status": "done"}));
    assert_eq!(client.status(c), "blocked");
    client.call("ack", json!({"task_id": b, "status": "done"}));
    assert_eq!(ids(&worker.result(parked)), [c]);
    assert_eq!(
        numbers(&client.call("get", json!({"task_id": c}))["depends_on"]),
        [a, b]
    );
    // Dependents of a failed task fail with it, and report the reason.
    client.call(
        "ack",
        json!({"task_id": c, "status": "failed", "error": "no"}),
    );
    let task = client.task(d);
    assert_eq!(task["status"], "failed");
    assert!(
        task["error"]
            .as_str()
            .unwrap()
            .contains(&format!("dependency {c} failed")),
        "{task}"
    );
    let done = client.enqueue_with(json!({"prompt": "e", "depends_on": [a]}));
    assert_eq!(client.status(done), "queued");
    let error = client.refused("enqueue", json!({"prompt": "x", "depends_on": [9999]}));
    assert!(
        sentence(&error).contains("`depends_on` names unknown task 9999"),
        "{error}"
    );
}

#[test]
fn a_batch_is_made_whole_or_not_at_all() {
    let hub = Hub::with(&["limits.batch=3"]);
    let mut client = hub.client();
    let answer = client.call("enqueue_batch", json!({"tasks": [{"prompt": "a"}, {"prompt": "b", "type": "human"}, {"prompt": "c", "queue": "q"}]}));
    assert_eq!(numbers(&answer["task_ids"]), [1, 2, 3]);
    for (tasks, code, words) in [
        (
            json!([{"prompt": "a"}, {"prompt": [5]}]),
            "invalid_params",
            "tasks[1].prompt",
        ),
        (
            json!([{"prompt": "a"}, {"prompt": "b", "depends_on": [77]}]),
            "invalid_params",
            "`tasks[1].depends_on` names unknown task 77",
        ),
        (
            json!([{"prompt": "a"}, {"prompt": "b", "accept": {"a": 1}}]),
            "invalid_params",
            "tasks[1].accept",
        ),
        (json!([]), "invalid_params", "at least one"),
        (
            json!([{"prompt": "a"}, {"prompt": "a"}, {"prompt": "a"}, {"prompt": "a"}]),
            "too_large",
            "3",
        ),
        (json!("a"), "invalid_params", "tasks"),
        (json!([1]), "invalid_params", "tasks"),
    ] {
        let error = client.refused("enqueue_batch", json!({"tasks": tasks}));
        assert_eq!(word(&error), code, "{error}");
        assert!(sentence(&error).contains(words), "{error}");
    }
    assert_eq!(client.call("stats", json!({}))["stats"]["total_tasks"], 3);
    assert_eq!(client.enqueue("next"), 4, "no number was used up");
}

#[test]
fn what_is_not_built_is_said_to_be_unsupported() {
    let hub = Hub::start();
    let mut client = hub.client();
    let error = client.refused("hello", json!({"protocol": 2}));
    assert_eq!(word(&error), "unsupported");
    assert!(sentence(&error).contains("protocol 2"), "{error}");
    let id = client.enqueue_with(json!({"prompt": "x", "accept": null, "budget": null}));
    assert_eq!(client.status(id), "queued");
    for (method, params) in [
        ("list", json!({"parent_id": id})),
        ("retry_failed", json!({"queue": "q"})),
    ] {
        // A filter that were ignored would change or show too much.
        client.enqueue_with(json!({"prompt": "other", "queue": "other"}));
        let sent = client.send(method, params);
        let answer = client.answer(sent);
        let honest = answer["result"]["tasks"] == json!([]) || answer["result"]["retried"] == 0;
        assert!(honest, "{method}: {answer}");
    }
}

#[test]
fn what_a_task_carries_comes_back_with_it() {
    let hub = Hub::start();
    let mut client = hub.client();
    let metadata = json!({"a": [1, {"b": null}], "ü": "é", "big": 12345678901234567u64});
    let parent = client.enqueue("parent");
    let id = client.enqueue_with(json!({"prompt": "x", "queue": "q", "provider": "codex", "model": "m-1", "workdir": "/srv/repo", "timeout_seconds": 90.5, "metadata": metadata, "parent_id": parent, "max_attempts": 2}));
    let task = client.lease(json!({"queues": ["q"]}));
    assert_eq!(task["task_id"], id);
    for (field, value) in [
        ("provider", json!("codex")),
        ("model", json!("m-1")),
        ("workdir", json!("/srv/repo")),
        ("timeout_ms", json!(90_500)),
        ("metadata", metadata),
        ("parent_id", json!(parent)),
        ("max_attempts", json!(2)),
    ] {
        assert_eq!(task[field], value, "{field}");
        assert_eq!(client.task(id)[field], value, "{field}");
    }
}

#[test]
fn a_lost_run_is_retried_failed_or_put_before_a_person() {
    let hub = Hub::start();
    let mut client = hub.client();
    let retry = client.enqueue_with(json!({"prompt": "x", "on_lost": "retry", "max_attempts": 1}));
    let fail = client.enqueue_with(json!({"prompt": "x", "on_lost": "fail"}));
    let ask = client.enqueue_with(json!({"prompt": "x", "on_lost": "ask"}));
    let plain = client.enqueue("x");
    client.call("lease", json!({"max_tasks": 4, "lease_seconds": 1}));
    assert_eq!(client.lease(json!({}))["task_id"], plain);
    assert_eq!(
        (
            client.status(retry),
            client.status(fail),
            client.status(ask)
        ),
        ("failed".into(), "failed".into(), "awaiting_approval".into())
    );
    assert!(
        client.task(fail)["error"]
            .as_str()
            .unwrap()
            .contains("on_lost"),
        "{}",
        client.task(fail)
    );
    client.call("approve", json!({"task_id": ask, "by": "ada"}));
    let again = client.lease(json!({}));
    assert_eq!(
        (&again["task_id"], &again["fence"]),
        (&json!(ask), &json!(2))
    );
    assert!(
        sentence(&client.refused("enqueue", json!({"prompt": "x", "on_lost": "shrug"})))
            .contains("`ask`")
    );
}
