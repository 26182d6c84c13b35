//! The official ACP client (the Python package `agent-client-protocol`) against `kirosu acp`: an editor's conversations with a swarm.
//!
//! tests/end_to_end/acp_agent/client.py holds the scenarios. The client is installed into target/, once, from pinned versions
//! (tests/end_to_end/acp_agent/requirements.txt), which needs python3 with venv, and pip's access to its packages.

use crate::common::scenario::Scenario;
use crate::common::{Client, Hub, Setup, until, venv};
use serde_json::{Value, json};
use std::fs;
use std::net::TcpListener;
use std::process::{Command, Stdio};

const HERE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/end_to_end/acp_agent");
const AGENT: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/actors/providers/tests/acp_agent.py"
);
const KEY: &str = "the-key-of-the-hub-of-this-test-0123456789";

/// Plans of the project, by name.
const PLANS: &[(&str, &str)] = &[
    (
        "colours",
        "description: Says colours
inputs:
  list: { type: list, default: [red, blue] }
  word: { required: true }
pipeline:
  - { id: say, pool: echo, map: { over: inputs.list }, prompt: \"{{ inputs.word }} {{ item }}\" }
  - { id: last, pool: echo, needs: [say], prompt: \"all: {{ steps.say.result }}\" }
",
    ),
    ("broken", "pipeline: [{ id: a }]\n"),
    (
        "files",
        "pipeline:
  - { id: read, pool: echo, map: { over: { files: \"texts/*.txt\" } }, prompt: \"{{ item.text }}\" }
",
    ),
    (
        "fails",
        "pipeline: [{ id: bad, pool: sh, prompt: \"exit 3\" }]\n",
    ),
    (
        "gate",
        "pipeline:
  - { id: gate, approve: { prompt: \"Ship it?\" } }
  - { id: ship, pool: echo, needs: [gate], if: steps.gate.approved, prompt: shipped }
",
    ),
    (
        "long",
        "pipeline: [{ id: a, pool: sh, prompt: \"sleep 600\" }]\n",
    ),
    (
        "slow",
        "pipeline:
  - { id: a, pool: sh, prompt: \"if test -e run; then echo slow answer; else touch run; sleep 600; fi\" }
",
    ),
];

/// `kirosu up` with a key, and with pools of a scripted ACP agent, of echo and of a shell that runs its prompts.
fn swarm() -> Setup {
    let setup = Setup::new().up();
    let home = setup.directory.path();
    let here = home.display();
    let mut settings = format!(
        "[hub]\nkey = \"{KEY}\"\n[retry]\ninitial = \"100ms\"\n[providers.fake]\nkind = \"acp\"\ncommand = [\"python3\", \"{AGENT}\"]\n[providers.sh]\nkind = \"command\"\ncommand = [\"sh\"]\n"
    );
    for (name, provider, queue) in [
        ("p", "fake", "default"),
        ("echo", "echo", "echo"),
        ("sh", "sh", "sh"),
    ] {
        settings += &format!(
            "[[pool]]\nname = \"{name}\"\nprovider = \"{provider}\"\nqueues = [\"{queue}\"]\nsize = 3\nworkdir = \"{here}\"\n"
        );
    }
    let plans = home.join(".kirosu/plans");
    fs::create_dir_all(&plans).unwrap();
    for (name, text) in PLANS {
        fs::write(plans.join(format!("{name}.yaml")), text).unwrap();
    }
    fs::create_dir(home.join("texts")).unwrap();
    fs::write(home.join("texts/1.txt"), "the text of one").unwrap();
    let file = home.join("kirosu.toml");
    fs::write(&file, settings).unwrap();
    let mut setup = setup.argument("--config").argument(file.to_str().unwrap());
    // A hub that is killed comes back at the same address.
    let port = TcpListener::bind("127.0.0.1:0").unwrap();
    setup.port = port.local_addr().unwrap().port();
    setup
}

/// A client with the key.
fn client(hub: &Hub) -> Client {
    let mut client = hub.client();
    client.call("hello", json!({"auth_token": KEY}));
    client
}

/// Starts a scenario. `more`: arguments of the agent.
fn start(name: &str, hub: &Hub, more: &[&str]) -> Scenario {
    let home = hub.setup.directory.path();
    let mut command = vec![env!("CARGO_BIN_EXE_kirosu").to_owned(), "acp".to_owned()];
    command.extend(["--port".to_owned(), hub.port.to_string()]);
    command.extend(more.iter().map(|&word| word.to_owned()));
    let setup = json!({
        "command": command,
        "kirosu": env!("CARGO_BIN_EXE_kirosu"),
        "environment": {
            "HOME": home, "PATH": std::env::var("PATH").unwrap_or_default(), "KIRO_SWARM_KEY": KEY, "USER": "ada",
            "KIROSU_CONFIG": home.join("kirosu.toml"),
        },
        "folder": home,
        "port": hub.port.to_string(),
        "more": more,
    });
    let python = venv::python("acp-client", &format!("{HERE}/requirements.txt"), &[]);
    Scenario::start(
        &python,
        &format!("{HERE}/client.py"),
        name,
        &hub.setup,
        &setup,
    )
}

/// The key of a person, in a file.
fn person(hub: &Hub) -> String {
    let mut client = client(hub);
    let answer = client.call("key_add", json!({"name": "editor", "role": "person"}));
    let file = hub.setup.directory.path().join("person.key");
    let key = answer["key"].as_str().unwrap_or_else(|| panic!("{answer}"));
    fs::write(&file, format!("{key}\n")).unwrap();
    file.to_str().unwrap().to_owned()
}

/// Approves a permission request as a person who is not in the editor.
fn approve(hub: &Hub, id: &str) {
    let key = fs::read_to_string(person_file(hub)).unwrap();
    let params = json!({"approval_id": id, "by": "grace", "auth_token": key.trim()});
    hub.client().call("approve", params);
}

fn person_file(hub: &Hub) -> String {
    let file = hub.setup.directory.path().join("person.key");
    file.to_str().unwrap().to_owned()
}

fn status(hub: &Hub, task: i64) -> Value {
    client(hub).call("get", json!({"task_id": task}))["task"]["status"].clone()
}

#[test]
fn turns_continue_and_a_conversation_is_loaded_again() {
    let hub = swarm().start();
    start("conversation", &hub, &[]).succeeds();
    let mut client = client(&hub);
    let tasks = client.call("list", json!({"label": "acp"}))["tasks"].clone();
    assert_eq!(
        tasks.as_array().unwrap().len(),
        1,
        "the first of the conversation: {tasks}"
    );
}

#[test]
fn a_plan_runs_by_its_name() {
    let hub = swarm().start();
    start("plans", &hub, &[]).succeeds();
}

#[test]
fn permission_requests_are_answered_in_the_editor() {
    let hub = swarm().start();
    let key = person(&hub);
    let mut scenario = start("permissions", &hub, &["--person-key-file", &key]);
    let wish = scenario.wish();
    approve(&hub, wish.strip_prefix("approve ").unwrap());
    scenario.done();
    scenario.succeeds();
    let mut client = client(&hub);
    let all = client.call("approvals", json!({"state": "any"}))["approvals"].clone();
    let by = |state: &str| -> Vec<&str> {
        let all = all.as_array().unwrap().iter();
        all.filter(|it| it["state"] == state)
            .map(|it| it["by"].as_str().unwrap())
            .collect()
    };
    // The name of the key, as that of any client with one.
    assert_eq!(by("approved"), ["editor", "editor", "editor"], "{all}");
    assert_eq!(by("rejected"), ["editor"], "{all}");
}

#[test]
fn tasks_that_wait_for_a_person_are_permission_requests_too() {
    let hub = swarm().start();
    let key = person(&hub);
    start("approvals", &hub, &["--person-key-file", &key]).succeeds();
}

#[test]
fn a_task_for_a_person_is_a_form() {
    let hub = swarm().start();
    let key = person(&hub);
    start("forms", &hub, &["--person-key-file", &key]).succeeds();
}

#[test]
fn without_the_right_of_a_person_the_editor_shows_what_to_do() {
    let hub = swarm().start();
    person(&hub);
    let mut scenario = start("without_right", &hub, &[]);
    let wish = scenario.wish();
    approve(&hub, wish.strip_prefix("approve ").unwrap());
    scenario.done();
    scenario.succeeds();
}

/// Waits for `see TASK STATUS` of the scenario.
fn sees(scenario: &mut Scenario, hub: &Hub) {
    let wish = scenario.wish();
    let words: Vec<&str> = wish.split(' ').collect();
    let [_, task, expected] = words[..] else {
        panic!("{wish}")
    };
    until(&wish, || {
        (status(hub, task.parse().unwrap()) == expected).then_some(())
    });
    scenario.done();
}

#[test]
fn a_cancel_in_the_editor_cancels_task_and_run() {
    let hub = swarm().start();
    let mut scenario = start("cancelled", &hub, &[]);
    sees(&mut scenario, &hub);
    sees(&mut scenario, &hub);
    scenario.succeeds();
    let mut client = client(&hub);
    let tasks = client.call("list", json!({}))["tasks"].clone();
    let open = tasks
        .as_array()
        .unwrap()
        .iter()
        .filter(|it| it["finished_at"].is_null());
    assert_eq!(open.count(), 0, "{tasks}");
}

#[test]
fn a_turn_survives_the_crash_of_the_hub() {
    let mut hub = swarm().start();
    let mut scenario = start("hub_away", &hub, &[]);
    for _ in 0..2 {
        scenario.asks("kill the hub and start it again");
        hub = hub.kill().start();
        scenario.done();
    }
    scenario.succeeds();
}

#[test]
fn a_decision_that_is_made_while_the_hub_is_away_counts_once_it_is_back() {
    let hub = swarm().start();
    let key = person(&hub);
    let mut scenario = start("asked_while_away", &hub, &["--person-key-file", &key]);
    scenario.asks("kill the hub");
    let setup = hub.kill();
    scenario.done();
    scenario.asks("start the hub");
    let _hub = setup.start();
    scenario.done();
    scenario.succeeds();
}

#[test]
fn an_editor_that_closes_leaves_its_task_running_unless_told_otherwise() {
    for more in [&[][..], &["--cancel-on-exit"]] {
        let hub = swarm().start();
        let mut scenario = start("left", &hub, more);
        sees(&mut scenario, &hub);
        scenario.succeeds();
    }
}

#[test]
fn errors_say_what_to_do_and_nothing_ends_the_agent() {
    let hub = swarm().start();
    start("errors", &hub, &[]).succeeds();
}

#[test]
fn nothing_but_messages_is_on_standard_output() {
    let hub = swarm().start();
    let output = Command::new(env!("CARGO_BIN_EXE_kirosu"))
        .args(["acp", "--verbose", "--port", &hub.port.to_string()])
        .env_clear()
        .env("HOME", hub.setup.directory.path())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    assert!(output.stdout.is_empty(), "{output:?}");
    for (words, part) in [
        (
            ["acp", "--person-key-file", "/nowhere"],
            "cannot read the key",
        ),
        (["acp", "--set", "hub.port=x"], "the settings have a fault"),
    ] {
        let output = hub.cli(&words);
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && text.contains(part), "{text}");
        assert!(output.stdout.is_empty());
    }
}
