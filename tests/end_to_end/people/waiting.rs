//! A task that waits says why: on the wire, on the command line while it waits, over REST, and on the screen.

use crate::common::http;
use crate::common::tmux::Tmux;
use crate::common::{Hub, Setup, until};
use crate::people::kit::{gateway, kirosu, parts, said};
use serde_json::{Value, json};
use std::fs;

/// Pools in each of the states that keep tasks waiting, and one that is busy.
const SETTINGS: &str = r#"
[[pool]]
name = "gone"
provider = "absent"
queues = ["gone"]
[providers.absent]
kind = "command"
command = ["/nonexistent/agent"]

[[pool]]
name = "none"
provider = "echo"
queues = ["none"]
size = 0

[[pool]]
name = "one"
provider = "sleeper"
queues = ["one"]
size = 1
[providers.sleeper]
kind = "command"
command = ["sleep", "600"]
"#;

fn up() -> Hub {
    let setup = Setup::new()
        .up()
        .set("gateway.enabled=true")
        .set("gateway.port=0");
    let folder = setup.directory.path();
    fs::write(folder.join("kirosu.toml"), SETTINGS).unwrap();
    let file = folder.join("kirosu.toml");
    setup
        .argument("--config")
        .argument(file.to_str().unwrap())
        .start()
}

/// The reason of a task, as soon as it is this one.
fn waits(hub: &Hub, id: i64, reason: &str) -> Value {
    let mut client = hub.client();
    until(&format!("task {id} waits for {reason}"), || {
        let waiting = client.task(id)["waiting"].take();
        (waiting["reason"] == reason).then_some(waiting)
    })
}

#[test]
fn each_state_that_waits_is_explained_everywhere() {
    let hub = up();
    let mut client = hub.client();
    let mut task = |params: Value| {
        let mut all = json!({"prompt": "x"});
        for (name, value) in params.as_object().unwrap() {
            all[name] = value.clone();
        }
        client.enqueue_with(all)
    };
    let running = task(json!({"queue": "one"}));
    until("the only agent is busy", || {
        let mut client = hub.client();
        (client.status(running) == "leased").then_some(())
    });
    let busy = task(json!({"queue": "one"}));
    let nowhere = task(json!({"queue": "nowhere"}));
    let gone = task(json!({"queue": "gone"}));
    let none = task(json!({"queue": "none"}));
    let blocked = task(json!({"depends_on": [running, nowhere]}));
    let later = task(json!({"run_at": 4e9}));
    let approval = task(json!({"requires_approval": true}));
    let human = task(json!({"type": "human"}));
    let mut client = hub.client();
    client.call("pause", json!({"queue": "quiet"}));
    let paused = client.enqueue_with(json!({"prompt": "x", "queue": "quiet"}));

    let expected = [
        (busy, "busy", "the one agent of pool 'one' is busy"),
        (nowhere, "no_worker", "no pool serves queue 'nowhere'"),
        (
            gone,
            "missing",
            "pool 'gone' takes no tasks: provider 'absent': '/nonexistent/agent' is not in PATH",
        ),
        (none, "no_agents", "kirosu pool resize none 1"),
        (
            blocked,
            "dependency",
            "it waits for task 1, which runs, and for 1 more",
        ),
        (later, "not_before", "its time has not come"),
        (approval, "approval", &format!("kirosu approve {approval}")),
        (human, "answer", &format!("kirosu answer {human} TEXT")),
        (
            paused,
            "paused",
            "queue 'quiet' is paused: kirosu resume quiet",
        ),
    ];
    for (id, reason, part) in expected {
        let waiting = waits(&hub, id, reason);
        let message = waiting["message"].as_str().unwrap();
        assert!(message.contains(part), "{waiting}");
    }
    assert_eq!(waits(&hub, later, "not_before")["until"], 4e9);
    assert_eq!(waits(&hub, blocked, "dependency")["task_id"], running);
    assert!(client.task(running).get("waiting").is_none());

    // The same in a list, a wait, over REST and on the command line.
    let list = client.call("list", json!({"queue": "nowhere"}));
    assert_eq!(list["tasks"][0]["waiting"]["reason"], "no_worker", "{list}");
    let waited = client.call("wait", json!({"task_ids": [gone], "timeout_seconds": 0}));
    assert_eq!(
        waited["tasks"][0]["waiting"]["reason"], "missing",
        "{waited}"
    );
    let rest = http::get(&gateway(&hub), &format!("/tasks/{nowhere}")).json();
    assert_eq!(rest["task"]["waiting"]["reason"], "no_worker", "{rest}");
    let sheet = said(&hub, &["get", &nowhere.to_string()]);
    assert!(sheet.contains("no pool serves queue 'nowhere'"), "{sheet}");
    let wait = [
        "wait",
        &nowhere.to_string(),
        &gone.to_string(),
        "--timeout",
        "1500ms",
    ];
    let (code, _, err) = parts(&kirosu(&hub, &wait));
    assert_eq!(code, 4, "{err}");
    for part in [
        format!("task {nowhere} waits: no pool serves queue 'nowhere'"),
        format!("task {gone} waits: pool 'gone' takes no tasks"),
    ] {
        assert_eq!(err.matches(&part).count(), 1, "{err}");
    }

    // On a screen of 80x24 each row shows its reason, and a task's page the whole text.
    let screen = open(&hub, "");
    screen.see(&["the one agent", "no pool serves", "pool 'gone' ta"]);
    screen.see(&["pool 'none' ha", "it waits for", " d: its"]);
    screen.see(&["a person has", "queue 'quiet'"]);
    let one = open(&hub, &format!("--task {nowhere}"));
    one.see(&["no pool serves queue 'nowhere'"]);

    // A hub that drains says so first, and the list of pools shows it.
    client.call("drain", json!({}));
    let waiting = waits(&hub, nowhere, "draining");
    assert!(
        waiting["message"].as_str().unwrap().contains("drains"),
        "{waiting}"
    );
    let (code, _, err) = parts(&kirosu(
        &hub,
        &["enqueue", "hi", "--wait", "--wait-timeout", "1500ms"],
    ));
    assert_eq!(code, 4, "{err}");
    assert!(
        err.contains("waits: the hub drains: it leases nothing until it is restarted"),
        "{err}"
    );
    let (_, out, _) = parts(&kirosu(&hub, &["status"]));
    assert!(out.contains("the hub drains"), "{out}");
    assert_eq!(client.call("stats", json!({}))["stats"]["draining"], true);
    let pools = client.call("pools", json!({}));
    assert_eq!(pools["pools"][2]["state"], "draining", "{pools}");
    open(&hub, "").see(&["the hub drains"]);
}

fn open(hub: &Hub, arguments: &str) -> Tmux {
    let binary = env!("CARGO_BIN_EXE_kirosu");
    let port = hub.port;
    let command = format!(
        "cd / && env -u KIROSU_CONFIG '{binary}' dashboard --config /dev/null --port {port} {arguments}"
    );
    Tmux::start((80, 24), &[], &command)
}
