//! Each kind of step, from a plan to its results.

use super::{carried_out, ended, hub, items, shown, start, step, with_script};
use crate::common::until;
use serde_json::{Value, json};

#[test]
fn a_map_and_a_reduce_give_one_text_of_all_items() {
    let hub = hub(3).start();
    let plan = "
name: sum
inputs: { words: { type: list } }
pipeline:
  - id: read
    map: { over: inputs.words, key: '{{ item }}' }
    prompt: 'say {{ item }}'
  - id: merge
    reduce: { of: read, arity: 3 }
    prompt: '{% for r in results %}{{ r.result }};{% endfor %}'
";
    let words: Vec<String> = (0..20).map(|n| format!("w{n:02}")).collect();
    let (mut client, run) = carried_out(&hub, plan, json!({"inputs": {"words": words}}));
    assert_eq!(
        (&run["state"], &run["name"]),
        (&json!("done"), &json!("sum"))
    );
    let result = run["result"].as_str().unwrap();
    for word in &words {
        assert_eq!(
            result.matches(&format!("say {word};")).count(),
            1,
            "{result}"
        );
    }
    assert_eq!(step(&run, "read")["done"], 20);
    // 20 results in groups of at most 3: 7 tasks, 3, 1.
    assert_eq!(step(&run, "merge")["total"], 11);
    let read = items(&mut client, run["task_id"].as_i64().unwrap(), "read");
    assert_eq!(read.len(), 20);
    assert_eq!(
        (&read[3]["key"], &read[3]["result"]),
        (&json!("w03"), &json!("say w03"))
    );
}

#[test]
fn batches_get_several_items_and_give_one_result_each() {
    let hub = hub(2).start();
    let plan = r#"
pipeline:
  - id: read
    map: { over: [a, b, c, d, e], batch: 2 }
    prompt: '{{ items | tojson }}'
    result: { each: true }
  - id: all
    reduce: { of: read, into: json }
"#;
    let (mut client, run) = carried_out(&hub, plan, json!({}));
    assert_eq!(run["state"], "done", "{run:#}");
    assert_eq!(run["result"], r#"["a","b","c","d","e"]"#);
    let read = items(&mut client, run["task_id"].as_i64().unwrap(), "read");
    let results: Vec<&str> = read
        .iter()
        .map(|item| item["result"].as_str().unwrap())
        .collect();
    assert_eq!(results, ["a", "b", "c", "d", "e"]);
    assert_eq!(read[0]["task_id"], read[1]["task_id"]);
    assert_eq!(run["made"], 3, "one task per batch");
    // One item of a batch is repeated: it gets a task of its own, and its neighbours keep their elements.
    let id = run["task_id"].as_i64().unwrap();
    let retry = json!({"task_id": id, "step": "read", "item": "#1"});
    client.call("run_retry", retry);
    let again = until("it has another task", || {
        let again = items(&mut client, id, "read");
        let has_ended = again.iter().all(|item| item["state"] == "done");
        (has_ended && again[0]["task_id"] != read[0]["task_id"]).then_some(again)
    });
    let after: Vec<&str> = again
        .iter()
        .map(|item| item["result"].as_str().unwrap())
        .collect();
    assert_eq!(after, results);
    let run = ended(&mut client, id);
    assert_eq!(run["result"], r#"["a","b","c","d","e"]"#);
}

#[test]
fn loops_races_votes_and_conditions() {
    let hub = hub(4).start();
    let plan = r#"
pipeline:
  - id: polish
    loop: { max: 4, until: "'www' in steps.write.result" }
    steps:
      - { id: write, prompt: "{{ prev.write.result or 'x' }}w" }
      - { id: judge, depends_on: [write], prompt: "judged {{ steps.write.result }}" }
  - id: quick
    race:
      - { id: one, prompt: "1" }
      - { id: two, prompt: "2" }
  - id: pick
    vote: { n: 3 }
    prompt: "same"
  - { id: never, depends_on: [quick], if: "steps.quick.result == 'three'", prompt: x }
  - id: end
    depends_on: [polish, pick, never]
    prompt: "{{ steps.polish.result }}, {{ steps.pick.result }}, {{ steps.never.state }}"
  - { id: tell, prompt: "{{ run.state }}", always: true }
"#;
    let (mut client, run) = carried_out(&hub, plan, json!({}));
    assert_eq!(run["state"], "done", "{run:#}");
    assert_eq!(run["result"], "judged xwww, same, skipped");
    assert_eq!(step(&run, "polish[3].write")["state"], "done");
    let paths: Vec<&str> = run["steps"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|step| step["path"].as_str())
        .collect();
    assert!(
        !paths.iter().any(|path| path.starts_with("polish[4]")),
        "{paths:?}"
    );
    let told = items(&mut client, run["task_id"].as_i64().unwrap(), "tell");
    assert_eq!(told[0]["result"], "done");
}

#[test]
fn a_person_decides_and_both_answers_lead_on() {
    let hub = hub(1).start();
    let plan = r#"
pipeline:
  - { id: ok, approve: { prompt: "Publish?" } }
  - { id: ship, depends_on: [ok], if: "steps.ok.approved", prompt: "by {{ steps.ok.by }}" }
"#;
    for (verb, state, result) in [
        ("approve", "done", json!("by ann")),
        ("reject", "skipped", Value::Null),
    ] {
        let mut client = hub.client();
        let run = start(&mut client, plan, json!({}));
        let question = until("the question is asked", || {
            let shown = shown(&mut client, run);
            shown["steps"][0]["task_id"].as_i64()
        });
        assert_eq!(client.task(question)["type"], "human");
        client.call(verb, json!({"task_id": question, "by": "ann"}));
        let run = ended(&mut client, run);
        assert_eq!(run["state"], "done", "{run:#}");
        assert_eq!(step(&run, "ship")["state"], state);
        if state == "done" {
            assert_eq!(run["result"], result);
        }
    }
}

#[test]
fn a_plan_below_a_plan_has_what_is_left_of_the_depth() {
    let hub = hub(2).start();
    let inner = "
inputs: { who: {} }
pipeline:
  - { id: hello, prompt: 'hello {{ inputs.who }}' }
";
    let outer = "
pipeline:
  - { id: first, prompt: 'you' }
  - { id: sub, depends_on: [first], pipeline: inner, inputs: { who: '{{ steps.first.result }}' } }
  - { id: end, depends_on: [sub], prompt: 'said: {{ steps.sub.result }}' }
";
    let plans = json!({"plans": {"inner": inner}});
    let (mut client, run) = carried_out(&hub, outer, plans);
    assert_eq!(run["result"], "said: hello you", "{run:#}");
    let below = step(&run, "sub")["task_id"].as_i64().unwrap();
    assert_eq!(shown(&mut client, below)["name"], "inner");

    let endless = "
limits: { depth: 3 }
pipeline:
  - { id: sub, pipeline: self }
";
    let (_, run) = carried_out(&hub, endless, json!({"plans": {"self": endless}}));
    assert_eq!(run["state"], "failed");
    let error = run["error"].as_str().unwrap();
    assert!(error.contains("limits.depth"), "{error}");
}

#[test]
fn faults_of_plans_inputs_and_templates_are_told() {
    let hub = hub(1).start();
    for (plan, metadata, says) in [
        (
            "pipeline: [{ id: a, promt: x }]",
            json!({}),
            "unknown field promt; did you mean prompt?",
        ),
        (
            "inputs: { n: { type: integer } }\npipeline: [{ id: a, prompt: x }]",
            json!({"inputs": {"n": "one"}}),
            "the input n has another type",
        ),
        (
            "pipeline: [{ id: a, prompt: x }]",
            json!({"inputs": {"m": 1}}),
            "the plan has no input m",
        ),
        (
            "pipeline: [{ id: a, map: { over: [1, {b: 2}] }, prompt: '{{ item.b }}' }]",
            json!({}),
            "the item #1: `prompt`:",
        ),
        (
            "inputs: { l: {} }\npipeline: [{ id: a, map: { over: inputs.l }, prompt: x }]",
            json!({"inputs": {"l": 7}}),
            "`over` is not a list but a number",
        ),
        (
            "pipeline: [{ id: a, map: { over: [1, 1], key: '{{ item }}' }, prompt: x }]",
            json!({}),
            "the items 1 and 2 have the same key \"1\"",
        ),
        (
            "pipeline: [{ id: a, map: { over: { files: '*.md' } }, prompt: x }]",
            json!({}),
            "which only `kirosu run-pipeline` sends",
        ),
    ] {
        let (_, run) = carried_out(&hub, plan, metadata);
        assert_eq!(run["state"], "failed", "{plan}");
        let error = run["error"].as_str().unwrap();
        assert!(error.contains(says), "{plan}: {error}");
    }
}

#[test]
fn a_step_with_a_cache_takes_results_of_equal_tasks() {
    let setup = hub(1);
    let runs = setup.directory.path().join("runs");
    let script = format!("echo run >> {}; cat", runs.display());
    let hub = with_script(setup, &script).start();
    let count = || std::fs::read_to_string(&runs).unwrap().lines().count();
    let plan = |name: &str, scope: &str, ttl: &str, last: &str| {
        format!(
            "
name: {name}
pipeline:
  - id: m
    map: {{ over: [a, b, {last}], key: '{{{{ item }}}}' }}
    pool: script
    effects: none
    cache: {{ scope: {scope}, ttl: {ttl} }}
    prompt: 'say {{{{ item }}}}'
  - {{ id: all, reduce: {{ of: m, into: concat }} }}
"
        )
    };
    let (_, run) = carried_out(&hub, &plan("one", "plan", "1h", "c"), json!({}));
    assert_eq!(
        (&run["result"], count()),
        (&json!("say a\nsay b\nsay c"), 3)
    );
    // Only what differs runs, and the results are the same.
    let (mut client, run) = carried_out(&hub, &plan("one", "plan", "1h", "d"), json!({}));
    assert_eq!(
        (&run["result"], count()),
        (&json!("say a\nsay b\nsay d"), 4)
    );
    assert_eq!(run["made"], 1);
    let all = items(&mut client, run["task_id"].as_i64().unwrap(), "m");
    let cached: Vec<bool> = all.iter().map(|item| item["cached"] == true).collect();
    assert_eq!(cached, [true, true, false]);
    let explained = |run: &Value, key: &str| {
        let said = hub.cli(&["run", "explain", &run["task_id"].to_string(), key]);
        assert!(said.status.success(), "{said:?}");
        String::from_utf8(said.stdout).unwrap()
    };
    let first_a = all[0]["task_id"].as_i64().unwrap();
    let taken = format!("its result was taken from the cache: it is that of task {first_a}");
    assert!(explained(&run, "a").contains(&taken));
    let nothing = "not taken from the cache: nothing was stored for this item";
    assert!(explained(&run, "d").contains(nothing));
    let other =
        plan("one", "plan", "1h", "c").replace("prompt: 'say", "system: slow\n    prompt: 'do say");
    let (mut client, changed) = carried_out(&hub, &other, json!({}));
    let why = format!(
        "not taken from the cache: the system prompt and the prompt differ from those of task {first_a}\n"
    );
    let said = explained(&changed, "a");
    assert!(said.contains(&why), "{said}");
    let id = changed["task_id"].as_i64().unwrap();
    let params = json!({"task_id": id, "key": "a"});
    let found = client.call("run_items", params)["items"].take();
    assert_eq!(found.as_array().unwrap().len(), 1, "{found}");
    let task = client.task(found[0]["task_id"].as_i64().unwrap());
    let parts =
        json!({"reason": "differs", "task_id": first_a, "parts": ["system prompt", "prompt"]});
    assert_eq!(task["metadata"]["run"]["not_cached"], parts);
    std::fs::write(&runs, "run\n".repeat(4)).unwrap();
    // Another plan, its own runs only, and results that are too old.
    carried_out(&hub, &plan("two", "plan", "1h", "d"), json!({}));
    assert_eq!(count(), 7);
    carried_out(&hub, &plan("two", "run", "1h", "d"), json!({}));
    assert_eq!(count(), 10);
    let (_, old) = carried_out(&hub, &plan("two", "plan", "1ms", "d"), json!({}));
    assert_eq!(count(), 13);
    let said = explained(&old, "d");
    assert!(
        said.contains("not taken from the cache: the result of task ")
            && said.contains(" expired "),
        "{said}"
    );
    // A person who repeats an item wants it to run.
    let first = step(&run, "all")["path"].clone();
    assert_eq!(first, "all");
    let id = run["task_id"].as_i64().unwrap();
    client.call(
        "run_retry",
        json!({"task_id": id, "step": "m", "item": "a"}),
    );
    until("it ran again", || (count() == 14).then_some(()));
    ended(&mut client, id);
    std::fs::write(&runs, "run\n".repeat(13)).unwrap();
    // All runs of the hub; a failed task is no result.
    carried_out(&hub, &plan("three", "hub", "1h", "e"), json!({}));
    carried_out(&hub, &plan("four", "hub", "1h", "e"), json!({}));
    assert_eq!(count(), 16);
}

#[test]
fn equal_batches_of_a_cached_step_give_each_item_its_element() {
    let hub = hub(1).start();
    let plan = r#"
pipeline:
  - id: m
    map: { over: [a, b], batch: 2 }
    effects: none
    cache: { scope: hub }
    result: { each: true }
    prompt: '{{ items | tojson }}'
  - { id: all, reduce: { of: m, into: json } }
"#;
    let (_, run) = carried_out(&hub, plan, json!({}));
    assert_eq!(run["result"], r#"["a","b"]"#);
    let twice = plan.replace("[a, b]", "[a, b, a, b]");
    let (_, run) = carried_out(&hub, &twice, json!({}));
    assert_eq!(
        (&run["result"], &run["made"]),
        (&json!(r#"["a","b","a","b"]"#), &json!(0))
    );
    // Batches that share one result give it once each, whatever other runs have the same task.
    let shared = twice
        .replace("    result: { each: true }\n", "")
        .replace("scope: hub", "scope: run");
    let (_, run) = carried_out(&hub, &shared, json!({}));
    assert_eq!(run["result"], r#"[["a","b"],["a","b"]]"#, "{run:#}");
}

#[test]
fn the_work_of_a_step_is_handed_over_and_its_result_is_that_of_the_last() {
    let setup = hub(1);
    let script = format!(
        "prompt=$(cat); case \"$prompt\" in hand*) {} enqueue --handoff --queue echo 'from the other one' >/dev/null; echo handed;; *) printf '%s' \"$prompt\";; esac",
        env!("CARGO_BIN_EXE_kirosu")
    );
    let hub = with_script(setup, &script).start();
    let plan = "
pipeline:
  - { id: first, pool: script, prompt: hand over }
  - { id: then, depends_on: [first], prompt: 'it says {{ steps.first.result }}' }
";
    let (mut client, run) = carried_out(&hub, plan, json!({}));
    assert_eq!(run["result"], "it says from the other one", "{run:#}");
    let all = client.call("list", json!({"parent_id": run["task_id"]}));
    assert_eq!(all["tasks"].as_array().unwrap().len(), 3, "{all:#}");
    // Without a plan it is a task that waits for this one.
    let task = client.enqueue_with(json!({"prompt": "hand over", "queue": "script"}));
    client.call("wait", json!({"task_ids": [task], "timeout_seconds": 30}));
    let next = client.call("list", json!({"parent_id": task}))["tasks"][0].clone();
    let next = next["task_id"].as_i64().unwrap();
    client.call("wait", json!({"task_ids": [next], "timeout_seconds": 30}));
    assert_eq!(client.task(next)["result"], "from the other one");
    let refused = client.refused("enqueue", json!({"prompt": "x", "handoff": true}));
    assert!(
        refused["message"].as_str().unwrap().contains("token"),
        "{refused}"
    );
}
