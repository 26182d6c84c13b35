//! Requests and answers of clients written for the Python hub, row by row.

use crate::common::{Hub, Setup, ids, sentence, until, word};
use serde_json::{Value, json};

fn keys(answer: &Value) -> Vec<&str> {
    answer
        .as_object()
        .expect("an object")
        .keys()
        .map(String::as_str)
        .collect()
}

#[test]
fn the_first_line_of_output_says_where_the_hub_is() {
    let hub = Hub::start();
    assert_eq!(
        hub.first_line,
        format!("KIRO_SWARM_HUB tcp://127.0.0.1:{}", hub.port)
    );
    assert!(hub.port > 0);
}

#[test]
fn a_plain_answer_has_three_keys_and_a_strict_one_is_json_rpc() {
    let hub = Hub::start();
    let mut client = hub.client();
    let well = client.exchange(r#"{"id":1,"method":"stats"}"#);
    assert_eq!(keys(&well), ["error", "id", "result"]);
    assert!(well["error"].is_null());
    let ill = client.exchange(r#"{"id":2,"method":"nothing"}"#);
    assert_eq!(keys(&ill), ["error", "id", "result"]);
    assert!(ill["result"].is_null());
    assert_eq!(sentence(&ill["error"]), "Unknown method: nothing");
    assert_eq!(ill["error"]["code"], -32601);

    let well = client.exchange(r#"{"jsonrpc":"2.0","id":3,"method":"stats","params":{}}"#);
    assert_eq!(keys(&well), ["id", "jsonrpc", "result"]);
    assert_eq!(well["jsonrpc"], "2.0");
    let ill = client.exchange(r#"{"jsonrpc":"2.0","id":4,"method":"get","params":{"task_id":9}}"#);
    assert_eq!(keys(&ill), ["error", "id", "jsonrpc"]);
    assert_eq!(ill["error"]["code"], -32002);
    assert!(ill["error"]["data"].is_object());
}

#[test]
fn any_json_is_an_id_and_none_is_null() {
    let hub = Hub::start();
    let mut client = hub.client();
    for id in [
        "7",
        "-3",
        "1.5",
        "\"ä\"",
        "\"\\u00e4 \\\"x\\\"\"",
        "[1,{\"a\":null}]",
        "{\"k\":[]}",
        "true",
        "null",
        "0",
        "\"\"",
        "9007199254740993",
    ] {
        client.raw(format!("{{\"id\":{id},\"method\":\"stats\"}}\n"));
        let line = client.line();
        let expected = serde_json::from_str::<Value>(id).unwrap();
        assert_eq!(
            serde_json::from_str::<Value>(&line).unwrap()["id"],
            expected,
            "{line}"
        );
    }
    let answer = client.exchange(r#"{"method":"stats"}"#);
    assert!(answer["id"].is_null() && answer["result"]["stats"].is_object());
}

#[test]
fn params_may_be_missing_null_or_hold_unknown_fields() {
    let hub = Hub::start();
    let mut client = hub.client();
    for line in [
        r#"{"id":1,"method":"list"}"#,
        r#"{"id":1,"method":"list","params":null}"#,
        r#"{"id":1,"method":"list","params":{"colour":"red","deep":{"a":[1]}},"extra":1}"#,
        r#"{"id":1,"method":"list","params":{"status":null,"limit":null}}"#,
    ] {
        assert!(client.exchange(line)["error"].is_null(), "{line}");
    }
    let error = client.exchange(r#"{"id":1,"method":"list","params":[1]}"#);
    assert_eq!(error["error"]["code"], -32602);
}

#[test]
fn a_bad_line_is_answered_and_the_connection_goes_on() {
    let hub = Hub::start();
    let mut client = hub.client();
    let bad: [(&[u8], i64); 8] = [
        (b"{nope", -32700),
        (b"{\"id\":1,\"method\":\"stats\"", -32700),
        (b"\xff\xfe", -32700),
        (
            b"{\"id\":5,\"method\":\"enqueue\",\"params\":{\"prompt\":\"\xc3\x28\"}}",
            -32700,
        ),
        (b"[1,2]", -32600),
        (b"17", -32600),
        (b"\"stats\"", -32600),
        (b"null", -32600),
    ];
    for (line, code) in bad {
        let answer = client.exchange(line);
        assert_eq!(keys(&answer), ["error", "id", "result"]);
        assert!(answer["id"].is_null(), "{answer}");
        assert_eq!(answer["error"]["code"], code, "{answer}");
    }
    let answer = client.exchange(r#"{"id":6,"params":{}}"#);
    assert_eq!(
        (&answer["id"], &answer["error"]["code"]),
        (&json!(6), &json!(-32600))
    );
    assert_eq!(client.call("stats", json!({}))["stats"]["total_tasks"], 0);
}

#[test]
fn blank_lines_and_line_ends_of_other_systems_are_fine() {
    let hub = Hub::start();
    let mut client = hub.client();
    client.raw(
        "\n\r\n   \n\t\n{\"id\":1,\"method\":\"stats\"}\r\n\n{\"id\":2,\"method\":\"stats\"}\n",
    );
    assert_eq!(client.read()["id"], 1);
    assert_eq!(client.read()["id"], 2);
}

#[test]
fn a_last_line_without_its_end_is_executed_after_a_half_close() {
    let hub = Hub::start();
    let mut client = hub.client();
    client.raw("{\"id\":1,\"method\":\"enqueue\",\"params\":{\"prompt\":\"a\"}}\n");
    client.raw("{\"id\":2,\"method\":\"enqueue\",\"params\":{\"prompt\":\"b\"}}");
    client.half_close();
    assert_eq!(client.read()["result"]["task_id"], 1);
    assert_eq!(client.read()["result"]["task_id"], 2);
    assert_eq!(client.rest(), "");
}

#[test]
fn thousands_of_lines_before_a_half_close_are_all_answered_in_order() {
    let hub = Hub::start();
    let mut client = hub.client();
    let lines: Vec<String> = (0..3000)
        .map(|id| {
            format!("{{\"id\":{id},\"method\":\"enqueue\",\"params\":{{\"prompt\":\"p{id}\"}}}}")
        })
        .collect();
    client.raw(lines.join("\n"));
    client.half_close();
    for id in 0..3000 {
        let answer = client.read();
        assert_eq!(
            (&answer["id"], &answer["result"]["task_id"]),
            (&json!(id), &json!(id + 1))
        );
    }
    assert_eq!(client.rest(), "");
}

#[test]
fn text_is_answered_as_utf8_without_escapes() {
    let hub = Hub::start();
    let mut client = hub.client();
    let prompt = "Grüße, 世界 🌍 \u{7f}";
    client.call("enqueue", json!({"prompt": prompt, "system_prompt": "é"}));
    client.raw("{\"id\":\"日本\",\"method\":\"list\"}\n");
    let line = client.line();
    assert!(
        line.contains("Grüße, 世界 🌍") && line.contains("日本") && line.contains('é'),
        "{line}"
    );
    // Escaped on the way in, it is the same text.
    client.exchange(
        "{\"id\":1,\"method\":\"enqueue\",\"params\":{\"prompt\":\"\\ud83c\\udf0d\\u0000\"}}",
    );
    assert_eq!(client.task(2)["prompt"], "🌍\0");
}

#[test]
fn pipelined_requests_take_effect_and_are_answered_in_order() {
    let hub = Hub::start();
    let mut client = hub.client();
    let mut lines = String::new();
    for round in 0..50 {
        for (at, (method, params)) in [
            ("enqueue", json!({"prompt": round.to_string()})),
            ("list", json!({"limit": 1})),
            ("lease", json!({"worker_id": "w"})),
            ("get", json!({"task_id": round + 1})),
            (
                "ack",
                json!({"task_id": round + 1, "status": "done", "result": "r"}),
            ),
            ("stats", json!({})),
            ("nothing", json!({})),
        ]
        .into_iter()
        .enumerate()
        {
            lines +=
                &json!({"id": round * 10 + at, "method": method, "params": params}).to_string();
            lines += "\n";
        }
    }
    client.raw(lines);
    for round in 0..50 {
        let mut next = |at: i64| {
            let answer = client.read();
            assert_eq!(answer["id"], round * 10 + at, "{answer}");
            answer
        };
        assert_eq!(next(0)["result"]["task_id"], round + 1);
        let listed = next(1);
        assert_eq!(listed["result"]["tasks"][0]["status"], "queued");
        assert_eq!(listed["result"]["tasks"][0]["task_id"], round + 1);
        assert_eq!(listed["result"]["stats"]["queued"], 1);
        assert_eq!(next(2)["result"]["tasks"][0]["task_id"], round + 1);
        assert_eq!(next(3)["result"]["task"]["status"], "leased");
        assert_eq!(next(4)["result"], json!({"ok": true}));
        assert_eq!(next(5)["result"]["stats"]["done"], round + 1);
        assert!(next(6)["result"].is_null());
    }
}

#[test]
fn a_task_goes_from_enqueue_to_done() {
    let hub = Hub::start();
    let mut client = hub.client();
    let answer = client.call(
        "enqueue",
        json!({"prompt": "say hello", "system_prompt": "be kind"}),
    );
    assert_eq!(answer, json!({"task_id": 1}));
    let leased = client.call("lease", json!({"worker_id": "w1"}));
    let task = &leased["tasks"][0];
    assert_eq!(
        (
            &task["task_id"],
            &task["prompt"],
            &task["system_prompt"],
            &task["type"]
        ),
        (
            &json!(1),
            &json!("say hello"),
            &json!("be kind"),
            &json!("chat")
        )
    );
    assert_eq!(
        (&task["status"], &task["worker_id"]),
        (&json!("leased"), &json!("w1"))
    );
    assert!(task["result"].is_null() && task["error"].is_null());
    let (created, until) = (
        task["created_at"].as_f64().unwrap(),
        task["leased_until"].as_f64().unwrap(),
    );
    assert!(
        (until - created - 300.0).abs() < 10.0,
        "the hub's default is 300 seconds: {task}"
    );
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap()
        .as_secs_f64();
    assert!((now - created).abs() < 30.0 && task["updated_at"].is_f64());
    // Nothing more is ready: an empty list at once.
    assert_eq!(
        client.call("lease", json!({"worker_id": "w2"})),
        json!({"tasks": []})
    );
    assert_eq!(
        client.call(
            "ack",
            json!({"task_id": 1, "status": "done", "result": "hello"})
        ),
        json!({"ok": true})
    );
    let task = client.task(1);
    assert_eq!(
        (&task["status"], &task["result"], &task["worker_id"]),
        (&json!("done"), &json!("hello"), &json!("w1"))
    );
    assert!(task["leased_until"].is_null() && task["error"].is_null());
}

#[test]
fn a_listed_task_has_every_field_that_clients_read() {
    let hub = Hub::start();
    let mut client = hub.client();
    client.enqueue("x");
    let listed = client.call("list", json!({}));
    let task = listed["tasks"][0].as_object().unwrap();
    for field in [
        "task_id",
        "prompt",
        "system_prompt",
        "type",
        "status",
        "created_at",
        "updated_at",
        "leased_until",
        "worker_id",
        "result",
        "error",
    ] {
        assert!(task.contains_key(field), "{field}");
    }
    let stats = &listed["stats"];
    for field in [
        "queued",
        "leased",
        "done",
        "failed",
        "total_tasks",
        "completed_last_hour",
    ] {
        assert!(stats[field].is_i64(), "{field} in {stats}");
    }
    assert!(
        stats["avg_completion_time_sec"].is_f64() && stats["error_rate_percent"].is_f64(),
        "{stats}"
    );
    assert_eq!(stats["avg_completion_time_sec"], 0.0);
    assert_eq!(stats["error_rate_percent"], 0.0);
}

#[test]
fn leases_are_oldest_first_and_lists_newest_first() {
    let hub = Hub::start();
    let mut client = hub.client();
    for n in 1..=60 {
        assert_eq!(client.enqueue(&n.to_string()), n);
    }
    assert_eq!(
        ids(&client.call("lease", json!({"max_tasks": 3}))),
        [1, 2, 3]
    );
    assert_eq!(ids(&client.call("lease", json!({}))), [4]);
    assert_eq!(
        ids(&client.call("list", json!({}))),
        (11..=60).rev().collect::<Vec<i64>>()
    );
    assert_eq!(ids(&client.call("list", json!({"limit": 2}))), [60, 59]);
    for all in [json!(0), json!(-1), json!("0"), json!(-5.0)] {
        assert_eq!(
            ids(&client.call("list", json!({"limit": all}))).len(),
            60,
            "{all}"
        );
    }
    assert_eq!(ids(&client.call("list", json!({"limit": null}))).len(), 50);
    assert_eq!(
        ids(&client.call("list", json!({"status": "leased"}))),
        [4, 3, 2, 1]
    );
    assert_eq!(
        ids(&client.call("list", json!({"status": "queued", "limit": 1}))),
        [60]
    );
    assert_eq!(ids(&client.call("list", json!({"status": ""}))).len(), 50);
    assert_eq!(
        ids(&client.call("list", json!({"status": "sleeping"}))),
        [0; 0]
    );
    assert_eq!(ids(&client.call("list", json!({"status": "done"}))), [0; 0]);
}

#[test]
fn numbers_may_come_as_text_or_whole_floats() {
    let hub = Hub::start();
    let mut client = hub.client();
    for _ in 0..9 {
        client.enqueue("x");
    }
    assert_eq!(
        ids(&client.call("lease", json!({"max_tasks": "2", "lease_seconds": "60"}))),
        [1, 2]
    );
    assert_eq!(
        ids(&client.call("lease", json!({"max_tasks": 2.0, "lease_seconds": 60.0}))),
        [3, 4]
    );
    assert_eq!(
        ids(&client.call("lease", json!({"lease_seconds": 1.5}))),
        [5]
    );
    client.call("ack", json!({"task_id": "1", "status": "done"}));
    client.call("ack", json!({"task_id": 2.0, "status": "done"}));
    assert_eq!(ids(&client.call("list", json!({"limit": "3"}))), [9, 8, 7]);
    assert_eq!(ids(&client.call("list", json!({"status": "done"}))), [2, 1]);
}

#[test]
fn null_zero_and_nothing_mean_the_default() {
    let hub = Hub::start();
    let mut client = hub.client();
    for blank in [json!(null), json!(0), json!("")] {
        client.enqueue("x");
        client.enqueue("y");
        let leased = client.call(
            "lease",
            json!({"max_tasks": blank, "lease_seconds": blank, "worker_id": blank}),
        );
        assert_eq!(ids(&leased).len(), 1, "{blank}");
        let task = &leased["tasks"][0];
        assert_eq!(task["worker_id"], "worker");
        let length = task["leased_until"].as_f64().unwrap() - task["updated_at"].as_f64().unwrap();
        assert!((length - 300.0).abs() < 0.01, "{length}");
    }
}

#[test]
fn prompts_and_types_are_free_text() {
    let hub = Hub::start();
    let mut client = hub.client();
    let id =
        client.enqueue_with(json!({"prompt": "", "system_prompt": "", "type": "my own thing"}));
    let task = client.task(id);
    assert_eq!(
        (&task["prompt"], &task["system_prompt"], &task["type"]),
        (&json!(""), &Value::Null, &json!("my own thing"))
    );
    assert_eq!(client.lease(json!({}))["task_id"], id);
    let prompt = "line\nline\t\"quoted\" \\ ".repeat(5000);
    let id = client.enqueue_with(json!({"prompt": prompt, "system_prompt": null, "type": null}));
    assert_eq!(client.task(id)["type"], "chat");
    assert_eq!(
        client.lease(json!({}))["prompt"],
        prompt,
        "the bytes come back as they went in"
    );
    for bad in [
        json!({}),
        json!({"prompt": null}),
        json!({"prompt": ["a"]}),
        json!({"prompt": {"a": 1}}),
        json!({"prompt": "x", "system_prompt": ["a"]}),
    ] {
        assert_eq!(word(&client.refused("enqueue", bad)), "invalid_params");
    }
}

#[test]
fn numbers_and_booleans_are_text_and_structured_results_stay_json() {
    let hub = Hub::start();
    let mut client = hub.client();
    for (sent, kept) in [
        ("5", "5"),
        ("-0.50", "-0.50"),
        ("true", "true"),
        ("false", "false"),
        ("12345678901234567890123", "12345678901234567890123"),
    ] {
        let line = format!(
            r#"{{"id":1,"method":"enqueue","params":{{"prompt":{sent},"system_prompt":{sent}}}}}"#
        );
        let id = client.exchange(line)["result"]["task_id"].as_i64().unwrap();
        let task = client.task(id);
        assert_eq!(
            (&task["prompt"], &task["system_prompt"]),
            (&json!(kept), &json!(kept))
        );
        assert_eq!(client.lease(json!({}))["prompt"], kept);
        let ack = format!(
            r#"{{"id":1,"method":"ack","params":{{"task_id":{id},"status":"done","result":{sent}}}}}"#
        );
        assert_eq!(client.exchange(&ack)["result"]["ok"], true);
        // Sent again after a lost answer, it is still the same ack.
        assert_eq!(client.exchange(&ack)["result"]["ok"], true);
        assert_eq!(client.task(id)["result"], kept);
    }
    for structured in [
        r#"{"b":[1,2.50],"a":null}"#,
        r#"["x",{"y":"\u00fc"}]"#,
        "[]",
    ] {
        let id = client.enqueue("x");
        client.lease(json!({}));
        let ack = format!(
            r#"{{"id":1,"method":"ack","params":{{"task_id":{id},"status":"done","result":{structured}}}}}"#
        );
        assert_eq!(client.exchange(ack)["result"]["ok"], true);
        let result = client.task(id)["result"].as_str().unwrap().to_owned();
        assert_eq!(result, structured);
    }
    // An error is what the worker caught: of any form, too.
    let id = client.enqueue("x");
    client.lease(json!({}));
    client.call(
        "ack",
        json!({"task_id": id, "status": "failed", "error": {"code": 7}}),
    );
    assert_eq!(client.task(id)["error"], r#"{"code":7}"#);
}

#[test]
fn the_status_of_a_list_is_read_kindly() {
    let hub = Hub::start();
    let mut client = hub.client();
    let id = client.enqueue("x");
    for (word, found) in [
        ("queued", true),
        (" QUEUED\n", true),
        ("Queued", true),
        ("", true),
        ("  ", true),
        ("done", false),
        ("que ued", false),
        ("bogus", false),
    ] {
        let listed = client.call("list", json!({"status": word}));
        let ids: Vec<_> = listed["tasks"].as_array().unwrap().iter().collect();
        assert_eq!(ids.len(), usize::from(found), "{word:?}");
        assert!(ids.iter().all(|task| task["task_id"] == id));
    }
}

#[test]
fn an_acks_status_is_read_kindly() {
    let hub = Hub::start();
    let mut client = hub.client();
    for (word, status) in [
        ("done", "done"),
        (" DONE ", "done"),
        ("Failed", "failed"),
        ("\tfailed\n", "failed"),
    ] {
        let id = client.enqueue("x");
        client.call("lease", json!({}));
        client.call(
            "ack",
            json!({"task_id": id, "status": word, "result": "r", "error": "e"}),
        );
        assert_eq!(client.status(id), status);
    }
    client.enqueue("x");
    client.call("lease", json!({}));
    for bad in [json!("finished"), json!(""), json!(null), json!(1)] {
        let error = client.refused("ack", json!({"task_id": 5, "status": bad}));
        assert!(
            sentence(&error).contains("status must be done|failed"),
            "{error}"
        );
        assert_eq!(error["code"], -32602);
    }
    assert!(
        sentence(&client.refused("ack", json!({"task_id": 5})))
            .contains("status must be done|failed")
    );
    assert_eq!(client.status(5), "leased");
}

#[test]
fn the_counters_tell_rates_and_means() {
    let hub = Hub::start();
    let mut client = hub.client();
    for n in 0..3 {
        let id = client.enqueue("x");
        client.call("lease", json!({}));
        let status = if n == 0 { "failed" } else { "done" };
        client.call(
            "ack",
            json!({"task_id": id, "status": status, "error": "e"}),
        );
    }
    client.enqueue("waits");
    let stats = client.call("stats", json!({}))["stats"].take();
    for (name, value) in [
        ("queued", 1),
        ("leased", 0),
        ("done", 2),
        ("failed", 1),
        ("total_tasks", 4),
        ("completed_last_hour", 2),
    ] {
        assert_eq!(stats[name], value, "{name}");
    }
    assert_eq!(stats["error_rate_percent"], 33.33);
    let mean = stats["avg_completion_time_sec"].as_f64().unwrap();
    assert!(
        (0.0..20.0).contains(&mean) && (mean * 100.0 - (mean * 100.0).round()).abs() < 1e-9,
        "{mean}"
    );
}

#[test]
fn failed_tasks_are_brought_back_all_at_once() {
    let hub = Hub::start();
    let mut client = hub.client();
    for _ in 0..3 {
        client.enqueue("x");
    }
    client.call("lease", json!({"max_tasks": 3, "worker_id": "w"}));
    for id in [1, 3] {
        client.call(
            "ack",
            json!({"task_id": id, "status": "failed", "error": "broken", "result": "half"}),
        );
    }
    client.call(
        "ack",
        json!({"task_id": 2, "status": "done", "result": "r"}),
    );
    assert_eq!(client.task(1)["error"], "broken");
    assert_eq!(
        client.call("retry_failed", json!({})),
        json!({"retried": 2})
    );
    let task = client.task(1);
    assert_eq!(task["status"], "queued");
    for field in ["worker_id", "leased_until", "result", "error"] {
        assert!(task[field].is_null(), "{field} in {task}");
    }
    assert_eq!(client.status(2), "done");
    assert_eq!(client.call("stats", json!({}))["stats"]["failed"], 0);
    assert_eq!(
        client.call("retry_failed", json!({})),
        json!({"retried": 0})
    );
    assert_eq!(ids(&client.call("lease", json!({"max_tasks": 9}))), [1, 3]);
}

#[test]
fn a_human_task_waits_as_queued_and_is_answered_by_approve() {
    let hub = Hub::start();
    let mut client = hub.client();
    let id = client.enqueue_with(json!({"prompt": "may I?", "type": "human"}));
    assert_eq!(client.status(id), "queued");
    assert_eq!(
        client.call("approve", json!({"task_id": id})),
        json!({"ok": true})
    );
    let task = client.task(id);
    assert_eq!(
        (&task["status"], &task["result"], &task["worker_id"]),
        (&json!("done"), &json!("Approved by human"), &json!("human"))
    );
    assert_eq!(client.call("stats", json!({}))["stats"]["done"], 1);
}

#[test]
fn an_expired_lease_competes_by_its_old_id() {
    let hub = Hub::start();
    let mut client = hub.client();
    for _ in 0..3 {
        client.enqueue("x");
    }
    assert_eq!(
        ids(&client.call("lease", json!({"worker_id": "slow", "lease_seconds": 1}))),
        [1]
    );
    // The reaper reports the end; a watcher receives it without polling.
    let mut watcher = hub.client();
    watcher.call("watch", json!({"since": 0, "task_id": 1}));
    until("the lease expired", || {
        (watcher.notice("event")["reason"] == "lost").then_some(())
    });
    assert_eq!(
        ids(&client.call("lease", json!({"worker_id": "quick", "max_tasks": 2}))),
        [1, 2]
    );
    assert_eq!(client.task(1)["worker_id"], "quick");
}

#[test]
fn shutdown_is_answered_and_ends_the_process_with_0() {
    let mut hub = Hub::start();
    let mut client = hub.client();
    assert_eq!(client.call("shutdown", json!({})), json!({"ok": true}));
    assert!(client.is_closed());
    assert_eq!(hub.ended().code(), Some(0), "{}", hub.log());
    assert!(!hub.log().contains("panicked"), "{}", hub.log());
}

#[test]
fn a_key_is_checked_before_the_method() {
    let hub = Setup::new().environment("KIRO_SWARM_KEY", "s3cret").start();
    for params in [
        json!({}),
        json!({"auth_token": "wrong"}),
        json!({"auth_token": ""}),
        json!({"auth_token": null}),
        json!({"auth_token": 5}),
        json!({"auth_token": "s3cret "}),
    ] {
        // The third wrong key ends the connection.
        let mut client = hub.client();
        for method in ["stats", "nothing", "shutdown"] {
            let error = client.refused(method, params.clone());
            assert!(
                sentence(&error).contains("Invalid KIRO_SWARM_KEY"),
                "{error}"
            );
            assert_eq!(word(&error), "unauthorized");
        }
    }
    // Parameters are not looked at either.
    let mut client = hub.client();
    assert_eq!(
        word(&client.refused("enqueue", json!({"prompt": [5]}))),
        "unauthorized"
    );
    let error = client.refused("nothing", json!({"auth_token": "s3cret"}));
    assert_eq!(sentence(&error), "Unknown method: nothing");
    let id = client.enqueue_with(json!({"prompt": "x", "auth_token": "s3cret"}));
    assert_eq!(id, 1);
    assert_eq!(
        word(&client.refused("stats", json!({}))),
        "unauthorized",
        "a plain request authenticates itself alone"
    );
    client.call("hello", json!({"auth_token": "s3cret"}));
    client.call("stats", json!({}));
    assert_eq!(
        word(&client.refused("stats", json!({"auth_token": "wrong"}))),
        "unauthorized"
    );
    assert_eq!(
        word(&hub.client().refused("stats", json!({}))),
        "unauthorized",
        "each connection for itself"
    );
}

#[test]
fn an_empty_key_is_no_key() {
    let hub = Setup::new().environment("KIRO_SWARM_KEY", "").start();
    let mut client = hub.client();
    client.call("stats", json!({}));
    client.call("stats", json!({"auth_token": "whatever"}));
}

#[test]
fn beyond_loopback_a_key_is_needed() {
    let setup = Setup::new().argument("--host").argument("0.0.0.0");
    let (status, output, errors) = setup.run();
    assert_eq!((status.code(), output.as_str()), (Some(1), ""), "{errors}");
    assert!(
        errors.contains("without a key") && errors.contains("KIRO_SWARM_KEY"),
        "{errors}"
    );
    let key = "a-key-of-more-than-32-characters-in-all";
    let setup = setup.environment("KIRO_SWARM_KEY", key);
    let hub = setup.set("hub.plain_beyond_loopback=true").start();
    assert_eq!(
        hub.first_line,
        format!("KIRO_SWARM_HUB tcp://0.0.0.0:{}", hub.port)
    );
    hub.client().call("stats", json!({"auth_token": key}));
}
