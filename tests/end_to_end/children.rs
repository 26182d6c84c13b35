//! A task that an agent enqueues is a child of the agent's own task, so that it counts for the budgets of its tree: from the
//! agent's shell, through `kirosu mcp`, and over HTTP where the client states its task.

use crate::common::Hub;
use crate::common::http::Answer;
use crate::common::process::{address, shell};
use serde_json::{Value, json};
use std::io::Write;
use std::process::{Command, Stdio};

/// Runs a script as a task to its good end; the task's number.
fn run(hub: &Hub, script: &str) -> i64 {
    let mut client = hub.client();
    let id = client.enqueue_with(json!({ "prompt": script, "max_attempts": 1 }));
    client.call("wait", json!({ "task_ids": [id], "timeout_seconds": 30 }));
    let task = client.task(id);
    assert_eq!(task["status"], "done", "{task}");
    id
}

/// The parents of the tasks in a queue that no pool serves, newest first.
fn parents(hub: &Hub, queue: &str) -> Vec<Value> {
    let listed = hub.client().call("list", json!({ "queue": queue }));
    let tasks = listed["tasks"].as_array().unwrap();
    tasks.iter().map(|task| task["parent_id"].clone()).collect()
}

#[test]
fn what_an_agent_enqueues_in_its_shell_is_a_child_of_its_task() {
    let hub = shell().start();
    let kirosu = format!("{} --port {}", env!("CARGO_BIN_EXE_kirosu"), hub.port);
    let jsonl = r#"printf '{"prompt":"x"}\n{"prompt":"y"}\n'"#;
    let id = run(
        &hub,
        &format!(
            "{kirosu} enqueue child --queue one; {kirosu} enqueue child --queue none --parent 0; \
             {jsonl} | {kirosu} enqueue --jsonl - --queue lines; \
             ! {kirosu} enqueue x --queue others --parent 999"
        ),
    );
    // With the token of its run, it has no choice.
    assert_eq!(parents(&hub, "one"), [json!(id)]);
    assert_eq!(parents(&hub, "none"), [json!(id)]);
    assert_eq!(parents(&hub, "lines"), [json!(id), json!(id)]);
    assert_eq!(parents(&hub, "others"), [Value::Null; 0]);
}

const HELLO: &str = r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"t","version":"1"}}}"#;
const READY: &str = r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#;

fn enqueue_call(arguments: &Value) -> String {
    let params = json!({ "name": "enqueue_task", "arguments": arguments });
    json!({ "jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": params }).to_string()
}

#[test]
fn what_a_model_enqueues_over_mcp_is_a_child_of_its_task() {
    let hub = shell().start();
    let first = run(&hub, "true");
    for (named, expected) in [(None, first), (Some(1), 1)] {
        let mut arguments = json!({ "prompt": "x", "queue": "kids" });
        if let Some(parent) = named {
            arguments["parent_id"] = json!(parent);
        }
        let mut child = Command::new(env!("CARGO_BIN_EXE_kirosu"))
            .args(["mcp", "--port", &hub.port.to_string()])
            .env_clear()
            .env("HOME", hub.setup.directory.path())
            .env("KIROSU_TASK_ID", first.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = format!("{HELLO}\n{READY}\n{}\n", enqueue_call(&arguments));
        child
            .stdin
            .take()
            .unwrap()
            .write_all(lines.as_bytes())
            .unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{output:?}");
        assert_eq!(parents(&hub, "kids")[0], json!(expected));
    }
}

#[test]
fn a_model_with_the_token_of_its_run_starts_no_plans() {
    let hub = shell().start();
    let params =
        json!({ "name": "run_plan", "arguments": { "plan": "pipeline: [{id: a, prompt: p}]" } });
    let call = json!({ "jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": params });
    let kirosu = format!("{} --port {}", env!("CARGO_BIN_EXE_kirosu"), hub.port);
    // The agent fails unless the refusal is that of the hub.
    run(
        &hub,
        &format!(
            "printf '%s\\n' '{HELLO}' '{READY}' '{call}' | {kirosu} mcp | grep -q '(forbidden)'"
        ),
    );
    assert_eq!(hub.client().call("runs", json!({}))["runs"], json!([]));
}

/// One POST to `/mcp`.
fn post(address: &str, headers: &str, body: &str) -> Answer {
    let types = "Content-Type: application/json\r\nAccept: application/json, text/event-stream\r\n";
    crate::common::http::with(address, "POST", "/mcp", &format!("{types}{headers}"), body)
}

#[test]
fn over_http_a_client_states_its_task_in_a_header() {
    let hub = shell().start();
    let address = address(&hub);
    let head = post(&address, "", HELLO).head;
    let session = head
        .lines()
        .find_map(|line| line.strip_prefix("mcp-session-id: "))
        .unwrap_or_else(|| panic!("{head}"));
    let session = format!("Mcp-Session-Id: {session}\r\n");
    post(&address, &session, READY);
    let call = enqueue_call(&json!({ "prompt": "x", "queue": "kids" }));
    for (header, parent) in [("", Value::Null), ("Kirosu-Task: 7\r\n", json!(7))] {
        post(&address, &format!("{session}{header}"), &call);
        assert_eq!(parents(&hub, "kids")[0], parent);
    }
    let answer = post(&address, &format!("{session}Kirosu-Task: me\r\n"), &call);
    assert!(
        answer.body.contains("must hold the number of a task"),
        "{answer:?}"
    );
    assert_eq!(parents(&hub, "kids").len(), 2);
}
