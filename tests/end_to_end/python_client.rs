//! A script written for the Python hub works against this one without a change.

use crate::common::Setup;
use serde_json::{Value, json};
use std::process::{Command, Stdio};

fn run(environment: &[(&str, &str)], arguments: &[&str]) -> Value {
    let script = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/fixtures/python_client.py"
    );
    let mut python = Command::new("python3");
    python.arg(script).args(arguments).stdin(Stdio::null());
    python.envs(environment.iter().copied());
    // The script gives up by itself after a minute.
    let output = python.output().expect("python3 is installed");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{e}: {errors}"))
}

fn check(said: &Value, tasks: u64) {
    assert_eq!(
        said["ids"],
        json!((1..=tasks).collect::<Vec<u64>>()),
        "answers in request order"
    );
    assert_eq!(said["results"], tasks, "each result belongs to its prompt");
    assert_eq!(said["retried"], tasks / 3);
    let runs: Vec<u64> = said["runs"]
        .as_array()
        .unwrap()
        .iter()
        .map(|n| n.as_u64().unwrap())
        .collect();
    assert_eq!(
        runs.iter().filter(|n| **n == 1).count() as u64,
        tasks - tasks / 3
    );
    assert_eq!(runs.iter().filter(|n| **n == 2).count() as u64, tasks / 3);
    assert_eq!(said["human"], json!(["done", "Approved by human", "human"]));
    let stats = &said["stats"];
    for (name, value) in [
        ("queued", 0),
        ("leased", 0),
        ("failed", 0),
        ("done", tasks + 1),
        ("total_tasks", tasks + 1),
    ] {
        assert_eq!(stats[name], value, "{name}");
    }
}

#[test]
fn a_swarm_of_old_python_clients_does_its_work() {
    let hub = Setup::new().start();
    let port = hub.port.to_string();
    let environment = [
        ("KIRO_SWARM_HOST", "127.0.0.1"),
        ("KIRO_SWARM_PORT", &port),
        ("KIRO_SWARM_KEY", ""),
    ];
    check(&run(&environment, &["300", "6"]), 300);
}

#[test]
fn and_with_a_key() {
    let hub = Setup::new()
        .environment("KIRO_SWARM_KEY", "pass wört")
        .start();
    let port = hub.port.to_string();
    let environment = [
        ("KIRO_SWARM_HOST", "localhost"),
        ("KIRO_SWARM_PORT", &port),
        ("KIRO_SWARM_KEY", "pass wört"),
    ];
    check(&run(&environment, &["60", "3"]), 60);
}
