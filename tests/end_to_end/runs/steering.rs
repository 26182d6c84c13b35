//! Runs that fail, wait, pause, are cancelled and are repeated.

use super::{ended, hub, items, shown, start, step, with_script};
use crate::common::{Setup, until, word};
use serde_json::{Value, json};
use std::fs;
use std::time::{Duration, Instant};

/// A pool `script` whose runs fail while a file exists: those whose prompt has its first line.
pub(super) fn failing(setup: Setup) -> Setup {
    let marker = setup.directory.path().join("fails");
    let script = format!(
        "prompt=$(cat)\nif [ -f {0} ] && printf '%s' \"$prompt\" | grep -qF \"$(head -1 {0})\"; then echo broken >&2; exit 3; fi\nprintf '%s' \"$prompt\"\n",
        marker.display()
    );
    with_script(setup, &script)
}

#[test]
fn only_what_failed_runs_again() {
    let setup = failing(hub(1));
    let marker = setup.directory.path().join("fails");
    fs::write(&marker, "c!\n").unwrap();
    let hub = setup.start();
    let mut client = hub.client();
    let plan = "
pipeline:
  - id: read
    map: { over: [a, b, c, d], tolerate: 50%, key: '{{ item }}' }
    pool: script
    prompt: '{{ item }}!'
  - id: merge
    reduce: { of: read }
    prompt: '{% for r in results %}{{ r.result }}{% endfor %} missing {% for m in missing %}{{ m.key }} {{ m.class }}{% endfor %}'
  - { id: alone, prompt: alone }
";
    let run = start(&mut client, plan, json!({}));
    let first = ended(&mut client, run);
    assert_eq!(first["state"], "partial", "{first:#}");
    assert_eq!(first["result"], "alone");
    let merged = items(&mut client, run, "merge");
    assert_eq!(merged[0]["result"], "a!b!d! missing c provider_error");
    let before: Vec<Value> = items(&mut client, run, "read");
    let alone = step(&first, "alone")["task_id"].clone();
    let failed = client.call("run_items", json!({"task_id": run, "state": "failed"}));
    assert_eq!(failed["items"].as_array().unwrap().len(), 1);
    assert_eq!(
        (&failed["items"][0]["key"], &failed["items"][0]["class"]),
        (&json!("c"), &json!("provider_error"))
    );
    assert!(
        failed["items"][0]["error"]
            .as_str()
            .unwrap()
            .contains("broken")
    );

    fs::remove_file(&marker).unwrap();
    client.call("run_retry", json!({"task_id": run}));
    let second = until("the run is done", || {
        let run = shown(&mut client, run);
        (run["state"] == "done").then_some(run)
    });
    let after = items(&mut client, run, "read");
    for (before, after) in before.iter().zip(&after) {
        let same = before["task_id"] == after["task_id"];
        assert_eq!(same, before["key"] != "c", "{before} {after}");
    }
    assert_eq!(step(&second, "alone")["task_id"], alone);
    assert_eq!(
        items(&mut client, run, "merge")[0]["result"],
        "a!b!c!d! missing "
    );
    // A done item by its key, and what depends on it.
    client.call(
        "run_retry",
        json!({"task_id": run, "step": "read", "item": "a"}),
    );
    until("another task is made for it", || {
        let now = items(&mut client, run, "read");
        (now[0]["task_id"] != after[0]["task_id"] && now[0]["state"] == "done").then_some(())
    });
    let third = until("the run is done again", || {
        let run = shown(&mut client, run);
        (run["state"] == "done").then_some(run)
    });
    assert_eq!(
        third["made"].as_i64().unwrap() - second["made"].as_i64().unwrap(),
        2
    );
    let refused = client.refused("run_retry", json!({"task_id": run, "step": "nothing"}));
    assert_eq!(word(&refused), "wrong_state");
}

#[test]
fn a_prompt_that_is_wrong_stops_after_five_runs_and_asks() {
    let setup = failing(hub(1));
    let marker = setup.directory.path().join("fails");
    fs::write(&marker, "wrong\n").unwrap();
    let hub = setup.start();
    let mut client = hub.client();
    let plan = "
pipeline:
  - id: all
    map: { over: [1,2,3,4,5,6,7,8,9,10,11,12] }
    pool: script
    prompt: 'wrong {{ item }}'
";
    let run = start(&mut client, plan, json!({}));
    let waiting = until("it waits for a person", || {
        let run = shown(&mut client, run);
        (run["state"] == "waiting").then_some(run)
    });
    let reason = waiting["reason"].as_str().unwrap();
    assert!(
        reason.contains("5 items of the step all failed in a row with provider_error"),
        "{reason}"
    );
    assert_eq!(waiting["made"], 5);
    fs::remove_file(&marker).unwrap();
    client.call("run_resume", json!({"task_id": run}));
    let failed = ended(&mut client, run);
    assert_eq!(
        (&failed["state"], &step(&failed, "all")["done"]),
        (&json!("failed"), &json!(7))
    );
    client.call("run_retry", json!({"task_id": run}));
    let run = until("the rest is done", || {
        let run = shown(&mut client, run);
        (run["state"] == "done").then_some(run)
    });
    assert_eq!(step(&run, "all")["done"], 12);
}

#[test]
fn a_paused_run_starts_nothing_and_a_cancelled_one_leaves_nothing() {
    let hub = hub(2)
        .set("providers.slow.kind=echo")
        .set("providers.slow.delay=200ms");
    let hub = hub
        .set("pool.slow.provider=slow")
        .set("pool.slow.size=2")
        .start();
    let mut client = hub.client();
    let plan = "
inputs: { list: { type: list } }
pipeline:
  - { id: m, map: { over: inputs.list }, pool: slow, prompt: '{{ item }}' }
";
    let list: Vec<u32> = (0..500).collect();
    let run = start(&mut client, plan, json!({"inputs": {"list": list}}));
    until("some are done", || {
        let run = shown(&mut client, run);
        (run["steps"][0]["done"].as_i64() > Some(2)).then_some(())
    });
    client.call("run_pause", json!({"task_id": run}));
    until("what ran has ended", || {
        (shown(&mut client, run)["steps"][0]["open"] == 0).then_some(())
    });
    let paused = shown(&mut client, run);
    assert_eq!(paused["state"], "paused");
    let stats = client.call("list", json!({"limit": 1}))["stats"].clone();
    assert_eq!(stats["queued"], 0, "nothing of it is left in the queue");
    client.call("run_resume", json!({"task_id": run}));
    until("it goes on", || {
        let now = shown(&mut client, run);
        (now["steps"][0]["done"].as_i64() > paused["steps"][0]["done"].as_i64()).then_some(())
    });
    client.call("cancel", json!({"task_id": run, "reason": "enough"}));
    let cancelled = ended(&mut client, run);
    assert_eq!(
        (&cancelled["state"], &cancelled["steps"][0]["state"]),
        (&json!("cancelled"), &json!("cancelled"))
    );
    until("no task is left", || {
        let listed = client.call("list", json!({"limit": 1}));
        let stats = &listed["stats"];
        (stats["queued"] == 0 && stats["leased"] == 0).then_some(())
    });
    let made = shown(&mut client, run)["made"].clone();
    assert!(made.as_i64() < Some(200), "{made}");
    let refused = client.refused("run_pause", json!({"task_id": run}));
    assert_eq!(word(&refused), "wrong_state");
    let refused = client.refused("run", json!({"task_id": 987_654}));
    assert_eq!(word(&refused), "unknown_task");
}

#[test]
fn the_limits_of_a_plan_are_kept_without_the_command_line() {
    let hub = hub(1).start();
    let mut client = hub.client();
    let plan = "
limits: { tokens: 5000, deadline: 1s }
pipeline:
  - { id: hello, prompt: hello }
  - { id: never, depends_on: [hello], approve: { prompt: 'Sure?' } }
";
    let run = start(&mut client, plan, json!({}));
    let ended = ended(&mut client, run);
    assert_eq!(ended["state"], "failed");
    assert!(
        ended["error"].as_str().unwrap().contains("limits.deadline"),
        "{ended:#}"
    );
    let hello = step(&ended, "hello")["task_id"].as_i64().unwrap();
    assert_eq!(client.task(hello)["budget_trees"], json!([run]));
    let question = step(&ended, "never")["task_id"].as_i64().unwrap();
    until("the question ends with the run", || {
        (client.status(question) == "cancelled").then_some(())
    });
}

#[test]
fn a_question_without_an_answer_in_time_has_the_decision_of_the_plan() {
    let hub = hub(1).start();
    let mut client = hub.client();
    for (on_timeout, shipped) in [("deny", "skipped"), ("approve", "done")] {
        let plan = format!(
            "
pipeline:
  - {{ id: ok, approve: {{ prompt: 'Sure?', timeout: 300ms, on_timeout: {on_timeout} }} }}
  - {{ id: ship, depends_on: [ok], if: steps.ok.approved, prompt: 'by {{{{ steps.ok.by }}}}' }}
"
        );
        let run = start(&mut client, &plan, json!({}));
        let run = ended(&mut client, run);
        assert_eq!(run["state"], "done", "{run:#}");
        assert_eq!(step(&run, "ship")["state"], shipped);
    }
}

#[test]
fn a_pause_holds_the_runs_below_too() {
    let hub = hub(2)
        .set("providers.slow.kind=echo")
        .set("providers.slow.delay=200ms")
        .set("pool.slow.provider=slow")
        .set("pool.slow.size=2")
        .start();
    let mut client = hub.client();
    let inner = "
pipeline:
  - { id: m, map: { over: [1,2,3,4,5,6,7,8,9,10,11,12] }, pool: slow, prompt: '{{ item }}' }
";
    let plan = "pipeline: [{ id: sub, pipeline: inner }]";
    let run = start(&mut client, plan, json!({"plans": {"inner": inner}}));
    let below = until("the run below has begun", || {
        let run = shown(&mut client, run);
        run["steps"][0]["task_id"].as_i64()
    });
    let open = |client: &mut crate::common::Client| {
        let answer = client.try_call("run", json!({"task_id": below}))?;
        let step = answer["result"]["steps"].get(0)?.clone();
        Some((step["open"].as_i64()?, step["done"].as_i64()?))
    };
    until("it works", || {
        open(&mut client).filter(|(_, done)| *done > 0)
    });
    client.call("run_pause", json!({"task_id": run}));
    let (_, before) = until("what ran has ended", || {
        open(&mut client).filter(|(open, _)| *open == 0)
    });
    assert!(before < 12, "{before}");
    let held = shown(&mut client, below);
    assert_eq!(held["state"], "paused");
    assert_eq!(held["reason"], format!("run {run}, above it, is paused"));
    let stats = client.call("list", json!({"limit": 1}))["stats"].clone();
    assert_eq!(stats["queued"], 0);
    client.call("run_resume", json!({"task_id": run}));
    let run = ended(&mut client, run);
    assert_eq!(run["state"], "done", "{run:#}");
    assert_eq!(items(&mut client, below, "m").len(), 12);
}

#[test]
fn runs_below_have_no_more_than_is_left() {
    let hub = hub(2).start();
    let mut client = hub.client();
    for (plan, inner, says) in [
        (
            "limits: { pools: [echo] }\npipeline: [{ id: sub, pipeline: inner }]",
            "pipeline: [{ id: a, pool: other, prompt: x }]",
            "the pool other is not allowed; allowed are echo",
        ),
        (
            "limits: { pools: [other] }\npipeline: [{ id: sub, pipeline: inner }]",
            "pipeline: [{ id: a, module: agents.echo, prompt: x }]",
            "the pool echo of its `module` is not allowed; allowed are other",
        ),
        (
            "limits: { tasks: 4 }\npipeline: [{ id: a, prompt: x }, { id: sub, depends_on: [a], pipeline: inner }]",
            "limits: { tasks: 100 }\npipeline: [{ id: m, map: { over: [1,2,3,4,5,6] }, prompt: x }]",
            "the run has made 3 tasks, which is its limit `tasks`",
        ),
        (
            "limits: { depth: 2 }\npipeline: [{ id: sub, pipeline: inner }]",
            "limits: { depth: 8 }\npipeline: [{ id: deeper, pipeline: last }]",
            "`limits.depth` is 2",
        ),
    ] {
        let plans = json!({"inner": inner, "last": "pipeline: [{ id: a, prompt: x }]"});
        let run = start(&mut client, plan, json!({"plans": plans}));
        let run = ended(&mut client, run);
        assert_eq!(run["state"], "failed", "{run:#}");
        let error = run["error"].as_str().unwrap();
        assert!(error.contains(says), "{error}");
    }
}

#[test]
fn a_template_that_fails_later_lets_what_runs_end() {
    let hub = hub(2)
        .set("providers.slow.kind=echo")
        .set("providers.slow.delay=300ms")
        .set("pool.slow.provider=slow")
        .set("pool.slow.size=2")
        .start();
    let mut client = hub.client();
    let plan = "
pipeline:
  - { id: m, map: { over: [{a: 1}, {a: 2}, {a: 3}, {b: 4}], concurrency: 1 }, pool: slow, prompt: '{{ item.a }}' }
";
    let run = start(&mut client, plan, json!({}));
    let run = ended(&mut client, run);
    assert_eq!(run["state"], "failed");
    let step = step(&run, "m");
    assert_eq!(
        (&step["done"], &step["cancelled"]),
        (&json!(3), &json!(0)),
        "{run:#}"
    );
}

#[test]
fn a_run_in_a_paused_queue_begins_as_soon_as_it_goes_on() {
    let hub = hub(1).start();
    let mut client = hub.client();
    client.call("pause", json!({}));
    let run = start(&mut client, "pipeline: [{ id: a, prompt: x }]", json!({}));
    assert_eq!(shown(&mut client, run)["state"], "pending");
    client.call("resume", json!({}));
    let before = Instant::now();
    assert_eq!(ended(&mut client, run)["state"], "done");
    // Much earlier than the conductor looks at all runs, every 30 s.
    assert!(before.elapsed() < Duration::from_secs(10));
}

#[test]
fn another_plan_repeats_only_what_it_changes_and_what_depends_on_it() {
    let setup = hub(2);
    let directory = setup.directory.path().to_owned();
    let hub = setup.start();
    let mut client = hub.client();
    let plan = "
inputs: { tone: { default: dry } }
pipeline:
  - { id: read, map: { over: [a, b, c] }, prompt: 'read {{ item }}' }
  - { id: write, depends_on: [read], prompt: 'write {{ steps.read.json | length }}' }
  - { id: judge, depends_on: [write], prompt: 'judge {{ steps.write.result }}' }
  - { id: aside, prompt: aside }
  - { id: old, prompt: old }
  - { id: l, loop: { max: 2, on_max: done }, steps: [{ id: in, prompt: in }] }
";
    let file = directory.join("plan.yaml");
    fs::write(&file, plan).unwrap();
    let started = hub.cli(&["run-pipeline", "--file", "plan.yaml"]);
    let run: i64 = String::from_utf8_lossy(&started.stdout)
        .trim()
        .parse()
        .unwrap();
    let first = ended(&mut client, run);
    assert_eq!(first["state"], "done", "{first:#}");
    let other = plan
        .replace("'write {{", "'write again {{")
        .replace("{ id: old, prompt: old }", "{ id: fresh, prompt: fresh }");
    fs::write(directory.join("other.yaml"), &other).unwrap();
    let id = run.to_string();
    let shows = hub.cli(&["run", "resume", &id, "--plan", "other.yaml", "--dry-run"]);
    let shows = String::from_utf8_lossy(&shows.stdout).into_owned();
    for (step, then) in [
        ("read", "stays as it is"),
        ("write", "begins anew: it differs"),
        ("judge", "begins anew: it depends on one that does"),
        ("aside", "stays as it is"),
        ("fresh", "is new"),
        ("old", "is left out"),
    ] {
        let line = shows.lines().find(|line| line.starts_with(step)).unwrap();
        assert!(line.contains(then), "{shows}");
    }
    assert_eq!(shown(&mut client, run), first, "a dry run changes nothing");
    let asks = hub.cli(&["run", "resume", &id, "--plan", "other.yaml"]);
    assert_eq!(
        asks.status.code(),
        Some(2),
        "there is no terminal to ask on"
    );
    let goes_on = hub.cli(&["run", "resume", &id, "--plan", "other.yaml", "--yes"]);
    assert!(goes_on.status.success(), "{goes_on:?}");
    let second = until("it is done with the other plan", || {
        let run = shown(&mut client, run);
        let has_new = run["steps"]
            .as_array()
            .unwrap()
            .iter()
            .any(|step| step["path"] == "fresh");
        (run["state"] == "done" && has_new).then_some(run)
    });
    assert_eq!(
        second["made"].as_i64().unwrap() - first["made"].as_i64().unwrap(),
        3
    );
    assert_ne!(second["plan"], first["plan"]);
    for kept in ["aside", "l[1].in", "l[2].in"] {
        assert_eq!(
            step(&first, kept)["task_id"],
            step(&second, kept)["task_id"]
        );
    }
    assert_eq!(step(&second, "old")["state"], "omitted");
    assert_eq!(
        items(&mut client, run, "write")[0]["result"],
        "write again 3"
    );
    assert_eq!(
        items(&mut client, run, "judge")[0]["result"],
        "judge write again 3"
    );
    let plan = client.call("run", json!({"task_id": run, "with_plan": true}));
    assert_eq!(plan["plan_text"]["text"], other);
    // It is the plan of the run from now on, also for another hub process.
    let hub = hub.kill().start();
    let mut client = hub.client();
    let same = client.call("run_retry", json!({"task_id": run, "step": "fresh"}));
    assert_eq!(same["ok"], true);
    until("the step ran again", || {
        let now = shown(&mut client, run);
        (now["state"] == "done"
            && step(&now, "fresh")["task_id"] != step(&second, "fresh")["task_id"])
            .then_some(())
    });
    // A plan with faults is refused.
    let faulty = json!({"task_id": run, "plan": {"text": "pipeline: [{ id: a, promt: x }]"}});
    let refused = client.refused("run_resume", faulty);
    assert!(
        refused["message"]
            .as_str()
            .unwrap()
            .contains("did you mean prompt"),
        "{refused}"
    );
    // So is one that does not fit the run: the one who asks learns it, and the run stays as it is.
    let before = shown(&mut client, run);
    for (text, says) in [
        (
            "inputs: { need: { required: true } }\npipeline: [{ id: a, prompt: x }]",
            "the input need is required",
        ),
        (
            "pipeline: [{ id: a, map: { over: { lines: x } }, prompt: x }]",
            "the step a reads other items than before",
        ),
    ] {
        let misfit = json!({"task_id": run, "plan": {"text": text}});
        let refused = client.refused("run_resume", misfit);
        assert_eq!(word(&refused), "invalid_params");
        let message = refused["message"].as_str().unwrap();
        assert!(message.contains(says), "{message}");
    }
    assert_eq!(shown(&mut client, run), before);
}

#[test]
fn another_plan_waits_for_what_runs_or_cancels_it() {
    let hub = hub(2)
        .set("providers.slow.kind=echo")
        .set("providers.slow.delay=600s")
        .set("pool.slow.queues=[\"slow\"]")
        .set("pool.slow.provider=slow")
        .set("pool.slow.size=2")
        .start();
    let mut client = hub.client();
    let plan = "pipeline: [{ id: a, pool: slow, prompt: x }, { id: b, prompt: b }]";
    let run = start(&mut client, plan, json!({}));
    until("it runs", || {
        let stats = client.call("list", json!({"limit": 1}))["stats"].clone();
        (stats["leased"] == 2 && step(&shown(&mut client, run), "b")["state"] == "done")
            .then_some(())
    });
    let other = json!({"text": "pipeline: [{ id: a, prompt: y }, { id: b, prompt: b }]"});
    let busy = json!({"task_id": run, "plan": other, "unless_running": ["a"]});
    let refused = client.refused("run_resume", busy);
    assert_eq!(word(&refused), "wrong_state");
    assert!(
        refused["message"]
            .as_str()
            .unwrap()
            .contains("--cancel-changed"),
        "{refused}"
    );
    client.call("run_resume", json!({"task_id": run, "plan": other}));
    let run = ended(&mut client, run);
    assert_eq!(run["state"], "done", "{run:#}");
    assert_eq!(
        items(&mut client, run["task_id"].as_i64().unwrap(), "a")[0]["result"],
        "y"
    );
    assert_eq!(step(&run, "b")["generation"], 0);

    // A step that was left out because another one failed has its turn.
    let plan = "pipeline: [{ id: a, prompt: '{{ inputs.x }}', map: { over: 'inputs.x' } }, { id: b, depends_on: [a], prompt: b }]";
    let run = start(
        &mut client,
        &format!("inputs: {{ x: {{ default: no list }} }}\n{plan}"),
        json!({}),
    );
    let failed = ended(&mut client, run);
    assert_eq!(
        (&failed["state"], &step(&failed, "b")["state"]),
        (&json!("failed"), &json!("omitted"))
    );
    let other = json!({"text": format!("inputs: {{ x: {{ default: [1, 2] }} }}\n{plan}")});
    client.call("run_resume", json!({"task_id": run, "plan": other}));
    let mended = until("the run is done", || {
        let run = shown(&mut client, run);
        (run["state"] == "done").then_some(run)
    });
    assert_eq!(step(&mended, "b")["state"], "done");
}

#[test]
fn the_time_of_a_question_begins_anew_after_a_pause() {
    let hub = hub(1).start();
    let mut client = hub.client();
    let plan =
        "pipeline: [{ id: ok, approve: { prompt: 'Go?', timeout: 3s, on_timeout: approve } }]";
    let run = start(&mut client, plan, json!({}));
    until("it asks", || {
        (shown(&mut client, run)["state"] == "waiting").then_some(())
    });
    client.call("run_pause", json!({"task_id": run}));
    until("the question is taken back", || {
        (step(&shown(&mut client, run), "ok")["open"] == 0).then_some(())
    });
    // Longer than the question waits.
    std::thread::sleep(Duration::from_secs(4));
    client.call("run_resume", json!({"task_id": run}));
    until("it asks again", || {
        (shown(&mut client, run)["state"] == "waiting").then_some(())
    });
    let task = items(&mut client, run, "ok")[0]["task_id"]
        .as_i64()
        .unwrap();
    client.call("reject", json!({"task_id": task, "reason": "no"}));
    let run = ended(&mut client, run);
    assert_eq!(run["state"], "done");
}
