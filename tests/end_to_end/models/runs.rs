//! Runs of plans on the small model. Its texts may be nonsense, so the tests check states, counts and that there are results.

use super::{Model, swarm};
use crate::common::{Client, Hub, until_within};
use serde_json::{Value, json};
use std::fs;
use std::time::Duration;

/// Longer than any run here takes on a busy machine.
const RUN: Duration = Duration::from_secs(180);

/// The most tokens of an answer.
const TOKENS: i64 = 6;

/// Waits for the end of a run.
fn ended(client: &mut Client, run: i64) -> Value {
    until_within(RUN, "the run has ended", || {
        let run = client.call("run", json!({"task_id": run}));
        let state = run["state"].as_str().unwrap().to_owned();
        matches!(state.as_str(), "done" | "partial" | "failed" | "cancelled").then_some(run)
    })
}

/// The results of a step's items, none of which is empty.
fn results(client: &mut Client, run: i64, step: &str) -> Vec<String> {
    let params = json!({"task_id": run, "step": step, "results": true});
    let items = client.call("run_items", params)["items"].take();
    let result = |item: &Value| {
        let result = item["result"].as_str().unwrap_or_default().to_owned();
        assert!(!result.trim().is_empty(), "{item}");
        result
    };
    items.as_array().unwrap().iter().map(result).collect()
}

/// Exit code, standard output and standard error of a command.
fn said(hub: &Hub, words: &[&str]) -> (Option<i32>, String, String) {
    let output = hub.cli(words);
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (
        output.status.code(),
        text(&output.stdout),
        text(&output.stderr),
    )
}

#[test]
fn a_map_a_reduce_and_a_loop_run_on_a_small_model() {
    let folder = tempfile::tempdir().unwrap();
    let model = Model::start(&folder.path().join("model.log"));
    // Short answers are enough for these tests.
    let hub = ["llamacpp", "openai"]
        .into_iter()
        .fold(swarm(&model), |setup, provider| {
            setup.set(&format!("providers.{provider}.max_tokens={TOKENS}"))
        })
        .start();
    let mut client = hub.client();

    let items = hub.setup.directory.path().join("items.txt");
    fs::write(items, "a cat\nthe moon\n").unwrap();
    let words = [
        "map",
        "--lines",
        "items.txt",
        "--pool",
        "chat",
        "--key",
        "{{ item }}",
        "--prompt",
        "Describe {{ item }} in one sentence.",
        "--reduce",
        "Which of these is the largest? {% for r in results %}{{ r.key }}: {{ r.result }}\n{% endfor %}",
    ];
    let (code, out, err) = said(&hub, &words);
    assert_eq!(code, Some(0), "{err}");
    assert!(!out.trim().is_empty(), "{err}");
    assert!(err.contains("map: done (2 of 2 done)"), "{err}");
    let listed = client.call("list", json!({"type": "plan"}));
    let run = listed["tasks"][0]["task_id"].as_i64().unwrap();
    assert_eq!(results(&mut client, run, "map").len(), 2);
    let merged = results(&mut client, run, "reduce");
    assert_eq!(merged[0].trim(), out.trim());
    // The tokens of all three tasks are those of the run.
    let (_, usage, err) = said(&hub, &["usage", "--tree", &run.to_string(), "--json"]);
    let usage: Value = serde_json::from_str(&usage).unwrap_or_else(|_| panic!("{err}"));
    assert_eq!(usage["total"]["attempts"], 3, "{usage:#}");
    let output = usage["total"]["output_tokens"].as_i64().unwrap();
    assert!((3..=3 * TOKENS).contains(&output), "{usage:#}");

    // Each pass has the text of the one before. Its judge never says the word that ends the loop.
    let plan = "
pipeline:
  - id: polish
    loop: { max: 2, until: \"'xylophone quartz' in steps.judge.result\", on_max: done }
    steps:
      - { id: write, pool: chat, prompt: \"Say it in other words: {{ prev.write.result or 'The cat sat on the mat.' }}\" }
      - { id: judge, depends_on: [write], pool: responses, prompt: 'Is this a good sentence? {{ steps.write.result }}' }
";
    let run = client.enqueue_with(json!({"type": "plan", "prompt": plan}));
    let ended = ended(&mut client, run);
    assert_eq!(
        (&ended["state"], &ended["made"]),
        (&json!("done"), &json!(4)),
        "{ended:#}"
    );
    let before = results(&mut client, run, "polish[1].write");
    let mut steps = ended["steps"].as_array().unwrap().iter();
    let second = steps.find(|step| step["path"] == "polish[2].write");
    let task = second.unwrap()["task_id"].as_i64().unwrap();
    let prompt = client.task(task)["prompt"].as_str().unwrap().to_owned();
    assert!(prompt.contains(before[0].trim()), "{prompt}");
    results(&mut client, run, "polish[2].judge");
}
