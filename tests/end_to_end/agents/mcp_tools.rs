//! Real agent programs call Kirosu's MCP tools: a pool gives them the server `kirosu` with the token of their run. The model
//! makes each of them enqueue two tasks, wait for both and read the results.

use crate::agents::programs::{CLAUDE, CODEX, GOOSE, OPENCODE, Program, named};
use crate::agents::world::World;
use crate::agents::{AGENT_PATIENCE, path_with_programs};
use crate::common::{Setup, until_within};
use serde_json::json;
use std::fs;

fn calls_the_tools(program: Program) {
    // As commands these get no MCP servers from a pool.
    let kind = match program.name {
        "goose" | "gemini" => "acp",
        _ => "command",
    };
    let world = World::new(&[program.program(kind)]);
    let setup = Setup::new().up();
    let name = program.name;
    let env = program.environment(&world.folder().join("home"), &world.url);
    // Two agents: the parts run while the first one waits for them.
    let settings = format!(
        "data_dir = {}\n[providers.{name}]\nkind = \"{kind}\"\n{}\n\
         [[pool]]\nname = \"p\"\nqueues = [\"default\"]\nsize = 2\nprovider = \"{name}\"\ntrust_all_tools = true\n\
         workspace = \"isolated\"\nenv = {env}\n",
        json!(setup.directory.path().join("data")),
        if kind == "command" { program.keys } else { "" }
    );
    fs::write(setup.directory.path().join("kirosu.toml"), settings).unwrap();
    let hub = setup.environment("PATH", &path_with_programs()).start();
    let mut client = hub.client();
    // The numbers of a new hub: the first task has 1, its parts have 2 and 3.
    let parts = [
        json!({"prompt": "first part"}),
        json!({"prompt": "second part"}),
    ];
    let prompt = [
        program.call_kirosu(
            "enqueue_tasks",
            json!({"tasks": parts, "idempotency_key": "parts"}),
        ),
        program.call_kirosu(
            "wait_for_tasks",
            json!({"task_ids": [2, 3], "timeout_seconds": 50}),
        ),
        program.call_kirosu("get_results", json!({"task_ids": [2, 3]})),
    ];
    let id = client.enqueue_with(json!({"prompt": prompt.join(" "), "max_attempts": 1}));
    assert_eq!(id, 1);
    let got = until_within(AGENT_PATIENCE, "the task ends", || {
        let got = client.call("get", json!({"task_id": id, "output": true}));
        let status = got["task"]["status"].as_str().unwrap_or_default();
        ["done", "failed"].contains(&status).then_some(got)
    });
    assert_eq!(
        got["task"]["status"],
        "done",
        "{name}: {got:#}\n{:#?}",
        world.asked()
    );
    let result = got["task"]["result"].as_str().unwrap();
    for part in ["2 ended", "first part"] {
        assert!(
            result.contains(part),
            "{name}: {got:#}\n{:#?}",
            world.asked()
        );
    }
    for part in [2, 3] {
        let part = &client.call("get", json!({"task_id": part}))["task"];
        assert_eq!(
            (&part["status"], &part["parent_id"]),
            (&json!("done"), &json!(1)),
            "{name}"
        );
    }
    // Over ACP the pool keeps the program for the next task.
    if kind == "command" {
        world.nothing_is_left(hub.pid());
    }
}

#[test]
fn codex_calls_kirosus_tools() {
    calls_the_tools(CODEX);
}

#[test]
fn claude_calls_kirosus_tools() {
    calls_the_tools(CLAUDE);
}

#[test]
fn goose_calls_kirosus_tools() {
    calls_the_tools(GOOSE);
}

#[test]
fn opencode_calls_kirosus_tools() {
    calls_the_tools(OPENCODE);
}

/// The rest, for `make agents-all`.
#[test]
fn others_call_kirosus_tools() {
    let wanted = std::env::var("KIROSU_TEST_AGENTS").unwrap_or_default();
    for program in wanted.split_whitespace().map(named) {
        std::thread::spawn(move || calls_the_tools(program))
            .join()
            .unwrap();
    }
}
