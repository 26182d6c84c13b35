//! REST, against the built binary: what scripts send, what goes wrong, what happens when hub or gateway fail.

mod runs;
mod v1;

use crate::common::http::{get, post, raw, with};
use crate::common::process::{Api, address, setup};
use crate::common::{Client, Hub, Setup, until};
use rustix::process::Signal;
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

fn python(arguments: &[&str]) -> Value {
    let script = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/end_to_end/rest/client.py"
    );
    let mut command = Command::new("python3");
    command.arg(script).args(arguments).stdin(Stdio::null());
    let output = command.output().unwrap_or_else(|error| {
        panic!("python3 cannot be started ({error}): install the Debian package python3")
    });
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{e}: {errors}"))
}

/// Requests that the hub has not answered yet.
fn in_flight(client: &mut Client) -> u64 {
    let answer = client.call("metrics", json!({}));
    let families = answer["metrics"].as_array().expect("families");
    let family = families
        .iter()
        .find(|family| family["name"] == "kirosu_requests_in_flight");
    family
        .and_then(|family| family["value"].as_f64())
        .expect("a gauge") as u64
}

fn check(said: &Value, wrong_key: u16) {
    assert_eq!(said["ids"], json!([1, 2, 3, 4, 5]));
    let results: Vec<String> = (0..5).map(|n| format!("task {n}")).collect();
    assert_eq!(said["results"], json!(results));
    assert_eq!(
        (&said["list_stats"], &said["stats"]["done"]),
        (&json!(5), &json!(5))
    );
    assert_eq!(said["wrong_key"], wrong_key);
    assert_eq!(
        (&said["no_prompt"], &said["huge"]),
        (&json!(422), &json!(413))
    );
}

#[test]
fn a_script_of_the_earlier_version_works_beside_the_hub_and_against_a_gateway_alone() {
    let hub = setup().start();
    check(&python(&[&format!("http://{}", address(&hub))]), 200);
    let hub = setup().environment("KIRO_SWARM_KEY", "k1").start();
    let api = Api::start(&hub.setup, hub.port, &[]);
    check(&python(&[&format!("http://{}", api.address), "k1"]), 403);
    assert!(api.stop().success());
}

#[test]
fn a_task_can_be_followed_and_steered() {
    let hub = setup().start();
    let at = address(&hub);
    let enqueue = |task: Value| post(&at, "/tasks", &task.to_string()).json()["task_id"].clone();
    let one = enqueue(json!({"prompt": "one", "priority": 7, "metadata": {"a": 1}, "unknown": 1}));
    let waited = get(&at, &format!("/tasks/{one}/wait?seconds=20")).json();
    assert_eq!(waited["finished"], true);
    assert_eq!(waited["task"]["result"], "one");
    let told = get(&at, &format!("/tasks/{one}?output=true")).json();
    assert_eq!(
        (&told["task"]["priority"], &told["task"]["metadata"]),
        (&json!(7), &json!({"a": 1}))
    );
    assert_eq!(told["attempts"][0]["outcome"], "done");
    assert!(told["output"].is_array(), "{told}");

    let keyed = json!({"prompt": "once", "idempotency_key": "k"});
    assert_eq!(enqueue(keyed.clone()), enqueue(keyed));

    let asked = enqueue(json!({"prompt": "may I", "requires_approval": true}));
    let short = Instant::now();
    let waited = get(&at, &format!("/tasks/{asked}/wait?seconds=0.1")).json();
    assert!(!waited["finished"].as_bool().unwrap() && short.elapsed() < Duration::from_secs(15));
    let approved = post(&at, &format!("/tasks/{asked}/approve"), r#"{"by": "ada"}"#);
    assert_eq!(approved.json(), json!({"ok": true}));
    assert_eq!(
        get(&at, &format!("/tasks/{asked}/wait")).json()["task"]["status"],
        "done"
    );

    let human = enqueue(json!({"prompt": "?", "type": "human"}));
    post(
        &at,
        &format!("/tasks/{human}/reject"),
        r#"{"reason": "too risky"}"#,
    )
    .json();
    let task = get(&at, &format!("/tasks/{human}")).json()["task"].clone();
    assert_eq!(task["status"], "failed");
    assert!(
        task["error"].as_str().unwrap().contains("too risky"),
        "{task}"
    );

    let later = enqueue(json!({"prompt": "later", "delay_seconds": 3600}));
    assert_eq!(post(&at, &format!("/tasks/{later}/cancel"), "").status, 200);
    let cancelled = get(&at, "/tasks?status=cancelled&limit=5").json();
    assert_eq!(cancelled["tasks"][0]["task_id"], later);
    let again = post(&at, &format!("/tasks/{one}/cancel"), "");
    assert_eq!(
        (again.status, again.json()["error"]["data"]["code"].clone()),
        (409, json!("wrong_state"))
    );
    assert_eq!(
        post(&at, &format!("/tasks/{later}/retry"), "").json(),
        json!({"ok": true})
    );
}

#[test]
fn each_refusal_is_a_status_and_a_sentence() {
    let hub = setup()
        .set("gateway.body_bytes=64 KiB")
        .set("limits.prompt_bytes=1 KiB")
        .start();
    let at = address(&hub);
    let prompt = |bytes: usize| json!({"prompt": "a".repeat(bytes)}).to_string();
    let bombs = "[".repeat(60_000);
    let chunked = {
        let chunk = format!("{:x}\r\n{}\r\n", 32 << 10, "a".repeat(32 << 10)).repeat(4);
        let head = format!(
            "POST /tasks HTTP/1.1\r\nHost: {at}\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
        );
        raw(&at, format!("{head}{chunk}0\r\n\r\n").as_bytes()).expect("an answer")
    };
    let table = [
        (
            post(&at, "/tasks", "{\"prompt\":"),
            400,
            "the body is not JSON",
        ),
        (post(&at, "/tasks", &bombs), 400, "the body is not JSON"),
        (post(&at, "/tasks", ""), 400, "the body is empty"),
        (post(&at, "/tasks", "[1]"), 422, "must be a JSON object"),
        (post(&at, "/tasks", "{}"), 422, "`prompt` must be a string"),
        (post(&at, "/tasks", r#"{"prompt": [1]}"#), 422, "`prompt`"),
        (
            post(&at, "/tasks", r#"{"prompt": "a", "priority": 2000}"#),
            422,
            "from -1000 to 1000 (got 2000)",
        ),
        (
            post(&at, "/tasks", r#"{"prompt": "a", "budget": {}}"#),
            422,
            "`budget`",
        ),
        (
            post(&at, "/tasks", r#"{"prompt": "a", "type": "python"}"#),
            403,
            "--trust-all-tools",
        ),
        (
            post(&at, "/tasks", &prompt(2000)),
            413,
            "`prompt` has 2000 bytes",
        ),
        (
            post(&at, "/tasks", &prompt(70_000)),
            413,
            "longer than the 65536 bytes",
        ),
        (chunked, 413, "longer than the 65536 bytes"),
        (get(&at, "/tasks?limit=many"), 422, "`limit`"),
        (get(&at, "/tasks/999"), 404, "999"),
        (get(&at, "/tasks/one"), 422, "whole number"),
        (get(&at, "/tasks/1/wait?seconds=-1"), 422, "`seconds`"),
        (post(&at, "/tasks/999/cancel", ""), 404, "999"),
        (
            post(&at, "/tasks/1/cancel", "x"),
            400,
            "the body is not JSON",
        ),
        (
            post(&at, "/tasks/1/explode", ""),
            404,
            "POST /tasks/1/explode",
        ),
        (
            with(&at, "DELETE", "/tasks", "", ""),
            405,
            "does not take DELETE",
        ),
        (get(&at, "/nowhere"), 404, "GET /nowhere"),
        (
            with(&at, "GET", "/stats", "Host: evil.example\r\n", ""),
            403,
            "host evil.example",
        ),
        (
            with(
                &at,
                "POST",
                "/tasks",
                "Origin: http://evil.example\r\n",
                &prompt(1),
            ),
            403,
            "http://evil.example",
        ),
    ];
    for (answer, status, words) in table {
        let sentence = answer.sentence();
        assert_eq!(answer.status, status, "{sentence}");
        assert!(sentence.contains(words), "{words:?} is not in {sentence:?}");
    }
    let stats = get(&at, "/stats").json();
    assert_eq!(
        stats["stats"]["total_tasks"], 0,
        "a refused request makes no task"
    );
}

#[test]
fn the_key_counts_for_everything_but_probes() {
    let hub = setup().environment("KIRO_SWARM_KEY", "k1").start();
    let at = address(&hub);
    for header in ["", "x-kiro-key: k2\r\n", "x-kiro-key: \r\n"] {
        for (method, path) in [
            ("GET", "/tasks"),
            ("GET", "/nowhere"),
            ("POST", "/tasks"),
            ("POST", "/mcp"),
        ] {
            let answer = with(&at, method, path, header, "{\"prompt\":\"a\"}");
            assert_eq!(answer.status, 403, "{method} {path} {header}");
            assert!(answer.sentence().contains("Invalid KIRO_SWARM_KEY"));
        }
    }
    for header in [
        "x-kiro-key: k1\r\n",
        "X-KIRO-KEY: k1\r\n",
        "Authorization: Bearer k1\r\n",
    ] {
        let answer = with(&at, "GET", "/stats", header, "");
        assert_eq!(
            (answer.status, answer.json()["stats"]["total_tasks"].clone()),
            (200, json!(0))
        );
    }
    for path in ["/healthz", "/readyz", "/openapi.json"] {
        assert_eq!(get(&at, path).status, 200, "{path}");
        assert_eq!(with(&at, "PUT", path, "", "").status, 405, "{path}");
    }
    let head = with(&at, "HEAD", "/readyz", "", "");
    assert_eq!((head.status, head.body.as_str()), (200, ""));
}

#[test]
fn the_description_names_routes_that_are_there() {
    let hub = setup().start();
    let at = address(&hub);
    let description = get(&at, "/openapi.json").json();
    let paths = description["paths"].as_object().unwrap();
    assert!(paths.len() >= 7, "{paths:?}");
    for (path, methods) in paths {
        for method in methods.as_object().unwrap().keys() {
            let act = match path.starts_with("/schedules") {
                true => "pause",
                false => "cancel",
            };
            let named = [("{id}", "1"), ("{act}", act), ("{verdict}", "approve")];
            let path = named
                .iter()
                .fold(path.clone(), |path, (name, word)| path.replace(name, word));
            let answer = with(&at, &method.to_uppercase(), &path, "", "");
            let known = answer.status != 405 && !answer.body.contains("lists all routes");
            assert!(known, "{method} {path}: {answer:?}");
        }
    }
}

#[test]
fn a_hub_that_is_down_is_said_at_once_and_found_again_when_it_is_back() {
    let hub = Hub::start();
    let port = hub.port;
    let api = Api::start(&hub.setup, port, &[]);
    let at = api.address.clone();
    assert_eq!(get(&at, "/readyz").status, 200);
    assert_eq!(post(&at, "/tasks", "{\"prompt\":\"a\"}").status, 200);
    let client = &mut hub.client();
    let quiet = in_flight(client);
    // A request waits in the hub when it dies: its outcome is unknown.
    let waiting = std::thread::spawn({
        let at = at.clone();
        move || get(&at, "/tasks/1/wait?seconds=25")
    });
    until("the wait is parked", || {
        (in_flight(client) > quiet).then_some(())
    });
    let mut setup = hub.kill();
    let cut = waiting.join().unwrap();
    assert!(matches!(cut.status, 502 | 503), "{cut:?}");
    for _ in 0..20 {
        let begun = Instant::now();
        let down = post(&at, "/tasks", "{\"prompt\":\"b\"}");
        assert_eq!(down.status, 503);
        assert!(down.head.contains("retry-after: 1"), "{down:?}");
        assert!(down.sentence().contains("cannot reach the hub"), "{down:?}");
        assert!(
            begun.elapsed() < Duration::from_secs(3),
            "{:?}",
            begun.elapsed()
        );
    }
    assert_eq!(get(&at, "/healthz").status, 200);
    assert_eq!(get(&at, "/readyz").status, 503);
    setup.port = port;
    let _hub = setup.start();
    until("the gateway has found the hub", || {
        (get(&at, "/readyz").status == 200).then_some(())
    });
    let stats = get(&at, "/stats").json();
    assert_eq!(
        stats["stats"]["total_tasks"], 1,
        "what was answered with 503 was not done"
    );
    assert!(api.stop().success());
}

#[test]
fn a_gateway_with_another_key_than_the_hub_says_so() {
    let hub = Setup::new().environment("KIRO_SWARM_KEY", "k1").start();
    let other = Setup::new().environment("KIRO_SWARM_KEY", "k2");
    let api = Api::start(&other, hub.port, &[]);
    let answer = with(&api.address, "GET", "/stats", "x-kiro-key: k2\r\n", "");
    assert_eq!(answer.status, 503);
    assert!(answer.sentence().contains("refuses our key"), "{answer:?}");
}

#[test]
fn it_does_not_open_itself_to_the_world_without_a_key_nor_take_a_port_twice() {
    let hub = setup().start();
    let port = address(&hub).rsplit(':').next().unwrap().to_owned();
    let api = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_kirosu"));
        let home = hub.setup.directory.path();
        command.env_clear().env("HOME", home).current_dir(home);
        let output = command.arg("api").args(arguments).output().unwrap();
        (
            output.status.code(),
            String::from_utf8_lossy(&output.stderr).into_owned(),
        )
    };
    let (code, said) = api(&["--host", "0.0.0.0", "--port", "0"]);
    assert!(
        code == Some(1) && said.contains("without a key"),
        "{code:?} {said}"
    );
    let (code, said) = api(&["--port", &port]);
    assert!(
        code == Some(1) && said.contains("choose another `port`"),
        "{code:?} {said}"
    );
}

#[test]
fn a_stop_does_not_wait_for_those_who_wait() {
    let setup = Setup::new().set("gateway.enabled=true");
    let mut hub = setup.set("gateway.port=0").start();
    let at = address(&hub);
    let task = post(&at, "/tasks", r#"{"prompt": "?", "type": "human"}"#).json()["task_id"].clone();
    let client = &mut hub.client();
    let quiet = in_flight(client);
    let waiting = std::thread::spawn(move || {
        let path = format!("/tasks/{task}/wait?seconds=600");
        raw(
            &at,
            format!("GET {path} HTTP/1.1\r\nHost: {at}\r\n\r\n").as_bytes(),
        )
    });
    until("the wait is parked", || {
        (in_flight(client) > quiet).then_some(())
    });
    let begun = Instant::now();
    hub.signal(Signal::TERM);
    assert!(hub.ended().success());
    assert!(
        begun.elapsed() < Duration::from_secs(15),
        "{:?}",
        begun.elapsed()
    );
    waiting.join().unwrap();
}

/// Needs the feature `fault-injection`, which the README's test command has.
#[cfg(feature = "fault-injection")]
#[test]
fn a_panic_in_a_handler_is_one_answer_500_and_one_of_the_server_closes_its_connections() {
    let hub = setup().set("providers.echo.delay=300ms").start();
    let at = address(&hub);
    let running = post(&at, "/tasks", r#"{"prompt": "at work"}"#).json()["task_id"].clone();
    for _ in 0..20 {
        let answer = get(&at, "/_panic");
        assert_eq!(answer.status, 500);
        assert!(answer.sentence().contains("its log says why"), "{answer:?}");
    }
    let mut client = hub.client();
    let restarts = |client: &mut Client| {
        let tree = client.call("tree", json!({}))["tree"].take();
        let children = |node: &Value| node["children"].as_array().unwrap().clone();
        let find = |nodes: Vec<Value>, name: &str| nodes.into_iter().find(|n| n["name"] == name);
        let gateway = find(children(&tree), "gateway").unwrap();
        let http = find(children(&gateway), "http").unwrap();
        (http["restarts"].as_u64().unwrap(), http["state"].clone())
    };
    assert_eq!(
        restarts(&mut client).0,
        0,
        "a handler's panic restarts nothing"
    );
    for n in 1..=3 {
        client.call("_panic", json!({"path": "root/gateway/http"}));
        until("it runs again", || {
            let (restarts, state) = restarts(&mut client);
            (restarts == n && state == "running").then_some(())
        });
        assert_eq!(get(&at, "/readyz").status, 200);
    }
    // The same connection to the hub stayed open, and the session continued.
    assert_eq!(
        client.call("wait", json!({"task_id": running, "timeout_seconds": 20}))["finished"],
        true
    );
    assert_eq!(client.task(running.as_i64().unwrap())["attempts"], 1);
}

#[test]
fn the_examples_of_the_page_are_what_curl_shows() {
    let page = include_str!("../../../docs/rest.md");
    let hub = setup().start();
    let url = format!("http://{}", address(&hub));
    let block = page.split("```console\n").nth(1).expect("a block");
    let block = block.split("```").next().expect("its end");
    let mut examples = Vec::new();
    for part in block.split("$ curl").skip(1) {
        let (command, expected) = part.split_once('\n').expect("a command and its output");
        let mut shell = Command::new("sh");
        shell.args(["-c", &format!("curl --max-time 30{command}")]);
        let output = shell.env("URL", &url).output().expect("sh is there");
        assert_ne!(
            output.status.code(),
            Some(127),
            "install the Debian package curl"
        );
        let shown = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        let mut rest = shown.as_str();
        for known in expected.trim().split("...") {
            let found = rest.find(known);
            let at = found.unwrap_or_else(|| panic!("curl{command}\n{known}\nis not in\n{shown}"));
            rest = &rest[at + known.len()..];
        }
        examples.push(shown);
    }
    assert!(examples.len() >= 9, "{examples:?}");
}

/// The JSON of a body that came in chunks.
fn unchunked(mut body: &str) -> Value {
    let mut whole = String::new();
    while let Some((size, rest)) = body.split_once("\r\n") {
        let size = usize::from_str_radix(size, 16).unwrap();
        whole.push_str(&rest[..size]);
        body = rest[size..].trim_start_matches("\r\n");
    }
    serde_json::from_str(&whole).unwrap()
}

#[test]
fn a_list_of_everything_is_a_stream_and_holds_up_no_change() {
    let hub = Hub::start();
    let api = Api::start(&hub.setup, hub.port, &[]);
    let at = api.address.clone();
    let tasks = vec![json!({"prompt": "x".repeat(500)}); 5000];
    let mut client = hub.client();
    for _ in 0..4 {
        client.call("enqueue_batch", json!({"tasks": tasks}));
    }
    let long = "x".repeat(100_000);
    client.enqueue(&long);
    let request =
        |path: &str| format!("GET {path} HTTP/1.1\r\nHost: {at}\r\nConnection: close\r\n\r\n");
    let mut deaf = TcpStream::connect(&at).unwrap();
    deaf.write_all(request("/tasks?limit=0").as_bytes())
        .unwrap();
    let mut first = [0; 1];
    deaf.read_exact(&mut first).unwrap();
    for _ in 0..5 {
        assert_eq!(post(&at, "/tasks", "{\"prompt\":\"b\"}").status, 200);
        assert_eq!(get(&at, "/tasks/1").status, 200);
        assert_eq!(
            get(&at, "/tasks?limit=2").json()["tasks"][1]["status"],
            "queued"
        );
    }
    let all = raw(&at, request("/tasks?limit=0").as_bytes()).unwrap();
    assert_eq!(all.status, 200);
    let all = unchunked(&all.body);
    let listed = all["tasks"].as_array().unwrap();
    assert_eq!(listed.len(), 20_006);
    assert_eq!(listed[5]["cut"]["prompt"], 100_000);
    assert_eq!(all["stats"]["total_tasks"], 20_006);
    let whole = raw(&at, request("/tasks?limit=6&preview_bytes=0").as_bytes()).unwrap();
    assert_eq!(unchunked(&whole.body)["tasks"][5]["prompt"], long.as_str());
    let refused = raw(&at, request("/tasks?limit=0&before=none").as_bytes()).unwrap();
    assert_eq!(refused.status, 422);
}
