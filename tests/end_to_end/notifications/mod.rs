//! Notifications: a real hub, a receiver in Python that verifies signatures, programs.

mod programs;
mod receiver;
mod settings;
mod webhooks;

use crate::common::{Client, Hub, Setup, until};
use receiver::{Receiver, SECRET};
use serde_json::{Value, json};
use std::fs;
use std::process::Output;

/// A hub whose settings end with this text. Its targets find the secret in the variable SECRET.
fn setup(settings: &str) -> Setup {
    let setup = Setup::new().environment("SECRET", SECRET);
    write(&setup, settings);
    setup
}

fn write(setup: &Setup, settings: &str) {
    fs::write(setup.directory.path().join("kirosu.toml"), settings).unwrap();
}

/// A signed webhook that tries again quickly.
fn webhook(receiver: &Receiver, more: &str) -> String {
    let url = receiver.url();
    format!(
        "[[notify]]\nkind = \"webhook\"\nurl = \"{url}\"\nsecret_env = \"SECRET\"\ntimeout = \"1s\"\nretry_initial = \"20ms\"\nretry_max = \"100ms\"\n{more}\n"
    )
}

/// Adds a task, and fails it.
fn fail(client: &mut Client, fields: Value) -> i64 {
    let mut new = json!({"prompt": "a private prompt", "max_attempts": 1, "queue": "default"});
    new.as_object_mut()
        .unwrap()
        .extend(fields.as_object().unwrap().clone());
    let task = client.call("enqueue", new.clone())["task_id"]
        .as_i64()
        .unwrap();
    let leased = client.call("lease", json!({"queues": [new["queue"]]}));
    let leased = &leased["tasks"][0];
    assert_eq!(leased["task_id"], task);
    client.call(
        "ack",
        json!({"task_id": task, "fence": leased["fence"], "status": "failed", "error": "it broke\nprivate details"}),
    );
    task
}

/// The target of this name in `notify_list`.
fn target(client: &mut Client, name: &str) -> Value {
    let answer = client.call("notify_list", json!({}));
    let all = answer["targets"].as_array().unwrap();
    all.iter()
        .find(|it| it["name"] == name)
        .cloned()
        .unwrap_or(Value::Null)
}

/// Waits until deliveries to a target fail for this reason.
fn until_failing(client: &mut Client, name: &str, why: &str) -> Value {
    until(&format!("{name} fails: {why}"), || {
        let target = target(client, name);
        let error = target["failing"]["error"].as_str().unwrap_or_default();
        error.contains(why).then_some(target)
    })
}

/// Waits until a target has every event.
fn until_settled(client: &mut Client, name: &str) -> Value {
    until(&format!("{name} has every event"), || {
        let target = target(client, name);
        (target["pending"] == 0 && target["failing"].is_null()).then_some(target)
    })
}

fn tasks(events: &[Value]) -> Vec<i64> {
    let task = |event: &Value| event["body"]["data"]["task_id"].as_i64();
    events.iter().filter_map(task).collect()
}

fn text(output: &Output) -> String {
    let all = [&output.stdout[..], &output.stderr[..]].concat();
    String::from_utf8_lossy(&all).into_owned()
}

fn reload(hub: &Hub) {
    let output = hub.cli(&["reload"]);
    assert!(output.status.success(), "{output:?}");
}
