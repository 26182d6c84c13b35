//! Keys of clients: their rights and limits, their end, and the audit trail.

use crate::common::http::with;
use crate::common::process::{address, setup};
use crate::common::{Client, Hub, Setup, sentence, until, word};
use kirosu_protocol::{AccessRole, Method, Right};
use serde_json::{Value, json};
use std::time::Instant;

/// Adds a key with these limits. Returns its secret.
fn add(hub: &Hub, name: &str, role: &str, limits: Value) -> String {
    let mut params = limits;
    params["name"] = json!(name);
    params["role"] = json!(role);
    let added = hub.client().call("key_add", params);
    let key = added["key"].as_str().unwrap().to_owned();
    assert!(key.starts_with("krs_") && key.len() >= 40, "{key}");
    key
}

/// A connection that speaks for a key.
fn client(hub: &Hub, key: &str) -> Client {
    let mut client = hub.client();
    client.call("hello", json!({"auth_token": key}));
    client
}

fn revoke(hub: &Hub, name: &str) {
    hub.client().call("key_revoke", json!({"name": name}));
}

/// The newest entries of the audit trail of a party.
fn audit(hub: &Hub, params: Value) -> Vec<Value> {
    let mut answer = hub.client().call("audit", params);
    match answer["entries"].take() {
        Value::Array(entries) => entries,
        other => panic!("{other}"),
    }
}

/// Parameters with which a method of the table needs no more than its own right.
fn least(method: Method) -> Value {
    match method {
        Method::Watch => json!({"kinds": ["pool"]}),
        Method::WebLogin => json!({"ticket": "unknown"}),
        _ => json!({}),
    }
}

#[test]
fn a_key_of_each_role_has_the_rights_of_the_table_and_no_others() {
    let hub = Hub::start();
    for role in AccessRole::ALL {
        let key = add(&hub, &format!("key-{role}"), role.as_str(), json!({}));
        for method in Method::ALL {
            // These two end the hub's work.
            if matches!(method, Method::Drain | Method::Shutdown) && role.has(Right::Admin) {
                continue;
            }
            let mut params = least(method);
            params["auth_token"] = json!(key);
            let mut client = hub.client();
            let id = client.send(method.name(), params);
            let answer = client.answer(id);
            let is_forbidden = answer["error"].is_object() && word(&answer["error"]) == "forbidden";
            // A missing parameter is reported before the right, and shows nothing else.
            let is_unread =
                answer["error"].is_object() && word(&answer["error"]) == "invalid_params";
            let has = role.has(method.right());
            assert!(
                is_unread || is_forbidden != has,
                "{role} {}: {answer}",
                method.name()
            );
        }
    }
    let observer = add(&hub, "looks-on", "observe", json!({}));
    for (method, params, right) in [
        ("enqueue", json!({"prompt": "p"}), "enqueue"),
        ("cancel", json!({"task_id": 1}), "enqueue"),
        ("ack", json!({"task_id": 1, "status": "done"}), "work"),
        ("approve", json!({"task_id": 1}), "person"),
        ("key_add", json!({"name": "x", "role": "admin"}), "admin"),
        ("pools", json!({"probe": "x"}), "admin"),
    ] {
        let refused = client(&hub, &observer).refused(method, params);
        assert_eq!(word(&refused), "forbidden", "{method}");
        assert_eq!(refused["data"]["right"], right, "{method}");
    }
}

#[test]
fn keys_survive_a_restart_and_end_when_they_expire_or_are_revoked() {
    let hub = Hub::start();
    let kept = add(&hub, "kept", "observe", json!({}));
    let short = add(&hub, "short", "observe", json!({"expires_seconds": 1}));
    let gone = add(&hub, "gone", "observe", json!({}));
    client(&hub, &gone).call("stats", json!({}));
    revoke(&hub, "gone");
    let mut short_lived = client(&hub, &short);
    until("the key expires", || {
        let id = short_lived.send("stats", json!({}));
        let answer = short_lived.answer(id);
        answer["error"].is_object().then(|| {
            assert_eq!(word(&answer["error"]), "unauthorized");
        })
    });
    let hub = hub.kill().start();
    client(&hub, &kept).call("stats", json!({}));
    for key in [&gone, &short] {
        let refused = hub.client().refused("stats", json!({"auth_token": key}));
        assert_eq!(word(&refused), "unauthorized");
        assert!(sentence(&refused).starts_with("Invalid KIRO_SWARM_KEY"));
    }
    let mut listed = hub.client().call("key_list", json!({}));
    let keys = listed["keys"].as_array_mut().unwrap();
    let names: Vec<_> = keys
        .iter()
        .map(|key| key["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["gone", "kept", "short"]);
    assert!(keys[0]["revoked_at"].is_f64() && keys[2]["expires_at"].is_f64());
    assert!(keys.iter().all(|key| key.get("key").is_none()));
    until("the use of a key is stored", || {
        let listed = hub.client().call("key_list", json!({}));
        listed["keys"][1]["used_at"].is_f64().then_some(())
    });
    let again = json!({"name": "gone", "role": "observe"});
    let taken = hub.client().refused("key_add", again);
    assert_eq!(word(&taken), "wrong_state");
}

/// The value of a metric without labels.
fn metric(client: &mut Client, name: &str) -> f64 {
    let answer = client.call("metrics", json!({}));
    let metrics = answer["metrics"].as_array().unwrap();
    let found = metrics.iter().find(|it| it["name"] == name);
    found.and_then(|it| it["value"].as_f64()).unwrap()
}

#[test]
fn a_revoked_key_ends_what_waits_and_gives_the_leases_back_at_once() {
    let hub = Hub::start();
    let mut other = hub.client();
    for (name, session) in [("plain", None), ("host", Some("s"))] {
        let key = add(&hub, name, "work", json!({}));
        let hello = json!({"auth_token": key, "session_id": session});
        let mut worker = hub.client();
        worker.call("hello", hello.clone());
        let task = other.enqueue("p");
        assert_eq!(worker.lease(json!({}))["task_id"], task);
        let waiting = worker.send("lease", json!({"wait_seconds": 600}));
        until("the lease waits", || {
            (metric(&mut other, "kirosu_waiting_leases") == 1.0).then_some(())
        });
        revoke(&hub, name);
        assert_eq!(word(&worker.answer(waiting)["error"]), "unauthorized");
        assert_eq!(word(&worker.refused("ping", json!({}))), "unauthorized");
        assert_eq!(word(&hub.client().refused("hello", hello)), "unauthorized");
        // Long before the lease would expire, and the attempt does not count.
        let taken = other.lease(json!({}));
        assert_eq!(taken["task_id"], task);
        assert_eq!(taken["attempts"], 1, "{taken}");
        other.call("ack", json!({"task_id": task, "status": "done"}));
        assert_eq!(metric(&mut other, "kirosu_waiting_leases"), 0.0);
    }
}

#[test]
fn a_key_is_limited_to_its_queues_types_labels_and_pools() {
    let hub = Setup::new().argument("--trust-all-tools").start();
    let mut admin = hub.client();
    let limits = json!({"queues": ["a"], "types": ["chat"], "labels": ["team"]});
    let key = add(&hub, "ci", "enqueue", limits);
    let mut ci = client(&hub, &key);
    let own = ci.enqueue_with(json!({"prompt": "p", "queue": "a", "labels": ["team"]}));
    for (task, limit) in [
        (json!({"prompt": "p", "labels": ["team"]}), "queues"),
        (
            json!({"prompt": "p", "queue": "a", "labels": ["team"], "type": "human"}),
            "types",
        ),
        (json!({"prompt": "p", "queue": "a"}), "labels"),
    ] {
        let refused = ci.refused("enqueue", task.clone());
        assert_eq!(
            (word(&refused), &refused["data"]["limit"]),
            ("forbidden", &json!(limit))
        );
        let refused = ci.refused("enqueue_batch", json!({"tasks": [task]}));
        assert_eq!(word(&refused), "forbidden");
        let foreign = admin.enqueue_with(task);
        let refused = ci.refused("cancel", json!({"task_id": foreign}));
        assert_eq!(
            (word(&refused), &refused["data"]["limit"]),
            ("forbidden", &json!(limit))
        );
    }
    assert_eq!(
        word(&ci.refused("retry_failed", json!({"queue": "a"}))),
        "forbidden"
    );
    let cancelled = ci.call("cancel", json!({"queue": "a"}));
    assert_eq!(cancelled["cancelled"], 1, "only those within its limits");
    ci.call("retry", json!({"task_id": own}));

    let python = json!({"prompt": "print(1)", "type": "python"});
    let without = add(&hub, "plain", "enqueue", json!({}));
    let refused = client(&hub, &without).refused("enqueue", python.clone());
    assert_eq!(refused["data"]["limit"], "python");
    // Nor do its plans run programs.
    let program = json!({"type": "plan", "prompt": "pipeline: [{ id: a, run: [id] }]", "metadata": {"programs": true}});
    let run = client(&hub, &without).call("enqueue", program)["task_id"].clone();
    let mut person = hub.client();
    let ended = until("the run has ended", || {
        let run = person.call("get", json!({"task_id": run}));
        (run["task"]["status"] == "failed").then_some(run)
    });
    let error = ended["task"]["error"].as_str().unwrap();
    assert!(error.contains("may not enqueue code"), "{error}");
    // Nor the plan that it gives to a run of others; and there is no other form of metadata.
    let plan = json!({"type": "plan", "prompt": "pipeline: [{ id: a, pool: none, prompt: x }]"});
    let others = person.call("enqueue", plan)["task_id"].clone();
    until("it has begun", || {
        let run = person.call("run", json!({"task_id": others}));
        (run["state"] == "open").then_some(())
    });
    let other = json!({"task_id": others, "plan": {"text": "pipeline: [{ id: b, run: [id] }]", "programs": true}});
    let limited = add(&hub, "one-queue", "enqueue", json!({"queues": ["default"]}));
    let refused = client(&hub, &limited).refused("run_resume", other.clone());
    assert_eq!(refused["data"]["limit"], "queues", "{refused}");
    client(&hub, &without).call("run_resume", other);
    let ended = until("the run has ended", || {
        let run = person.call("get", json!({"task_id": others}));
        (run["task"]["status"] == "failed").then_some(run)
    });
    let error = ended["task"]["error"].as_str().unwrap();
    assert!(error.contains("may not enqueue code"), "{error}");
    let list =
        json!({"type": "plan", "prompt": "pipeline: [{ id: a, run: [id] }]", "metadata": []});
    for key in [Some(&without), None] {
        let refused = match key {
            Some(key) => client(&hub, key).refused("enqueue", list.clone()),
            None => hub.client().refused("enqueue", list.clone()),
        };
        assert_eq!(word(&refused), "invalid_params", "{refused}");
    }
    let with = add(&hub, "scripts", "enqueue", json!({"python": true}));
    client(&hub, &with).call("enqueue", python);

    let host = add(
        &hub,
        "host",
        "work",
        json!({"queues": ["a"], "types": ["chat"], "pools": ["one"]}),
    );
    let mut host = client(&hub, &host);
    assert_eq!(word(&host.refused("lease", json!({}))), "forbidden");
    assert_eq!(
        word(&host.refused("lease", json!({"queues": ["a"], "types": ["other"]}))),
        "forbidden"
    );
    admin.enqueue_with(json!({"prompt": "p", "queue": "a", "type": "other", "priority": 9}));
    let task = host.lease(json!({"queues": ["a"]}));
    assert_eq!(
        task["task_id"], own,
        "a lease of any type is narrowed to those of the key"
    );
    let mut ask = json!({"task_id": own, "call": "c", "tool": "t", "title": "t", "pool": "two"});
    assert_eq!(host.refused("ask", ask.clone())["data"]["limit"], "pools");
    ask["pool"] = json!("one");
    host.call("ask", ask);
    let foreign = json!({"name": "x", "role": "observe", "queues": ["a"]});
    assert_eq!(word(&admin.refused("key_add", foreign)), "invalid_params");
}

#[test]
fn the_name_of_a_decision_is_that_of_the_key() {
    let hub = Hub::start();
    let key = add(&hub, "ada", "person", json!({}));
    let mut ada = client(&hub, &key);
    let mut admin = hub.client();
    let gated = admin.enqueue_with(json!({"prompt": "p", "requires_approval": true}));
    ada.call("approve", json!({"task_id": gated, "by": "the boss"}));
    let decisions = admin.call("get", json!({"task_id": gated}))["decisions"].take();
    assert_eq!(decisions[0]["by"], "ada");
    let without_key = admin.enqueue_with(json!({"prompt": "p", "requires_approval": true}));
    admin.call("approve", json!({"task_id": without_key, "by": "the boss"}));
    let decisions = admin.call("get", json!({"task_id": without_key}))["decisions"].take();
    assert_eq!(decisions[0]["by"], "the boss", "as before, without a key");
}

#[test]
fn changes_and_refusals_are_in_the_audit_trail_also_after_a_restart() {
    let hub = Hub::start();
    let key = add(&hub, "ci", "enqueue", json!({}));
    let mut ci = client(&hub, &key);
    let first = ci.enqueue("1");
    let batch = json!({"tasks": [{"prompt": "2"}, {"prompt": "3"}]});
    ci.call("enqueue_batch", batch);
    ci.call("cancel", json!({"task_id": first}));
    for _ in 0..3 {
        ci.refused("drain", json!({}));
    }
    ci.refused("cancel", json!({"task_id": 99}));
    let mut worker = hub.client();
    worker.lease(json!({}));
    // Within a second. All of this may be in two minutes.
    until("the refusals are stored", || {
        let entries = audit(&hub, json!({"who": "ci"}));
        let refused = entries.iter().filter(|it| it["code"] == "forbidden");
        let count: i64 = refused.map(|it| it["count"].as_i64().unwrap()).sum();
        (count == 3).then_some(())
    });
    let hub = hub.kill().start();
    let entries = audit(&hub, json!({"who": "ci"}));
    let of = |method: &str| entries.iter().find(|it| it["method"] == method).unwrap();
    assert_eq!(of("enqueue")["task_id"], first);
    assert_eq!(of("enqueue")["role"], "enqueue");
    assert!(
        of("enqueue")["peer"]
            .as_str()
            .unwrap()
            .starts_with("127.0.0.1:")
    );
    assert_eq!(
        (
            &of("enqueue_batch")["task_id"],
            &of("enqueue_batch")["last_task_id"]
        ),
        (&json!(2), &json!(3))
    );
    assert_eq!(of("drain")["code"], "forbidden");
    let cancels: Vec<_> = entries
        .iter()
        .filter(|it| it["method"] == "cancel")
        .collect();
    assert_eq!(cancels.len(), 2, "{cancels:?}");
    let all = audit(&hub, json!({"task_id": first}));
    assert_eq!(all.len(), 2, "enqueue and cancel, no lease: {all:?}");
    let keyless = audit(&hub, json!({"who": "keyless"}));
    assert_eq!(keyless[0]["method"], "key_add");
    assert_eq!(keyless[0]["target"], "ci");
    let page = hub.client().call("audit", json!({"who": "ci", "limit": 2}));
    let next = page["next"].as_i64().unwrap();
    let rest = audit(&hub, json!({"who": "ci", "cursor": next}));
    assert_eq!(rest.len() + 2, entries.len());
}

#[test]
fn wrong_keys_are_answered_slowly_three_times_and_counted() {
    let hub = Setup::new()
        .environment("KIRO_SWARM_KEY", "the-key-of-this-hub")
        .environment("KIROSU_HUB__KEYLESS", "")
        .start();
    let mut admin = hub.client();
    admin.call("hello", json!({"auth_token": "the-key-of-this-hub"}));
    let mut guesser = hub.client();
    let begun = Instant::now();
    let guesses: Vec<u64> = (0..5)
        .map(|number| guesser.send("stats", json!({"auth_token": format!("krs_{number}")})))
        .collect();
    // Others are served meanwhile.
    admin.call("stats", json!({}));
    for id in &guesses[..3] {
        assert_eq!(word(&guesser.answer(*id)["error"]), "unauthorized");
    }
    assert!(
        begun.elapsed().as_secs_f64() >= 3.0,
        "{:?}",
        begun.elapsed()
    );
    assert!(guesser.is_closed(), "the others are not answered");
    let metrics = admin.call("metrics", json!({}));
    let metrics = metrics["metrics"].as_array().unwrap();
    let wrong = metrics
        .iter()
        .find(|it| it["name"] == "kirosu_wrong_keys_total");
    assert_eq!(wrong.unwrap()["value"], 3.0);
    let lines = hub.log().matches("sent a wrong key").count();
    assert_eq!(lines, 1, "{}", hub.log());
    until("the trail has them", || {
        let answer = admin.call("audit", json!({"who": "unknown"}));
        let entries = answer["entries"].as_array().unwrap();
        let count: i64 = entries.iter().map(|it| it["count"].as_i64().unwrap()).sum();
        (count == 3).then(|| assert_eq!(entries[0]["method"], "auth"))
    });
}

#[test]
fn beyond_loopback_a_short_key_is_refused_and_a_rather_short_one_is_warned_about() {
    let with = |key: &str| {
        Setup::new()
            .argument("--host")
            .argument("0.0.0.0")
            .set("hub.plain_beyond_loopback=true")
            .environment("KIRO_SWARM_KEY", key)
            .environment("KIROSU_HUB__KEYLESS", "")
    };
    let (status, _, log) = with("fifteen-letters").run();
    assert!(!status.success());
    assert!(log.contains("15 characters"), "{log}");
    let hub = with("sixteen-letters-").start();
    assert!(hub.log().contains("16 characters"), "{}", hub.log());
    // On loopback the programs of the machine can guess it.
    let hub = Setup::new().environment("KIRO_SWARM_KEY", "4711").start();
    assert!(hub.log().contains("has 4 characters"), "{}", hub.log());
}

#[test]
fn the_command_line_adds_lists_and_revokes_keys() {
    let hub = Hub::start();
    let text = |output: &std::process::Output| String::from_utf8(output.stdout.clone()).unwrap();
    let added = hub.cli(&[
        "key",
        "add",
        "ci",
        "--role",
        "enqueue",
        "--queues",
        "a,b",
        "--expires",
        "30d",
    ]);
    assert!(added.status.success(), "{added:?}");
    let stdout = text(&added);
    let key = stdout.lines().last().unwrap();
    assert_eq!(stdout.trim(), key, "the key is all of standard output");
    let mut ci = client(&hub, key);
    ci.enqueue_with(json!({"prompt": "p", "queue": "b"}));
    let listed = text(&hub.cli(&["key", "list"]));
    assert!(
        listed.contains("ci\tenqueue\tqueues=a,b\tvalid"),
        "{listed}"
    );
    let trail = text(&hub.cli(&["audit", "--who", "ci", "--since", "1h"]));
    assert!(trail.contains("\tenqueue\t1\tok"), "{trail}");
    let json = text(&hub.cli(&["audit", "--json", "--task", "1"]));
    let entry: Value = serde_json::from_str(json.lines().next().unwrap()).unwrap();
    assert_eq!(entry["who"], "ci");
    assert!(hub.cli(&["key", "revoke", "ci"]).status.success());
    assert_eq!(word(&ci.refused("stats", json!({}))), "unauthorized");
    let unknown = hub.cli(&["key", "revoke", "other"]);
    assert_eq!(unknown.status.code(), Some(1));
    let stderr = String::from_utf8(unknown.stderr).unwrap();
    assert!(stderr.contains("kirosu key list"), "{stderr}");
}

/// The header with a key.
fn header(key: &str) -> String {
    format!("x-kiro-key: {key}\r\n")
}

#[test]
fn over_http_a_key_has_its_own_rights_and_limits() {
    for own in [None, Some("the-key-of-this-hub")] {
        let hub = match own {
            None => setup().start(),
            Some(key) => setup().environment("KIRO_SWARM_KEY", key).start(),
        };
        let at = address(&hub);
        let add = |name: &str, role: &str, limits: Value| {
            let mut params = limits;
            params["name"] = json!(name);
            params["role"] = json!(role);
            params["auth_token"] = json!(own);
            let added = hub.client().call("key_add", params);
            added["key"].as_str().unwrap().to_owned()
        };
        let ci = add("ci", "enqueue", json!({"queues": ["a"]}));
        let task = json!({"prompt": "p", "queue": "a", "requires_approval": true}).to_string();
        let added = with(&at, "POST", "/tasks", &header(&ci), &task);
        assert_eq!(added.status, 200, "{added:?}");
        let beyond = with(&at, "POST", "/tasks", &header(&ci), r#"{"prompt": "p"}"#);
        assert_eq!(
            (
                beyond.status,
                beyond.json()["error"]["data"]["code"].as_str()
            ),
            (403, Some("forbidden"))
        );
        let approve = with(&at, "POST", "/tasks/1/approve", &header(&ci), "{}");
        assert_eq!(approve.status, 403);
        assert_eq!(approve.json()["error"]["data"]["right"], "person");

        let ada = add("ada", "person", json!({}));
        let bearer = format!("Authorization: Bearer {ada}\r\n");
        let approve = with(
            &at,
            "POST",
            "/tasks/1/approve",
            &bearer,
            r#"{"by": "the boss"}"#,
        );
        assert_eq!(approve.status, 200, "{approve:?}");
        let got = with(&at, "GET", "/tasks/1", &header(&ci), "");
        assert_eq!(got.json()["decisions"][0]["by"], "ada");

        // MCP over HTTP.
        let call = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {
            "name": "enqueue_task", "arguments": {"prompt": "p", "queue": "b"},
            "_meta": {
                "io.modelcontextprotocol/protocolVersion": "2026-07-28",
                "io.modelcontextprotocol/clientCapabilities": {},
                "io.modelcontextprotocol/clientInfo": {"name": "test", "version": "1"},
            },
        }});
        let headers = format!(
            "{}content-type: application/json\r\naccept: application/json, text/event-stream\r\nmcp-protocol-version: 2026-07-28\r\nmcp-method: tools/call\r\nmcp-name: enqueue_task\r\n",
            header(&ci)
        );
        let answer = with(&at, "POST", "/mcp", &headers, &call.to_string());
        assert!(answer.body.contains("queues"), "{answer:?}");

        let wrong = with(&at, "GET", "/stats", &header("krs_wrong"), "");
        assert_eq!(wrong.status, 403);
        assert!(wrong.sentence().contains("Invalid KIRO_SWARM_KEY"));
        let revoke = json!({"name": "ci", "auth_token": own});
        hub.client().call("key_revoke", revoke);
        let revoked = with(&at, "GET", "/stats", &header(&ci), "");
        assert_eq!(revoked.status, 403, "{revoked:?}");
    }
}

#[test]
fn keys_are_added_listed_and_revoked_over_http() {
    let hub = setup()
        .environment("KIRO_SWARM_KEY", "the-key-of-this-hub")
        .start();
    let at = address(&hub);
    let own = header("the-key-of-this-hub");
    let send = |key: &str, method: &str, path: &str, body: &str| with(&at, method, path, key, body);
    let new = r#"{"name": "ci", "role": "enqueue", "queues": ["a"], "expires_seconds": 3600}"#;
    let added = send(&own, "POST", "/keys", new);
    assert_eq!(added.status, 200, "{added:?}");
    let secret = added.json()["key"].as_str().unwrap().to_owned();
    assert!(secret.starts_with("krs_"));
    let ci = header(&secret);
    assert_eq!(send(&ci, "GET", "/stats", "").status, 200);
    let listed = send(&own, "GET", "/keys", "");
    assert_eq!(listed.json()["keys"][0]["queues"], json!(["a"]));
    assert!(!listed.body.contains(&secret), "{listed:?}");

    let refused = [
        (&ci, "GET", "/keys", "", 403),
        (
            &ci,
            "POST",
            "/keys",
            r#"{"name": "x", "role": "admin"}"#,
            403,
        ),
        (&ci, "DELETE", "/keys/ci", "", 403),
        (&own, "POST", "/keys", new, 409),
        (&own, "POST", "/keys", r#"{"name": "x"}"#, 422),
        (&own, "POST", "/keys", "", 422),
        (&own, "DELETE", "/keys/nobody", "", 404),
        (&own, "DELETE", "/keys", "", 405),
    ];
    for (key, method, path, body, status) in refused {
        let answer = send(key, method, path, body);
        assert_eq!(answer.status, status, "{method} {path} {body}: {answer:?}");
    }
    assert_eq!(send(&own, "DELETE", "/keys/ci", "").status, 200);
    assert_eq!(send(&ci, "GET", "/stats", "").status, 403);
}
