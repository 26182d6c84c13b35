//! Beside the tools: the Tasks extension, resources, prompts, the tools of a role, and the clients in TypeScript.

use super::{HERE, MODES, start, stdio, url, with_gateway};
use crate::agents::world::{install, installed};
use crate::common::Hub;
use crate::common::scenario::Scenario;
use serde_json::{Value, json};
use std::fs;

/// A hub with its gateway, and the setup of a client: by one transport, in one mode.
fn served(mode: &str, over_http: bool) -> (Hub, Value) {
    let hub = with_gateway().start();
    let mut setup = json!({"mode": mode, "hub": {"port": hub.port}});
    match over_http {
        true => setup["url"] = url(&hub).into(),
        false => setup["stdio"] = stdio(&hub.setup, hub.port, ""),
    }
    (hub, setup)
}

#[test]
fn every_tool_from_typescript() {
    install(&["mcp-clients"]);
    let modules = installed().join("mcp-clients");
    for (sdk, mode) in [("sdk", "legacy"), ("client", "legacy"), ("client", "auto")] {
        for over_http in [false, true] {
            let (hub, mut setup) = served(mode, over_http);
            setup["sdk"] = sdk.into();
            eprintln!("{sdk}, {mode}, over HTTP: {over_http}");
            setup["modules"] = json!(modules);
            let script = format!("{HERE}/client.mjs");
            let node = modules.join("node");
            Scenario::start(&node, &script, "every_tool", &hub.setup, &setup).succeeds();
        }
    }
}

#[test]
fn a_long_call_is_a_task_that_outlives_server_and_hub() {
    for over_http in [false, true] {
        let (hub, setup) = served("auto", over_http);
        let mut scenario = start("tasks", &hub.setup, &setup);
        let wish = scenario.wish();
        let task = wish.strip_prefix("restart ").expect("a number").to_owned();
        scenario.done();
        scenario.succeeds();
        let killed = hub.kill();
        // The next one writes where it listens.
        fs::remove_file(killed.directory.path().join("hub.log")).unwrap();
        let hub = killed.start();
        let mut setup = json!({"mode": "auto", "hub": {"port": hub.port}, "task": task});
        match over_http {
            true => setup["url"] = url(&hub).into(),
            false => setup["stdio"] = stdio(&hub.setup, hub.port, ""),
        }
        start("tasks_again", &hub.setup, &setup).succeeds();
    }
}

#[test]
fn tasks_and_runs_are_resources() {
    for mode in MODES {
        for over_http in [false, true] {
            let (hub, setup) = served(mode, over_http);
            start("resources", &hub.setup, &setup).succeeds();
        }
    }
}

#[test]
fn the_plans_of_the_folder_are_prompts() {
    let hub = Hub::start();
    let plans = hub.setup.directory.path().join("project/.kirosu/plans");
    fs::create_dir_all(&plans).unwrap();
    fs::write(
        plans.join("../secret.yaml"),
        "pipeline: [{id: a, prompt: x}]",
    )
    .unwrap();
    let files = [
        (
            "greet.yaml",
            "name: greet\ndescription: Greets people\ninputs:\n  names: { type: list, description: Whom to greet, required: true }\n  \
             word: { default: Hello }\npipeline:\n  - { id: say, map: { over: inputs.names }, prompt: '{{ inputs.word }} {{ item }}' }\n",
        ),
        (
            "files.yaml",
            "pipeline: [{ id: read, map: { over: { files: '*.md' } }, prompt: '{{ item.text }}' }]",
        ),
        ("broken.yaml", "pipeline: [{ id: a, promt: x }]"),
    ];
    for (name, text) in files {
        fs::write(plans.join(name), text).unwrap();
    }
    for mode in MODES {
        let mut stdio = stdio(&hub.setup, hub.port, "");
        stdio["folder"] = json!(hub.setup.directory.path().join("project"));
        let setup = json!({"mode": mode, "stdio": stdio, "hub": {"port": hub.port}});
        start("prompts", &hub.setup, &setup).succeeds();
    }
}

#[test]
fn a_client_is_offered_the_tools_of_its_role() {
    let hub = with_gateway().start();
    let mut admin = hub.client();
    for (role, offered, hidden) in [
        (
            "observe",
            "list_tasks wait_for_task",
            "enqueue_task cancel_task answer_task",
        ),
        (
            "enqueue",
            "enqueue_task map_items get_run",
            "approve_task reject_task",
        ),
        (
            "person",
            "approve_task list_questions",
            "enqueue_task cancel_task",
        ),
    ] {
        let key = admin.call("key_add", json!({"name": role, "role": role}))["key"].clone();
        let key = key.as_str().unwrap();
        let said = hub.client().call("hello", json!({"auth_token": key}));
        let words = |text: &str| text.split(' ').map(Value::from).collect::<Vec<_>>();
        let mut setup = json!({
            "mode": "auto", "hub": {"port": hub.port}, "offered": words(offered), "hidden": words(hidden),
            // The list depends on it; a refusal does not.
            "knows": said["rights"].is_array(),
        });
        let mut by_pipe = setup.clone();
        by_pipe["stdio"] = stdio(&hub.setup, hub.port, key);
        start("roles", &hub.setup, &by_pipe).succeeds();
        setup["url"] = url(&hub).into();
        setup["headers"] = json!({"x-kiro-key": key});
        start("roles", &hub.setup, &setup).succeeds();
    }
}
