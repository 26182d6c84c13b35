//! Agents that meet a limit, fail, or answer well with bad news, failures of runs below, and results that must outlive a crash.

use crate::common::until;
use crate::people::kit::{kirosu, parts};
use crate::runs::{ended, hub, items, newest, shown, start, step, with_script};
use serde_json::{Value, json};
use std::fs;

/// A stand-in for an agent program whose account is at its limit for three seconds after its third run. As real ones do, it ends
/// well with a notice in place of an answer.
const LIMITED: &str = r#"cat > /dev/null
here=$(dirname "$0")
echo run >> "$here/runs"
now=$(date +%s)
if [ "$(wc -l < "$here/runs")" -gt 3 ] && [ ! -e "$here/until" ]; then echo $((now + 3)) > "$here/until"; fi
left=$(($(cat "$here/until" 2>/dev/null || echo 0) - now))
if [ "$left" -gt 0 ]; then
  echo refused >> "$here/refused"
  echo "You've hit your session limit · resets in $left seconds"
else
  echo fine
fi
"#;

/// Claude Code #94530, #93874: at the session limit hundreds of further agents were started and failed at once, their findings
/// counted as refuted, and the run reported that it was completed.
#[test]
fn a_session_limit_in_the_middle_fails_no_item() {
    let setup = with_script(hub(1), LIMITED)
        .set("providers.script.output={ format = \"text\", known_errors = true }");
    let here = setup.directory.path().to_owned();
    let hub = setup.start();
    let mut client = hub.client();
    // An attempt that the limit ended would fail its item if it counted.
    let plan = "
pipeline:
  - id: review
    map: { over: [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12] }
    pool: script
    prompt: 'review {{ item }}'
    max_attempts: 1
  - id: report
    reduce: { of: review, into: json }
";
    let run = start(&mut client, plan, json!({}));
    until("the account is parked", || {
        let pools = client.call("pools", json!({}));
        let mut pools = pools["pools"].as_array().unwrap().iter();
        pools
            .any(|pool| pool["name"] == "script" && pool["state"] == "rate_limited")
            .then_some(())
    });
    let parked = shown(&mut client, run);
    assert!(
        matches!(parked["state"].as_str(), Some("open" | "waiting")),
        "{parked:#}"
    );
    let run = ended(&mut client, run);
    assert_eq!(run["state"], "done", "{run:#}");
    let review = step(&run, "review");
    assert_eq!(
        (&review["done"], &review["failed"], &run["made"]),
        (&json!(12), &json!(0), &json!(12))
    );
    let results: Vec<Value> = serde_json::from_str(run["result"].as_str().unwrap()).unwrap();
    assert!(results.iter().all(|it| it == "fine"), "{results:?}");
    // Those that ran when the limit was met, and one at each reset, but not one agent per item.
    let refused = fs::read_to_string(here.join("refused")).unwrap();
    let refused = refused.lines().count();
    assert!((1..=4).contains(&refused), "{refused}");
}

/// Claude Code #74130, #76872: every agent failed, and the run reported that it was completed, with an empty result that looked valid.
#[test]
fn a_run_whose_agents_all_failed_has_failed_with_counts() {
    let hub = with_script(hub(1), "cat > /dev/null; echo no model >&2; exit 3").start();
    let home = hub.setup.directory.path();
    fs::write(home.join("items.txt"), "a\nb\nc\n").unwrap();
    let words = [
        "map",
        "--lines",
        "items.txt",
        "--prompt",
        "{{ item }}",
        "--reduce",
        "{{ results | length }}",
        "--pool",
        "script",
        "--tolerate",
        "100%",
    ];
    let (code, out, err) = parts(&kirosu(&hub, &words));
    assert_eq!((code, out.as_str()), (3, ""), "{err}");
    assert!(err.contains("3 items failed: 3 provider_error"), "{err}");
    assert!(err.contains("no model"), "{err}");
    let mut client = hub.client();
    let run = newest(&mut client).unwrap();
    let run = shown(&mut client, run);
    assert_eq!(
        (&run["state"], &run["result"]),
        (&json!("failed"), &Value::Null),
        "{run:#}"
    );
    let map = step(&run, "map");
    assert_eq!(
        (&map["state"], &map["failed"], &map["done"]),
        (&json!("failed"), &json!(3), &json!(0))
    );
    assert_eq!(step(&run, "reduce")["state"], "omitted");
}

/// Claude Code #82066: an agent that ran well and whose answer was that the tests failed was shown as a success.
#[test]
fn a_good_end_with_a_bad_answer_is_not_done() {
    let hub = hub(2).start();
    let mut client = hub.client();
    // The answers of the pool `echo` are its prompts.
    let plan = r#"
pipeline:
  - { id: test, prompt: 'test failed: 3 of 9', accept: { regex: '^test passed' }, max_attempts: 1 }
  - { id: publish, depends_on: [test], prompt: publish }
  - { id: judge, prompt: '{"ok": false}', result: { schema: { type: object, required: [ok] } } }
  - { id: merge, depends_on: [judge], if: steps.judge.json.ok, prompt: merge }
"#;
    let run = start(&mut client, plan, json!({}));
    let run = ended(&mut client, run);
    assert_eq!(run["state"], "failed", "{run:#}");
    for (path, state) in [
        ("test", "failed"),
        ("publish", "omitted"),
        ("judge", "done"),
        ("merge", "skipped"),
    ] {
        assert_eq!(step(&run, path)["state"], state, "{path}: {run:#}");
    }
    let id = run["task_id"].as_i64().unwrap();
    assert_eq!(items(&mut client, id, "test")[0]["class"], "not_accepted");
}

/// Claude Code #73231, #68098: results were in memory only, and were lost at the limit of tokens or when the context was compacted.
#[test]
fn a_result_outlives_the_hub_that_acknowledged_it() {
    let hub = hub(1).set("lease.heartbeat_grace=20s").start();
    let mut client = hub.client();
    let plan = "
pipeline:
  - { id: read, map: { over: [a, b, c] }, pool: outside, prompt: '{{ item }}' }
  - { id: all, reduce: { of: read, into: json } }
";
    let run = start(&mut client, plan, json!({}));
    let lease = json!({"worker_id": "w", "queues": ["outside"]});
    let first = client.lease(lease.clone());
    let second = client.lease(lease.clone());
    let ack = |task: &Value| json!({"task_id": task["task_id"], "fence": task["fence"], "status": "done", "result": format!("of {}", task["prompt"])});
    client.call("ack", ack(&first));
    let hub = hub.kill().start();
    let mut client = hub.client();
    let read = items(&mut client, run, "read");
    assert_eq!(
        (&read[0]["state"], &read[0]["result"]),
        (&json!("done"), &json!("of \"a\""))
    );
    // The worker of the second task has not heard of the crash.
    client.call("ack", ack(&second));
    let third = client.lease(lease);
    client.call("ack", ack(&third));
    let run = ended(&mut client, run);
    assert_eq!(
        (&run["state"], &run["made"]),
        (&json!("done"), &json!(3)),
        "{run:#}"
    );
    let results: Value = serde_json::from_str(run["result"].as_str().unwrap()).unwrap();
    assert_eq!(results, json!(["of \"a\"", "of \"b\"", "of \"c\""]));
}

/// goose #5812: an agent started another one, which could not build, and reported success.
#[test]
fn a_failure_in_a_run_below_is_the_failure_of_the_run_above() {
    let hub = hub(1).start();
    let mut client = hub.client();
    let inner = "
pipeline:
  - { id: write, prompt: written }
  - { id: build, depends_on: [write], prompt: 'does not compile', accept: { regex: '^built' }, max_attempts: 1 }
";
    let plan = "
pipeline:
  - { id: sub, pipeline: inner }
  - { id: ship, depends_on: [sub], prompt: ship }
";
    let run = start(&mut client, plan, json!({"plans": {"inner": inner}}));
    let run = ended(&mut client, run);
    assert_eq!(run["state"], "failed", "{run:#}");
    assert_eq!(step(&run, "ship")["state"], "omitted");
    let error = run["error"].as_str().unwrap();
    assert!(error.contains("sub") && error.contains("build"), "{error}");
    let below = step(&run, "sub")["task_id"].as_i64().unwrap();
    assert_eq!(shown(&mut client, below)["state"], "failed");
    let id = run["task_id"].to_string();
    let (code, _, err) = parts(&kirosu(&hub, &["run", "wait", &id]));
    assert_eq!(code, 3, "{err}");
}
