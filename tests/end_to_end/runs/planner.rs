//! Planners: an agent makes a plan, a person agrees, and it runs.

use super::{ended, hub, items, shown, start, step, with_script};
use crate::common::until;
use serde_json::json;

/// A stand-in for an agent that plans: its first plan has a fault, the second one has not. Every other prompt is its answer.
const AGENT: &str = r#"prompt=$(cat)
case "$prompt" in
*"has these faults"*)
  printf 'Here it is:\n```yaml\npipeline:\n  - { id: list, module: agents.echo, config: { prompt: "one two" } }\n  - { id: sum, depends_on: [list], config: { prompt: "sum of {{ steps.list.result }}" } }\n```\nDone.\n' ;;
*"Make a plan"*)
  printf 'pipeline:\n  - { id: list, promt: "x" }\n' ;;
*) printf '%s' "$prompt" ;;
esac
"#;

const PLAN: &str = "
limits: { tokens: 1000000 }
pipeline:
  - { id: goal, plan: { goal: 'count words', pool: script } }
  - { id: end, depends_on: [goal], prompt: 'it says {{ steps.goal.result }}' }
";

#[test]
fn faults_go_back_to_the_planner_and_a_person_agrees() {
    let hub = with_script(hub(2), AGENT).start();
    let mut client = hub.client();
    let run = start(&mut client, PLAN, json!({}));
    let waiting = until("it waits for a person", || {
        let run = shown(&mut client, run);
        (run["state"] == "waiting").then_some(run)
    });
    assert_eq!(waiting["reason"], "person: the step goal asks a question");
    let stages = items(&mut client, run, "goal");
    let keys: Vec<&str> = stages
        .iter()
        .map(|item| item["key"].as_str().unwrap())
        .collect();
    assert_eq!(keys, ["plan 1", "plan 2", "ask"]);
    let question = stages[2]["task_id"].as_i64().unwrap();
    let prompt = client.task(question)["prompt"].as_str().unwrap().to_owned();
    assert!(
        prompt.starts_with("Run this plan?") && prompt.contains("sum of"),
        "{prompt}"
    );
    client.call("approve", json!({"task_id": question, "by": "ann"}));
    let run = ended(&mut client, run);
    assert_eq!(run["state"], "done", "{run:#}");
    assert_eq!(run["result"], "it says sum of one two");
    let id = run["task_id"].as_i64().unwrap();
    let below = items(&mut client, id, "goal")[3]["task_id"]
        .as_i64()
        .unwrap();
    assert_eq!(step(&shown(&mut client, below), "list")["state"], "done");
}

#[test]
fn a_plan_that_a_person_refuses_does_not_run_and_depth_ends_planners_of_planners() {
    let hub = with_script(hub(2), AGENT).start();
    let mut client = hub.client();
    let run = start(&mut client, PLAN, json!({}));
    let question = until("it waits for a person", || {
        let run = shown(&mut client, run);
        let id = run["task_id"].as_i64().unwrap();
        let is_asked = run["state"] == "waiting";
        is_asked.then(|| {
            items(&mut client, id, "goal")[2]["task_id"]
                .as_i64()
                .unwrap()
        })
    });
    client.call("reject", json!({"task_id": question, "reason": "too much"}));
    let run = ended(&mut client, run);
    assert_eq!(run["state"], "failed");
    let error = run["error"].as_str().unwrap();
    assert!(
        error.contains("a person refused the plan") && error.contains("too much"),
        "{error}"
    );

    // A planner whose plan plans again, without end.
    let endless = r#"cat > /dev/null; printf 'limits: { tokens: 1000 }\npipeline: [{ id: again, plan: { goal: more, ask: false, pool: script } }]\n'"#;
    let hub = with_script(super::hub(1), endless).start();
    let mut client = hub.client();
    let plan = PLAN.replace("pool: script", "pool: script, ask: false");
    let run = start(&mut client, &plan, json!({}));
    let run = ended(&mut client, run);
    assert_eq!(run["state"], "failed");
    let error = run["error"].as_str().unwrap();
    assert!(error.contains("limits.depth"), "{error}");
}

#[test]
fn a_plan_of_a_planner_runs_no_commands_and_the_planners_below_ask_too() {
    let agent = r#"prompt=$(cat)
case "$prompt" in
*"has these faults"*"accept.command"*)
  printf 'limits: { tokens: 1000 }\npipeline: [{ id: again, plan: { goal: more, ask: false, pool: script } }]\n' ;;
*"Make a plan"*"more"*)
  printf 'pipeline: [{ id: a, prompt: x }]\n' ;;
*"Make a plan"*)
  printf 'pipeline: [{ id: a, prompt: x, priority: 7, accept: { command: [touch, owned] } }]\n' ;;
*) printf '%s' "$prompt" ;;
esac
"#;
    let hub = with_script(hub(2), agent).start();
    let mut client = hub.client();
    let run = start(&mut client, PLAN, json!({}));
    let question = |client: &mut crate::common::Client, run: i64, at: usize| {
        until("it waits for a person", || {
            let run = shown(client, run);
            let id = run["task_id"].as_i64().unwrap();
            let is_asked = run["state"] == "waiting";
            is_asked.then(|| {
                items(client, id, run["steps"][0]["path"].as_str().unwrap())[at]["task_id"]
                    .as_i64()
                    .unwrap()
            })
        })
    };
    let first = question(&mut client, run, 2);
    client.call("approve", json!({"task_id": first}));
    let below = until("the plan runs", || {
        let all = items(&mut client, run, "goal");
        all.get(3).and_then(|item| item["task_id"].as_i64())
    });
    let second = question(&mut client, below, 1);
    client.call("approve", json!({"task_id": second}));
    let run = ended(&mut client, run);
    assert_eq!(run["state"], "done", "{run:#}");
}

#[test]
fn the_command_needs_a_budget_and_starts_the_planner() {
    let hub = with_script(hub(2), AGENT).start();
    let refused = hub.cli(&["run-recursive", "count words"]);
    assert_eq!(refused.status.code(), Some(2));
    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(
        said.contains("--tokens") && said.contains("--usd"),
        "{said}"
    );
    let words = [
        "run-recursive",
        "count {{ words }}",
        "--tokens",
        "100000",
        "--planner-pool",
        "script",
        "--approve-plan",
        "never",
    ];
    let done = hub.cli(&words);
    let (out, err) = (
        String::from_utf8_lossy(&done.stdout),
        String::from_utf8_lossy(&done.stderr),
    );
    assert_eq!(done.status.code(), Some(0), "{err}");
    assert_eq!(out.trim(), "sum of one two");
}
