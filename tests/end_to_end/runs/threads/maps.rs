//! Large maps, their estimate, and what runs at the same time.

use crate::common::{Client, until, until_within};
use crate::people::kit::said;
use crate::runs::{RUN, ended, hub, items, newest, shown, start, step};
use serde_json::{Value, json};
use std::fs;

/// Leases up to 200 tasks of the queue `outside` and answers each with its prompt; the number.
fn work(client: &mut Client) -> usize {
    let lease =
        json!({"worker_id": "w", "queues": ["outside"], "max_tasks": 200, "wait_seconds": 0.2});
    let leased = client.call("lease", lease);
    let ack = |task: &Value| json!({"task_id": task["task_id"], "fence": task["fence"], "status": "done", "result": task["prompt"]});
    let acks: Vec<Value> = leased["tasks"]
        .as_array()
        .unwrap()
        .iter()
        .map(ack)
        .collect();
    if !acks.is_empty() {
        client.call("ack", json!({"acks": acks}));
    }
    acks.len()
}

/// Airflow #29959 (at most 1,024 items, and above 4,000 the scheduler freezes), #45991 (500 items: 9 tasks at a time become 5),
/// superplane #5527 (500 items are too many), Fabro #653 (at most 1,000), DurableFunctionsMonitor #64.
#[test]
fn a_map_of_more_than_four_thousand_items_has_all_its_tasks_in_a_window() {
    const ITEMS: usize = 4500;
    const WINDOW: i64 = 400;
    let hub = hub(1).start();
    let mut client = hub.client();
    let plan = format!(
        "
inputs: {{ list: {{ type: list }} }}
pipeline:
  - {{ id: m, map: {{ over: inputs.list, concurrency: {WINDOW} }}, pool: outside, prompt: 'n{{{{ item }}}}' }}
"
    );
    let list: Vec<usize> = (0..ITEMS).collect();
    let run = start(&mut client, &plan, json!({"inputs": {"list": list}}));
    let (mut worked, mut most) = (0, 0);
    until_within(RUN, "all items have been worked on", || {
        let stats = client.call("stats", json!({}))["stats"].take();
        most = most.max(stats["queued"].as_i64().unwrap());
        worked += work(&mut client);
        (worked == ITEMS).then_some(())
    });
    // The window is full at times, also late, and never more than full.
    assert!((WINDOW / 4..=WINDOW).contains(&most), "{most}");
    let run = ended(&mut client, run);
    assert_eq!(
        (&run["state"], &run["made"]),
        (&json!("done"), &json!(ITEMS)),
        "{run:#}"
    );
    let all = items(&mut client, run["task_id"].as_i64().unwrap(), "m");
    assert_eq!(all.len(), ITEMS);
    let is_own = |(at, item): (usize, &Value)| item["result"] == format!("n{at}");
    assert!(all.iter().enumerate().all(is_own));
}

const SAMPLED: &str = "
name: sampled
inputs: { list: { type: list } }
pipeline:
  - { id: read, map: { over: inputs.list, sample: 3, ask: true }, prompt: 'read {{ item }} with care' }
  - { id: sum, reduce: { of: read }, prompt: '{{ results | length }}' }
";

/// Claude Code #66023, #68703, #55779, #58311: 46 agents used 3 million tokens without a question before. Snakemake #3330, #4138:
/// a dry run, and then all is computed again from the beginning.
#[test]
fn an_estimate_comes_before_the_run_and_a_person_agrees_after_the_sample() {
    let hub = hub(2).start();
    let home = hub.setup.directory.path();
    fs::write(home.join("plan.yaml"), SAMPLED).unwrap();
    let list = format!("list={}", json!((0..46).collect::<Vec<_>>()));
    let words = ["run-pipeline", "--file", "plan.yaml", "--input", &list];
    let dry = said(&hub, &[&words[..], &["--dry-run", "--json"]].concat());
    let dry: Value = serde_json::from_str(&dry).unwrap();
    assert_eq!(dry["tasks"], 47, "{dry:#}");
    // Each prompt has at least the 17 characters of its template.
    assert!(dry["prompt_tokens"].as_i64() > Some(46 * 4), "{dry:#}");
    assert!(
        dry["limits"][0].as_str().unwrap().contains("no budget"),
        "{dry:#}"
    );
    let prompts = dry["steps"][0]["prompts"].to_string();
    assert!(prompts.contains("read 0 with care"), "{prompts}");
    let mut client = hub.client();
    assert_eq!(newest(&mut client), None);

    let run: i64 = said(&hub, &words).trim().parse().unwrap();
    let waiting = until("it asks after the sample", || {
        let run = shown(&mut client, run);
        (run["state"] == "waiting").then_some(run)
    });
    assert_eq!(
        (&waiting["made"], &waiting["plan"]),
        (&json!(3), &dry["hash"]),
        "the sample of the plan that the dry run has read: {waiting:#}"
    );
    said(&hub, &["run", "resume", &run.to_string()]);
    let run = ended(&mut client, run);
    assert_eq!(
        (&run["state"], &run["made"], &run["result"]),
        (&json!("done"), &dry["tasks"], &json!("46"))
    );
}

/// LangGraph #6320: a slow branch holds up the next step of a fast one.
#[test]
fn a_slow_step_does_not_hold_up_another_branch() {
    let hub = hub(1).start();
    let mut client = hub.client();
    // The test itself is the worker of the queue `outside`, and takes its time.
    let plan = "
pipeline:
  - { id: slow, pool: outside, prompt: slow }
  - { id: fast, map: { over: [1, 2, 3] }, prompt: '{{ item }}' }
  - { id: next, reduce: { of: fast, into: json } }
  - { id: last, depends_on: [next], prompt: 'last {{ steps.next.result }}' }
  - { id: both, depends_on: [slow, last], prompt: both }
";
    let run = start(&mut client, plan, json!({}));
    let task = client.lease(json!({"worker_id": "w", "queues": ["outside"]}));
    let run_then = until("the fast branch is over", || {
        let run = shown(&mut client, run);
        let mut steps = run["steps"].as_array().unwrap().iter();
        let is_last = |it: &Value| it["path"] == "last" && it["state"] == "done";
        steps.any(is_last).then_some(run)
    });
    assert_eq!(step(&run_then, "slow")["state"], "open");
    let begun = run_then["steps"].to_string();
    assert!(!begun.contains("both"), "{run_then:#}");
    let ack = json!({"task_id": task["task_id"], "fence": task["fence"], "status": "done", "result": "x"});
    client.call("ack", ack);
    assert_eq!(ended(&mut client, run)["state"], "done");
}

/// Snakemake #1694, #3234 (files were edited while a run was computing, and days of results were replaced), Nextflow #880 (a cache
/// whose misses no one could explain).
#[test]
fn edits_of_plan_and_items_do_not_reach_a_run() {
    let hub = hub(1).start();
    let home = hub.setup.directory.path();
    let plan = "
pipeline:
  - { id: read, map: { over: { files: '*.md' } }, prompt: 'old {{ item.text }}' }
  - { id: all, reduce: { of: read, into: json } }
";
    fs::write(home.join("plan.yaml"), plan).unwrap();
    fs::write(home.join("a.md"), "text").unwrap();
    let mut client = hub.client();
    // Nothing of it runs before the files are edited.
    client.call("pause", json!({}));
    let words = ["run-pipeline", "--file", "plan.yaml"];
    let run: i64 = said(&hub, &words).trim().parse().unwrap();
    fs::write(home.join("plan.yaml"), plan.replace("old", "new")).unwrap();
    fs::write(home.join("a.md"), "edited").unwrap();
    fs::write(home.join("b.md"), "added").unwrap();
    client.call("resume", json!({}));
    assert_eq!(ended(&mut client, run)["result"], r#"["old text"]"#);
    // Without `cache` a second run takes no results of the first, also where the prompts are equal.
    fs::write(home.join("plan.yaml"), plan).unwrap();
    fs::write(home.join("a.md"), "text").unwrap();
    fs::remove_file(home.join("b.md")).unwrap();
    let again: i64 = said(&hub, &words).trim().parse().unwrap();
    let again = ended(&mut client, again);
    assert_eq!(
        (&again["result"], &again["made"]),
        (&json!(r#"["old text"]"#), &json!(1))
    );
}
