//! Events of runs, and the commands that follow them.

use super::{hub, start};
use crate::common::until;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// The least time between two events about counts of a step, less the accuracy of their times.
const PAUSE: f64 = 0.24;

#[test]
fn a_run_is_reported_by_its_states_and_the_counts_of_its_steps_at_a_bounded_rate() {
    let hub = hub(4)
        .set("providers.slow.kind=echo")
        .set("providers.slow.delay=20ms")
        .set("pool.slow.provider=slow")
        .set("pool.slow.size=4")
        .start();
    let mut watcher = hub.client();
    watcher.call("watch", json!({"kinds": ["run", "step"]}));
    let mut client = hub.client();
    let list: Vec<u32> = (0..200).collect();
    let plan = "
name: counted
inputs: { list: { type: list } }
pipeline:
  - { id: all, map: { over: inputs.list }, pool: slow, prompt: '{{ item }}' }
  - { id: next, depends_on: [all], if: 'false', prompt: 'no' }
";
    let run = start(&mut client, plan, json!({"inputs": {"list": list}}));
    let mut events: Vec<Value> = Vec::new();
    loop {
        let event = watcher.notice("event");
        assert_eq!(event["task_id"], run, "{event}");
        let is_end = event["event"] == "run" && event["state"] == "done";
        events.push(event);
        if is_end {
            break;
        }
    }
    let states: Vec<&Value> = events
        .iter()
        .filter(|event| event["event"] == "run")
        .map(|event| &event["state"])
        .collect();
    assert_eq!(
        (states[0], states[states.len() - 1]),
        (&json!("open"), &json!("done"))
    );
    assert_eq!(events[events.len() - 1]["name"], "counted");
    let of = |path: &str| -> Vec<&Value> {
        let steps = events.iter().filter(|event| event["event"] == "step");
        steps
            .filter(|event| event["step"]["path"] == path)
            .collect()
    };
    assert_eq!(of("next")[0]["step"]["state"], "skipped");
    let all = of("all");
    let last = &all[all.len() - 1]["step"];
    assert_eq!(
        (&last["state"], &last["done"], &last["total"]),
        (&json!("done"), &json!(200), &json!(200))
    );
    // 200 tasks of 20 ms by four sessions take a second at least.
    let open: Vec<f64> = all
        .iter()
        .filter(|event| event["step"]["state"] == "open")
        .map(|event| event["time"].as_f64().unwrap())
        .collect();
    assert!(open.len() >= 3, "counts are reported meanwhile: {all:?}");
    let pauses = open.windows(2).map(|pair| pair[1] - pair[0]);
    let short = pauses.filter(|pause| *pause < PAUSE).count();
    assert_eq!(short, 0, "{open:?}");
}

#[test]
fn a_command_that_waits_for_a_run_hears_of_its_end_at_once() {
    let hub = hub(1).start();
    let mut client = hub.client();
    let plan = "pipeline: [{id: ok, approve: {prompt: 'Go on?'}}]";
    let run = start(&mut client, plan, json!({}));
    let question = until("the question is asked", || {
        client.call("run", json!({"task_id": run}))["steps"][0]["task_id"].as_i64()
    });
    let mut wait = Command::new(env!("CARGO_BIN_EXE_kirosu"))
        .args([
            "run",
            "wait",
            &run.to_string(),
            "--port",
            &hub.port.to_string(),
        ])
        .env_clear()
        .env("HOME", hub.setup.directory.path())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = BufReader::new(wait.stderr.take().unwrap()).lines();
    let line = said.next().unwrap().unwrap();
    assert!(line.contains("waits for a person"), "{line}");
    let answered = Instant::now();
    client.call("answer", json!({"task_id": question, "text": "yes"}));
    let status = wait.wait().unwrap();
    let took = answered.elapsed();
    assert!(status.success());
    // Without events it would look again after ten seconds.
    assert!(took < Duration::from_secs(5), "{took:?}");
}
