//! `kirosu mcp` and /mcp against the official MCP clients: every tool over standard io and over HTTP, and the process itself.
//!
//! The scenarios are in tests/end_to_end/mcp/: client.py and its modules for the client in Python, client.mjs for those in
//! TypeScript. The clients are installed into target/, once, from pinned versions, which needs python3 with venv, and pip's and npm's
//! access to their packages.

mod full;

use crate::common::scenario::Scenario;
use crate::common::{Hub, Setup, until, venv};
use rustix::process::Signal;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const HERE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/end_to_end/mcp");

// ---------------------------------------------------------------- the client

/// Starts a scenario of client.py.
fn start(name: &str, hub: &Setup, setup: &Value) -> Scenario {
    let python = venv::python("mcp-client", &format!("{HERE}/requirements.txt"), &[]);
    Scenario::start(&python, &format!("{HERE}/client.py"), name, hub, setup)
}

// ---------------------------------------------------------------- the servers

/// `kirosu mcp` as clients start it: by its command, with nothing else in the environment.
fn stdio(setup: &Setup, port: u16, key: &str) -> Value {
    json!({
        "command": env!("CARGO_BIN_EXE_kirosu"),
        "arguments": ["mcp", "--decisions", "--port", port.to_string()],
        "environment": {"HOME": setup.directory.path(), "KIRO_SWARM_KEY": key},
    })
}

/// A hub with its gateway in one process.
fn with_gateway() -> Setup {
    Setup::new()
        .up()
        .set("gateway.enabled=true")
        .set("gateway.mcp_decisions=true")
        .set("gateway.port=0")
}

/// The address of a hub's gateway.
fn url(hub: &Hub) -> String {
    let address = until("the gateway says where it is", || {
        let log = hub.log();
        let line = log.lines().find(|line| line.contains("REST is served"))?;
        let address = line.split("address=").nth(1)?.split_whitespace().next()?;
        Some(address.to_owned())
    });
    format!("http://{address}/mcp")
}

/// The revisions with a handshake and sessions, and the newest one without.
const MODES: [&str; 2] = ["legacy", "auto"];

// ---------------------------------------------------------------- the scenarios

#[test]
fn every_tool_over_stdio() {
    for mode in MODES {
        let hub = Hub::start();
        let stdio = stdio(&hub.setup, hub.port, "");
        let setup = json!({"mode": mode, "stdio": stdio, "hub": {"port": hub.port}});
        start("every_tool", &hub.setup, &setup).succeeds();
    }
}

#[test]
fn every_tool_over_http() {
    for mode in MODES {
        let hub = with_gateway().start();
        let setup = json!({"mode": mode, "url": url(&hub), "hub": {"port": hub.port}});
        start("every_tool", &hub.setup, &setup).succeeds();
        let log = hub.log();
        assert!(!log.contains("rmcp"), "noise in the hub's log:\n{log}");
    }
}

#[test]
fn a_call_that_is_cancelled_ends_its_wait_and_nothing_else() {
    let mut running = Vec::new();
    for mode in MODES {
        for over_http in [false, true] {
            let hub = with_gateway().start();
            let mut setup = json!({"mode": mode, "hub": {"port": hub.port}});
            match over_http {
                true => setup["url"] = url(&hub).into(),
                false => setup["stdio"] = stdio(&hub.setup, hub.port, ""),
            }
            // Side by side, as each takes as long as a wait is parked at once.
            running.push((start("cancelled_wait", &hub.setup, &setup), hub));
        }
    }
    for (scenario, _hub) in running {
        scenario.succeeds();
    }
}

#[test]
fn the_server_outlives_its_hub_and_a_wait_its_crash() {
    for mode in MODES {
        // A port that was free a moment ago.
        let mut setup = Hub::start().setup.clone();
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        setup.port = port.local_addr().unwrap().port();
        drop(port);
        let stdio = stdio(&setup, setup.port, "");
        let described = json!({"mode": mode, "stdio": stdio, "hub": {"port": setup.port}});
        let mut scenario = start("hub_away", &setup, &described);
        scenario.asks("start the hub");
        let hub = setup.start();
        scenario.done();
        scenario.asks("kill the hub and start it again");
        let _hub = hub.kill().start();
        scenario.done();
        scenario.succeeds();
    }
}

#[test]
fn only_the_right_key_opens_it() {
    let hub = with_gateway()
        .environment("KIRO_SWARM_KEY", "right")
        .start();
    let described = json!({"port": hub.port, "key": "right"});
    let wrong = stdio(&hub.setup, hub.port, "wrong");
    let setup = json!({"mode": "auto", "stdio": wrong, "hub": described});
    start("wrong_key", &hub.setup, &setup).succeeds();
    let setup = json!({"mode": "auto", "url": url(&hub), "hub": described});
    start("wrong_key", &hub.setup, &setup).succeeds();
}

#[test]
fn manners_over_http() {
    let mut hub = with_gateway().set("gateway.body_bytes=64KiB").start();
    let setup = json!({
        "mode": "legacy", "url": url(&hub), "body_bytes": 64 << 10, "hub": {"port": hub.port},
    });
    let mut scenario = start("manners", &hub.setup, &setup);
    scenario.asks("stop the server");
    hub.signal(Signal::TERM);
    scenario.done();
    scenario.succeeds();
    assert!(hub.ended().success());
    let log = hub.log();
    assert!(!log.contains("cut off"), "the stream held it up:\n{log}");
}

// ---------------------------------------------------------------- the process

/// `kirosu mcp` with these lines on its standard input: exit code, output, errors, time.
fn piped(lines: &str, hold: bool) -> (Option<i32>, String, String, Duration) {
    let hub = Hub::start();
    hub.client()
        .enqueue_with(json!({"prompt": "x", "queue": "nobody"}));
    let mut child = Command::new(env!("CARGO_BIN_EXE_kirosu"))
        .args(["mcp", "--port", &hub.port.to_string()])
        .env_clear()
        .env("HOME", hub.setup.directory.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(lines.as_bytes()).unwrap();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    let mut said = String::new();
    if hold {
        // Up to the first word of the wait that is then under way.
        while !said.contains("notifications/progress") {
            assert!(stdout.read_line(&mut said).unwrap() > 0, "{said}");
        }
    }
    let begun = Instant::now();
    drop(stdin);
    std::io::Read::read_to_string(&mut stdout, &mut said).unwrap();
    let output = child.wait_with_output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    (output.status.code(), said, errors, begun.elapsed())
}

const HELLO: &str = r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"t","version":"1"}}}
{"jsonrpc":"2.0","method":"notifications/initialized"}
"#;

#[test]
fn it_ends_with_its_input_and_says_nothing_but_mcp() {
    let (code, said, errors, _) = piped("", false);
    assert_eq!((code, said.as_str(), errors.as_str()), (Some(0), "", ""));

    let call = r#"{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"enqueue_task","arguments":{"prompt":"x"}}}"#;
    let (code, said, errors, _) = piped(&format!("{HELLO}{call}\n"), false);
    assert_eq!((code, errors.as_str()), (Some(0), ""));
    let lines: Vec<Value> = said
        .lines()
        .map(|line| serde_json::from_str(line).expect("only JSON"))
        .collect();
    assert_eq!(lines.len(), 2, "{said}");
    assert_eq!(lines[1]["result"]["structuredContent"]["task_id"], 2);

    // A wait does not hold it up.
    let wait = r#"{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"wait_for_task","arguments":{"task_id":1,"timeout_seconds":600},"_meta":{"progressToken":1}}}"#;
    let (code, _, errors, took) = piped(&format!("{HELLO}{wait}\n"), true);
    assert_eq!((code, errors.as_str()), (Some(0), ""));
    // Which rmcp would do for five seconds.
    assert!(took < Duration::from_secs(4), "{took:?}");
}

#[test]
fn what_is_no_mcp_is_no_crash() {
    let (code, said, errors, _) = piped("hello?\n", false);
    assert_eq!((code, said.as_str(), errors.as_str()), (Some(0), "", ""));
    let bad = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"list_tasks"}}"#;
    let (code, said, errors, _) = piped(&format!("{bad}\n"), false);
    assert_eq!((code, errors.as_str()), (Some(0), ""));
    let answer: Value = serde_json::from_str(&said).unwrap();
    assert_eq!(
        (&answer["id"], &answer["error"]["code"]),
        (&json!(1), &json!(-32602))
    );

    let (code, said, errors, _) = piped("{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}}\n", false);
    assert_eq!((code, said.as_str()), (Some(2), ""));
    assert!(
        errors.starts_with("kirosu: standard input does not speak MCP: "),
        "{errors}"
    );
}

#[test]
fn a_model_decides_in_nobodys_name_unless_that_is_switched_on() {
    let list = r#"{"jsonrpc":"2.0","id":2,"method":"tools/list"}"#;
    let call = r#"{"jsonrpc":"2.0","id":3,"method":"tools/call","params":{"name":"approve_task","arguments":{"task_id":1}}}"#;
    let (code, said, _, _) = piped(&format!("{HELLO}{list}\n{call}\n"), false);
    assert_eq!(code, Some(0));
    let answers = said.lines().map(|line| serde_json::from_str(line).unwrap());
    let answers: Vec<Value> = answers.collect();
    let of = |id: u64| answers.iter().find(|answer| answer["id"] == id).unwrap();
    let tools = of(2)["result"]["tools"].as_array().unwrap();
    let names: Vec<&str> = tools
        .iter()
        .filter_map(|tool| tool["name"].as_str())
        .collect();
    assert!(names.contains(&"enqueue_task"), "{names:?}");
    assert!(!names.contains(&"approve_task") && !names.contains(&"answer_task"));
    assert!(of(3)["error"].is_object(), "{}", of(3));
}
