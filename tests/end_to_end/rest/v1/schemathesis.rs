//! The description is true: schemathesis makes requests from it, and finds no answer outside of it.
//!
//! It installs pinned versions (requirements.txt) into target/, once, which needs python3 with venv, and pip's access to its packages.

use super::{key_header, post_with};
use crate::common::process::{address, setup};
use crate::common::venv;
use serde_json::json;
use std::process::{Command, Stdio};

const REQUIREMENTS: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/tests/end_to_end/rest/v1/requirements.txt"
);
/// Seconds of the requests with random values.
const SECONDS: &str = "45";
/// The rules for every answer.
const CHECKS: &str = "not_a_server_error,status_code_conformance,content_type_conformance,response_headers_conformance,\
     response_schema_conformance,unsupported_method";
/// Operations that end the hub's work, and streams, which do not end.
const EXCLUDED: [&str; 4] = ["shutdown", "drain", "watch", "get_get_tasks_task_id_output"];

/// Runs a command to its good end.
fn good(command: &mut Command) {
    let tried = format!("{command:?}");
    let output = command.stdin(Stdio::null()).output();
    let output = output.unwrap_or_else(|error| panic!("cannot run {tried}: {error}"));
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text);
    assert!(output.status.success(), "{tried}: {text}");
}

#[test]
fn no_answer_is_outside_of_the_description() {
    let python = venv::python("schemathesis", REQUIREMENTS, &[]);
    let program = python.with_file_name("schemathesis");
    // Waits of random length end soon.
    let mut hub = setup().set("limits.wait_seconds_max=1s").start();
    let at = address(&hub);
    let key = key_header(&hub, "root", "admin");
    for queue in ["default", "nobody"] {
        let tasks = vec![json!({"prompt": "p", "queue": queue}); 10];
        assert_eq!(
            post_with(&at, "/v1/tasks/batch", &key, json!({"tasks": tasks})).status,
            200
        );
    }
    let folder = tempfile::tempdir().unwrap();
    let mut run = Command::new(program);
    run.current_dir(folder.path())
        .arg("run")
        .arg(format!("http://{at}/v1/openapi.json"))
        .args(["-H", key.trim(), "--checks", CHECKS])
        .args(["--phases", "coverage,fuzzing", "--max-time", SECONDS])
        .args(["--request-timeout", "20", "--generation-database", "none"])
        .args(["--continue-on-failure", "--no-color"]);
    for operation in EXCLUDED {
        run.args(["--exclude-operation-id", operation]);
    }
    good(&mut run);
    assert!(hub.is_running());
    assert!(!hub.log().contains("panicked"), "{}", hub.log());
}
