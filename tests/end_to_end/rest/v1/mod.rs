//! `/v1`: every verb as a route, with its rights, its errors and what HTTP clients expect.

mod events;
mod schemathesis;
pub mod stream;

use crate::common::http::{Answer, get, post, with};
use crate::common::process::{address, setup};
use crate::common::{Hub, Setup, until};
use kirosu_protocol::{AccessRole, Method, Right};
use serde_json::{Map, Value, json};
use std::io::Write;
use std::net::TcpStream;

/// Adds a key and returns the header with it.
pub fn key_header(hub: &Hub, name: &str, role: &str) -> String {
    let added = hub
        .client()
        .call("key_add", json!({"name": name, "role": role}));
    format!("x-kiro-key: {}\r\n", added["key"].as_str().unwrap())
}

/// The problem in a refusal, once its shape is right.
fn problem(answer: &Answer) -> Value {
    let problem = answer.json();
    assert!(
        answer
            .head
            .contains("content-type: application/problem+json"),
        "{answer:?}"
    );
    assert_eq!(problem["status"], answer.status, "{answer:?}");
    let code = problem["code"].as_str().unwrap();
    assert_eq!(problem["type"], format!("urn:kirosu:error:{code}"));
    assert!(problem["title"].is_string() && problem["detail"].is_string());
    let id = problem["request_id"].as_str().unwrap().to_lowercase();
    assert!(
        answer.head.contains(&format!("x-request-id: {id}")),
        "{answer:?}"
    );
    problem
}

/// An operation of the description.
struct Operation {
    method: String,
    path: String,
    verb: String,
    right: Right,
    description: Value,
}

fn operations(at: &str) -> (Vec<Operation>, Value) {
    let description = get(at, "/v1/openapi.json").json();
    let mut operations = Vec::new();
    for (path, methods) in description["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            let right = operation["x-kirosu-right"].as_str().unwrap();
            operations.push(Operation {
                method: method.to_uppercase(),
                path: path.clone(),
                verb: operation["x-kirosu-verb"].as_str().unwrap().to_owned(),
                right: Right::from_name(right).unwrap(),
                description: operation.clone(),
            });
        }
    }
    (operations, description)
}

/// A value of a schema's type.
fn sample(schema: &Value, whole: &Value) -> Value {
    if let Some(reference) = schema["$ref"].as_str() {
        return sample(whole.pointer(&reference[1..]).unwrap(), whole);
    }
    if let Some(word) = schema["enum"].get(0) {
        return word.clone();
    }
    let kind = match &schema["type"] {
        Value::Array(kinds) => kinds[0].as_str(),
        kind => kind.as_str(),
    };
    match kind {
        Some("boolean") => json!(true),
        Some("integer" | "number") => json!(1),
        Some("string") => json!("nothing"),
        Some("array") => json!([sample(&schema["items"], whole)]),
        _ => {
            let mut object = Map::new();
            for name in schema["required"].as_array().into_iter().flatten() {
                let name = name.as_str().unwrap();
                object.insert(name.to_owned(), sample(&schema["properties"][name], whole));
            }
            object.into()
        }
    }
}

impl Operation {
    /// The path, query and body of a request that the parser takes.
    fn request(&self, whole: &Value) -> (String, String) {
        let named = [
            ("{task_id}", "999999"),
            ("{approval_id}", "999999"),
            ("{name}", "nothing"),
        ];
        let path = named.iter().fold(self.path.clone(), |path, (name, value)| {
            path.replace(name, value)
        });
        let mut query = Vec::new();
        for parameter in self.description["parameters"].as_array().unwrap() {
            if parameter["in"] == "query" && parameter["required"] == true {
                query.push(format!("{}=nobody", parameter["name"].as_str().unwrap()));
            }
        }
        let path = match query.is_empty() {
            true => path,
            false => format!("{path}?{}", query.join("&")),
        };
        let schema = &self.description["requestBody"]["content"]["application/json"]["schema"];
        if schema.is_null() {
            return (path, String::new());
        }
        let mut body = sample(schema, whole);
        // Of these one of several parameters is needed.
        match (self.verb.as_str(), self.path.contains('{')) {
            ("cancel" | "retry", false) => body["queue"] = json!("nothing"),
            ("wait", _) => body["task_ids"] = json!([999_999]),
            ("ack", _) => body = json!({"task_id": 999_999, "status": "done"}),
            ("schedule_add", _) => body["every_seconds"] = json!(60),
            ("source", _) => body["items"] = json!([1]),
            ("enqueue" | "enqueue_batch", _) => {}
            _ => {}
        }
        (path, body.to_string())
    }
}

#[test]
fn a_key_of_each_role_may_use_the_routes_of_its_verbs_and_no_others() {
    let hub = setup().start();
    let at = address(&hub);
    let (operations, whole) = operations(&at);
    for verb in Method::ALL {
        // A browser logs in and out with POST and DELETE /session.
        if matches!(
            verb,
            Method::WebTicket | Method::WebLogin | Method::WebLogout
        ) {
            continue;
        }
        let is_there = operations
            .iter()
            .any(|it| it.verb == verb.name() && it.right == verb.right());
        assert!(is_there, "{verb:?} has no route");
    }
    for role in AccessRole::ALL {
        let key = key_header(&hub, &format!("key-{role}"), role.as_str());
        for operation in &operations {
            let may = role.has(operation.right);
            // These end the hub's work, and this one the key.
            let is_last = matches!(operation.verb.as_str(), "drain" | "shutdown" | "reload");
            if may && is_last {
                continue;
            }
            let (mut path, body) = operation.request(&whole);
            if may && operation.verb == "watch" {
                // A stream would not end.
                path.push_str("?coalesce=1");
            }
            let answer = with(&at, &operation.method, &path, &key, &body);
            let told = format!("{role}: {} {path} {body}: {answer:?}", operation.method);
            let is_forbidden = answer.status == 403 && problem(&answer)["code"] == "forbidden";
            assert_eq!(is_forbidden, !may, "{told}");
            assert!(answer.status < 500 || answer.status == 501, "{told}");
            match is_forbidden {
                true => assert_eq!(
                    problem(&answer)["data"]["right"],
                    operation.right.as_str(),
                    "{told}"
                ),
                false if answer.status >= 400 => drop(problem(&answer)),
                false => {}
            }
        }
    }
}

#[test]
fn a_hub_is_drained_and_stopped_over_http() {
    let mut hub = setup().start();
    let at = address(&hub);
    let key = key_header(&hub, "root", "admin");
    for act in ["reload", "drain", "shutdown"] {
        let answer = with(&at, "POST", &format!("/v1/hub/{act}"), &key, "");
        assert_eq!(answer.status, 200, "{act}: {answer:?}");
    }
    assert!(hub.ended().success());
}

#[test]
fn errors_are_problems_with_the_codes_of_the_protocol_and_an_id() {
    let hub = setup()
        .environment("KIRO_SWARM_KEY", "k1")
        .set("gateway.body_bytes=64 KiB")
        .start();
    let at = address(&hub);
    let key = "x-kiro-key: k1\r\n";
    let long = json!({"prompt": "a".repeat(70_000)}).to_string();
    for (method, path, headers, body, status, code) in [
        ("GET", "/v1/nowhere", key, "", 404, "method_not_found"),
        ("GET", "/v1", key, "", 404, "method_not_found"),
        ("PUT", "/v1/tasks", key, "", 405, "method_not_found"),
        ("GET", "/v1/tasks/999", key, "", 404, "unknown_task"),
        ("GET", "/v1/tasks/x", key, "", 422, "invalid_params"),
        (
            "GET",
            "/v1/tasks?limit=many",
            key,
            "",
            422,
            "invalid_params",
        ),
        ("GET", "/v1/pools?probe=a", key, "", 422, "invalid_params"),
        ("POST", "/v1/tasks", key, "{", 400, "parse_error"),
        ("POST", "/v1/tasks", key, "[]", 422, "invalid_params"),
        ("POST", "/v1/tasks", key, "{}", 422, "invalid_params"),
        ("POST", "/v1/tasks", key, &long, 413, "too_large"),
        ("GET", "/v1/tasks", "", "", 403, "unauthorized"),
        (
            "GET",
            "/v1/tasks",
            "x-kiro-key: k2\r\n",
            "",
            403,
            "unauthorized",
        ),
        (
            "GET",
            "/v1/events?coalesce=1",
            key,
            "",
            422,
            "invalid_params",
        ),
        ("GET", "/v1/events?since=x", key, "", 422, "invalid_params"),
        ("POST", "/v1/tasks/1/approve", key, "", 404, "unknown_task"),
        (
            "POST",
            "/v1/leases/ack",
            key,
            r#"{"task_id":7,"status":"done"}"#,
            404,
            "unknown_task",
        ),
    ] {
        let answer = with(&at, method, path, headers, body);
        assert_eq!(answer.status, status, "{method} {path}: {answer:?}");
        assert_eq!(problem(&answer)["code"], code, "{method} {path}");
    }
    let given = with(
        &at,
        "GET",
        "/v1/nowhere",
        &format!("{key}X-Request-Id: job-7.a\r\n"),
        "",
    );
    assert_eq!(problem(&given)["request_id"], "job-7.a");
    let refused = with(
        &at,
        "GET",
        "/v1/nowhere",
        &format!("{key}X-Request-Id: a b\r\n"),
        "",
    );
    assert_ne!(problem(&refused)["request_id"], "a b");
    let other = with(
        &at,
        "GET",
        "/v1/ping",
        &format!("{key}X-Request-Id: job-7.a\r\n"),
        "",
    );
    assert!(other.status == 200 && other.head.contains("x-request-id: job-7.a"));
    // The routes of the previous version stay as they were.
    let old = with(&at, "GET", "/tasks/999", key, "");
    assert!(old.sentence().contains("999") && old.head.contains("x-request-id: "));
}

#[test]
fn a_body_that_does_not_come_and_a_hub_that_is_gone_are_problems() {
    let hub = Hub::start();
    let api = crate::common::process::Api::start(&hub.setup, hub.port, &[]);
    let at = api.address.clone();
    let mut late = TcpStream::connect(&at).unwrap();
    let head = format!(
        "POST /v1/tasks HTTP/1.1\r\nHost: {at}\r\nContent-Length: 10\r\nConnection: close\r\n\r\n{{"
    );
    late.write_all(head.as_bytes()).unwrap();
    let mut said = String::new();
    std::io::Read::read_to_string(&mut late, &mut said).unwrap();
    assert!(
        said.starts_with("HTTP/1.1 408") && said.contains("application/problem+json"),
        "{said}"
    );
    let _setup = hub.kill();
    let gone = until("the gateway knows", || {
        let answer = get(&at, "/v1/stats");
        (answer.status == 503).then_some(answer)
    });
    assert_eq!(problem(&gone)["code"], "busy");
    assert!(gone.head.contains("retry-after: 1"), "{gone:?}");
}

#[test]
fn each_get_has_a_head_and_each_path_its_options() {
    let hub = setup().start();
    let at = address(&hub);
    let key = key_header(&hub, "root", "admin");
    let task = post_with(&at, "/v1/tasks", &key, json!({"prompt": "one"}));
    assert_eq!(task.json()["task_id"], 1);
    let (operations, _) = operations(&at);
    for operation in &operations {
        let path = operation
            .path
            .replace("{task_id}", "1")
            .replace("{approval_id}", "1")
            .replace("{name}", "n");
        let options = with(&at, "OPTIONS", &path, &key, "");
        let allow = format!(
            "allow: {}",
            options.head.split("allow: ").nth(1).unwrap_or_default()
        );
        assert_eq!(
            (options.status, options.body.as_str()),
            (204, ""),
            "{options:?}"
        );
        assert!(
            allow.contains(&operation.method.to_lowercase()),
            "{path}: {allow}"
        );
        assert!(allow.contains("options"), "{path}: {allow}");
        let other = with(&at, "PUT", &path, &key, "");
        assert!(
            other.status == 405 && other.head.contains(allow.lines().next().unwrap()),
            "{other:?}"
        );
        if operation.method != "GET" {
            continue;
        }
        // A stream has no end, but its head has one.
        let head = with(&at, "HEAD", &path, &key, "");
        assert_eq!(head.body, "", "{path}");
        if operation.verb != "watch" && !path.ends_with("/output") {
            let whole = with(&at, "GET", &path, &key, "");
            assert_eq!(head.status, whole.status, "{path}: {head:?} {whole:?}");
        }
    }
    for path in ["/v1/openapi.json", "/v1/docs", "/v1/docs/docs.js"] {
        assert_eq!(with(&at, "HEAD", path, "", "").status, 200, "{path}");
        assert_eq!(with(&at, "OPTIONS", path, "", "").status, 204, "{path}");
    }
}

fn post_with(at: &str, path: &str, headers: &str, body: Value) -> Answer {
    with(at, "POST", path, headers, &body.to_string())
}

#[test]
fn a_task_or_run_with_an_idempotency_key_is_added_once() {
    let hub = setup().start();
    let at = address(&hub);
    let key = key_header(&hub, "ci", "enqueue");
    let headers = format!("{key}Idempotency-Key: build-7\r\n");
    let add = |path: &str, headers: &str, body: &Value| post_with(&at, path, headers, body.clone());
    let task = json!({"prompt": "once"});
    let first = add("/v1/tasks", &headers, &task).json();
    let again = add("/v1/tasks", &headers, &task).json();
    assert_eq!(
        (&first["task_id"], &again["existed"]),
        (&again["task_id"], &json!(true))
    );
    let run = json!({"plan": {"pipeline": [{"id": "a", "prompt": "p"}]}});
    let headers = format!("{key}Idempotency-Key: run-7\r\n");
    let first = add("/v1/runs", &headers, &run).json();
    assert_eq!(
        add("/v1/runs", &headers, &run).json()["task_id"],
        first["task_id"]
    );
    let both = json!({"prompt": "once", "idempotency_key": "another"});
    let refused = add("/v1/tasks", &headers, &both);
    assert_eq!(problem(&refused)["code"], "invalid_params");
    let same = json!({"prompt": "once", "idempotency_key": "run-8"});
    let headers = format!("{key}Idempotency-Key: run-8\r\n");
    assert_eq!(add("/v1/tasks", &headers, &same).status, 200);
}

#[test]
fn pages_have_a_link_to_the_next_one() {
    let hub = setup().start();
    let at = address(&hub);
    let key = key_header(&hub, "ci", "enqueue");
    let tasks = vec![json!({"prompt": "p", "labels": ["a,b"]}); 5];
    let added = post_with(&at, "/v1/tasks/batch", &key, json!({"tasks": tasks}));
    assert_eq!(added.status, 200, "{added:?}");
    let mut path = "/v1/tasks?limit=2&queue=default".to_owned();
    let mut seen = Vec::new();
    loop {
        let page = with(&at, "GET", &path, &key, "");
        let tasks = page.json()["tasks"].clone();
        seen.extend(
            tasks
                .as_array()
                .unwrap()
                .iter()
                .map(|task| task["task_id"].as_i64().unwrap()),
        );
        let link = page
            .head
            .lines()
            .find_map(|line| line.strip_prefix("link: <"));
        let Some(link) = link else {
            break;
        };
        let (next, rest) = link.split_once('>').unwrap();
        assert_eq!(rest, "; rel=\"next\"");
        path = next.to_owned();
    }
    assert_eq!(seen, [5, 4, 3, 2, 1]);
}

#[test]
fn a_worker_without_a_session_leases_and_reports_with_fences() {
    let hub = setup().start();
    let at = address(&hub);
    let (adds, works) = (
        key_header(&hub, "ci", "enqueue"),
        key_header(&hub, "gpu", "work"),
    );
    let task = json!({"prompt": "one", "queue": "own"});
    assert_eq!(post_with(&at, "/v1/tasks", &adds, task).status, 200);
    let lease = json!({"queues": ["own"], "worker_id": "w", "wait_seconds": 5});
    let leased = post_with(&at, "/v1/leases", &works, lease.clone()).json();
    let task = &leased["tasks"][0];
    let of_run = json!({"task_id": task["task_id"], "fence": task["fence"]});
    let report = |verb: &str, more: Value| {
        let mut body = of_run.clone();
        for (name, value) in more.as_object().unwrap() {
            body[name] = value.clone();
        }
        post_with(&at, &format!("/v1/leases/{verb}"), &works, body)
    };
    for (verb, more) in [
        ("heartbeat", json!({"lease_seconds": 60})),
        ("progress", json!({"data": {"percent": 50}})),
        ("output", json!({"text": "half"})),
        ("reserve", json!({"want": {"tokens": 5}})),
    ] {
        let answer = report(verb, more);
        assert_eq!(answer.status, 200, "{verb}: {answer:?}");
    }
    // The next task comes with the report, as soon as there is one.
    let next = json!({"prompt": "two", "queue": "own", "delay_seconds": 1});
    assert_eq!(post_with(&at, "/v1/tasks", &adds, next).status, 200);
    let ack = report(
        "ack",
        json!({"status": "done", "result": "r", "lease": lease}),
    )
    .json();
    assert_eq!(
        (&ack["ok"], &ack["tasks"][0]["prompt"]),
        (&json!(true), &json!("two"))
    );
    let late = report("heartbeat", json!({}));
    assert_eq!(problem(&late)["code"], "stale_lease");
}

#[test]
fn a_lease_for_a_client_that_has_gone_is_given_back() {
    let hub = setup().start();
    let at = address(&hub);
    let (adds, works) = (
        key_header(&hub, "ci", "enqueue"),
        key_header(&hub, "gpu", "work"),
    );
    let body = json!({"queues": ["own"], "wait_seconds": 30}).to_string();
    let mut gone = TcpStream::connect(&at).unwrap();
    let length = body.len();
    let request = format!(
        "POST /v1/leases HTTP/1.1\r\nHost: {at}\r\n{works}Content-Length: {length}\r\n\r\n{body}"
    );
    gone.write_all(request.as_bytes()).unwrap();
    let mut client = hub.client();
    until("the lease is parked", || {
        (super::in_flight(&mut client) > 1).then_some(())
    });
    drop(gone);
    // It reaches the parked request of the client that has gone, and comes back from there.
    let task = json!({"prompt": "one", "queue": "own"});
    let id = post_with(&at, "/v1/tasks", &adds, task).json()["task_id"]
        .as_i64()
        .unwrap();
    let lease = json!({"queues": ["own"], "wait_seconds": 15});
    let leased = post_with(&at, "/v1/leases", &works, lease).json();
    assert_eq!(leased["tasks"][0]["task_id"], id, "{leased}");
    assert_eq!(
        client.task(id)["attempts"],
        1,
        "the lease that was given back is no attempt"
    );
}

#[test]
fn a_wait_is_for_many_tasks_and_a_group() {
    let hub = setup().start();
    let at = address(&hub);
    let key = key_header(&hub, "ci", "enqueue");
    let tasks = vec![json!({"prompt": "p", "labels": ["g"]}); 150];
    let added = post_with(&at, "/v1/tasks/batch", &key, json!({"tasks": tasks})).json();
    let ids = added["task_ids"].clone();
    let waited = post_with(
        &at,
        "/v1/wait",
        &key,
        json!({"task_ids": ids, "timeout_seconds": 30}),
    );
    assert!(
        waited.status == 200 && waited.body.contains("\"finished\":true"),
        "{waited:?}"
    );
    let group = post_with(
        &at,
        "/v1/wait",
        &key,
        json!({"label": "g", "timeout_seconds": 30}),
    )
    .json();
    assert_eq!(
        (&group["finished"], &group["counts"]["done"]),
        (&json!(true), &json!(150))
    );
    let open = json!({"prompt": "?", "type": "human"});
    let open = post_with(&at, "/v1/tasks", &key, open).json()["task_id"].clone();
    let short = post_with(
        &at,
        "/v1/wait",
        &key,
        json!({"task_ids": [open], "timeout_seconds": 0.2}),
    )
    .json();
    assert_eq!(short["finished"], false);
}

#[test]
fn hello_tells_the_role_and_the_rights_of_the_client() {
    let hub = setup().environment("KIRO_SWARM_KEY", "k1").start();
    let at = address(&hub);
    let rights = |header: &str| {
        let hello = with(&at, "GET", "/v1/hello", header, "").json();
        assert!(hello["limits"]["prompt_bytes"].is_u64() && hello["boot_id"].is_string());
        (hello["role"].clone(), hello["rights"].clone())
    };
    let all = json!(["connect", "observe", "enqueue", "work", "admin"]);
    assert_eq!(rights("x-kiro-key: k1\r\n"), (json!("admin"), all));
    let added = || {
        let mut client = hub.client();
        client.call("hello", json!({"auth_token": "k1"}));
        client.call("key_add", json!({"name": "ada", "role": "person"}))
    };
    let ada = format!("x-kiro-key: {}\r\n", added()["key"].as_str().unwrap());
    assert_eq!(
        rights(&ada),
        (json!("person"), json!(["connect", "observe", "person"]))
    );
    let keyless = setup().set("hub.keyless=owner").start();
    let hello = get(&address(&keyless), "/v1/hello").json();
    assert_eq!(
        (&hello["role"], &hello["rights"]),
        (&json!("keyless"), &json!(["connect"]))
    );
}

#[test]
fn the_page_to_try_it_has_no_script_or_style_of_its_own() {
    let hub = Setup::new()
        .environment("KIRO_SWARM_KEY", "k1")
        .set("gateway.enabled=true")
        .set("gateway.port=0")
        .start();
    let at = address(&hub);
    let page = get(&at, "/v1/docs");
    assert_eq!(page.status, 200, "open, as the description is");
    for rule in [
        "default-src 'none'",
        "script-src 'self'",
        "require-trusted-types-for 'script'",
        "frame-ancestors 'none'",
    ] {
        assert!(page.head.contains(rule), "{page:?}");
    }
    for file in page
        .body
        .split(['"', '\''])
        .filter(|word| word.starts_with("/v1/docs/"))
    {
        assert_eq!(get(&at, file).status, 200, "{file}");
    }
    let script = get(&at, "/v1/docs/docs.js").body;
    for sink in [
        "innerHTML",
        "outerHTML",
        "insertAdjacentHTML",
        "document.write",
        "eval(",
        "Function(",
    ] {
        assert!(!script.contains(sink), "{sink}");
    }
    assert!(
        !page.body.contains("style=")
            && !page.body.contains("onclick")
            && !page.body.contains("<style")
    );
    let _ = post(&at, "/v1/docs", "");
}
