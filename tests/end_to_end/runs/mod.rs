//! Runs of plans against a real hub with its pools.

mod below;
#[cfg(feature = "fault-injection")]
mod crashes;
mod events;
mod explain;
mod files;
mod kinds;
mod large;
mod merging;
mod planner;
mod steering;
mod thousand;
mod threads;

use crate::common::{Client, Hub, Setup, until_within};
use serde_json::{Value, json};
use std::time::Duration;

/// Longer than any run of these tests takes.
const RUN: Duration = Duration::from_secs(120);

/// A hub with a pool `echo` of this size, whose answers are the prompts.
fn hub(size: usize) -> Setup {
    Setup::new()
        .up()
        .set("pool.echo.provider=echo")
        .set(&format!("pool.echo.size={size}"))
}

/// A pool `script` whose agent is this shell script; it gets the prompt on standard input.
fn with_script(setup: Setup, script: &str) -> Setup {
    let file = setup.directory.path().join("agent.sh");
    std::fs::write(&file, script).unwrap();
    setup
        .set("pool.script.provider=script")
        .set("pool.script.size=2")
        .set("providers.script.kind=command")
        .set(&format!(
            "providers.script.command=[\"sh\", \"{}\"]",
            file.display()
        ))
}

/// Starts a run.
fn start(client: &mut Client, plan: &str, metadata: Value) -> i64 {
    client.enqueue_with(json!({"type": "plan", "prompt": plan, "metadata": metadata}))
}

/// The newest run, if there is one.
fn newest(client: &mut Client) -> Option<i64> {
    let listed = client.call("list", json!({"type": "plan", "limit": 1}));
    listed["tasks"][0]["task_id"].as_i64()
}

/// The run as `run` answers it.
fn shown(client: &mut Client, run: i64) -> Value {
    client.call("run", json!({"task_id": run}))
}

/// Waits until the run has ended; returns it.
fn ended(client: &mut Client, run: i64) -> Value {
    until_within(RUN, "the run has ended", || {
        let run = shown(client, run);
        let state = run["state"].as_str().unwrap().to_owned();
        matches!(state.as_str(), "done" | "partial" | "failed" | "cancelled").then_some(run)
    })
}

/// A step of a run.
fn step<'a>(run: &'a Value, path: &str) -> &'a Value {
    let steps = run["steps"].as_array().unwrap();
    let found = steps.iter().find(|step| step["path"] == path);
    found.unwrap_or_else(|| panic!("no step {path} in {run:#}"))
}

/// All items of a run, of a step, with results.
fn items(client: &mut Client, run: i64, step: &str) -> Vec<Value> {
    let mut all = Vec::new();
    let mut cursor = Value::Null;
    loop {
        let mut params = json!({"task_id": run, "step": step, "results": true, "limit": 100});
        if !cursor.is_null() {
            params["cursor"] = cursor;
        }
        let mut page = client.call("run_items", params);
        all.extend(page["items"].as_array().unwrap().iter().cloned());
        cursor = page["next"].take();
        if cursor.is_null() {
            return all;
        }
    }
}

/// Runs a plan to its end on a hub of its own.
fn carried_out(hub: &Hub, plan: &str, metadata: Value) -> (Client, Value) {
    let mut client = hub.client();
    let run = start(&mut client, plan, metadata);
    let run = ended(&mut client, run);
    (client, run)
}
