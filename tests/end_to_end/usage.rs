//! Usage and budgets of runs: the built binary, programs that report their tokens, and the users' views of them.

use crate::common::{Client, Hub, Setup, until, word};
use serde_json::{Value, json};
use std::process::{Command, Stdio};

/// Seconds of a budget's window here.
const WINDOW: f64 = 2.0;

/// `kirosu up` whose pool `p` runs each prompt as a shell script. The output of a script is read as JSON lines; `usage` is a
/// running total, or, with `delta`, is added up.
fn setup(mode: &str) -> Setup {
    let output = format!(
        r#"{{ format = "jsonl", text = {{ match = {{ "/t" = "text" }}, value = "/v" }}, done = {{ match = {{ "/t" = "done" }} }}, usage = {{ match = {{ "/t" = "usage" }}, input = "/in", output = "/out", cost = "/usd", mode = "{mode}", cost_mode = "{mode}" }} }}"#
    );
    Setup::new()
        .up()
        .set("providers.sh.kind=command")
        .set("providers.sh.command=[\"sh\"]")
        .set(&format!("providers.sh.output={output}"))
        .set("pool.p.provider=sh")
        .set("pool.p.model=tiny-1")
        .set("pool.p.size=2")
}

/// A line of a script that reports usage.
fn tell(input: u64, output: u64, usd: f64) -> String {
    format!("echo '{{\"t\":\"usage\",\"in\":{input},\"out\":{output},\"usd\":{usd}}}'\n")
}

const DONE: &str = "echo '{\"t\":\"text\",\"v\":\"fine\"}'\necho '{\"t\":\"done\"}'\n";

/// A script that counts its runs in a file of the home directory, as `$n`.
fn counted(name: &str) -> String {
    format!("n=$(cat ~/{name} 2>/dev/null || echo 0); n=$((n+1)); echo $n > ~/{name}\n")
}

/// The built binary as a client of that hub; its standard output.
fn kirosu(hub: &Hub, arguments: &[&str]) -> String {
    let done = Command::new(env!("CARGO_BIN_EXE_kirosu"))
        .args(arguments)
        .env("KIRO_SWARM_PORT", hub.port.to_string())
        .env("KIRO_SWARM_HOST", "127.0.0.1")
        .env_remove("KIRO_SWARM_KEY")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "{arguments:?}: {said}");
    String::from_utf8(done.stdout).unwrap()
}

fn usage(hub: &Hub, arguments: &[&str]) -> Value {
    let text = kirosu(hub, &[&["usage", "--json"], arguments].concat());
    serde_json::from_str(&text).unwrap()
}

fn finished(client: &mut Client, ids: &[i64]) {
    let ended = client.call("wait", json!({"task_ids": ids, "timeout_seconds": 30}));
    assert_eq!(ended["finished"], true, "{ended}");
}

fn state_of(client: &mut Client, id: i64) -> String {
    client.call("get", json!({"task_id": id}))["task"]["status"]
        .as_str()
        .unwrap()
        .to_owned()
}

fn becomes(client: &mut Client, id: i64, state: &str) -> Value {
    until(&format!("task {id} is {state}"), || {
        (state_of(client, id) == state).then_some(())
    });
    client.call("get", json!({"task_id": id}))
}

#[test]
fn what_three_attempts_used_adds_up_everywhere() {
    // A running total says 60, then 150; deltas say 60 and 90 more.
    for (mode, second) in [("running", 150), ("delta", 90)] {
        let hub = setup(mode)
            .set("gateway.enabled=true")
            .set("gateway.port=0")
            .start();
        let mut client = hub.client();
        let usd = if mode == "running" { 0.03 } else { 0.02 };
        let script = counted("runs")
            + &tell(60, 5, 0.01)
            + &tell(second, if mode == "running" { 12 } else { 7 }, usd)
            + "test $n -ge 3 || exit 1\n"
            + DONE;
        let task = client.enqueue_with(json!({"prompt": script, "max_attempts": 3, "retry": {"initial_seconds": 0.01, "max_seconds": 0.01}}));
        finished(&mut client, &[task]);
        assert_eq!(state_of(&mut client, task), "done");
        for by in ["provider", "pool", "model", "day", "task"] {
            let told = usage(&hub, &["--by", by]);
            assert_eq!(told["rows"].as_array().unwrap().len(), 1, "{told}");
            for sum in [&told["rows"][0], &told["total"]] {
                assert_eq!(sum["attempts"], 3, "{mode} {told}");
                assert_eq!(sum["input_tokens"], 450, "{mode} {told}");
                assert_eq!(sum["output_tokens"], 36, "{mode} {told}");
                assert!(
                    (sum["cost_usd"].as_f64().unwrap() - 0.09).abs() < 1e-9,
                    "{told}"
                );
            }
            let key = told["rows"][0]["key"].as_str().unwrap().to_owned();
            match by {
                "provider" => assert_eq!(key, "sh"),
                "pool" => assert_eq!(key, "p"),
                "model" => assert_eq!(key, "tiny-1"),
                "task" => assert_eq!(key, task.to_string()),
                _ => assert_eq!(key.len(), "2026-11-22".len()),
            }
        }
        let piped = kirosu(&hub, &["usage"]);
        assert_eq!(
            piped,
            "sh\t3\t450\t0\t0\t36\t0.090000\ntotal\t3\t450\t0\t0\t36\t0.090000\n"
        );
        let got = kirosu(&hub, &["get", &task.to_string()]);
        assert!(got.contains("450 in, 36 out, $0.0900"), "{got}");
        let metrics = client.call("metrics", json!({})).to_string();
        assert!(metrics.contains(r#""kirosu_cost_usd_total""#), "{metrics}");
        assert!(
            metrics.contains(r#"{"kind":"input","model":"tiny-1","provider":"sh"}"#),
            "{metrics}"
        );
        let rest =
            crate::common::http::get(&crate::common::process::address(&hub), "/usage?by=pool");
        assert_eq!(
            (rest.status, rest.json()),
            (200, usage(&hub, &["--by", "pool"]))
        );
        // Days that are to come have nothing in them.
        let none = usage(&hub, &["--since", "2999-01-01"]);
        assert_eq!(
            (&none["rows"], &none["total"]["attempts"]),
            (&json!([]), &json!(0))
        );
    }
}

/// Three tasks that use up the budget each: one a window runs, the others wait and are woken, and nothing else happens.
fn one_a_window(setting: &str, scope: &str) {
    let hub = setup("running")
        .set(setting)
        .set("pool.p.reserve_tokens=100")
        .start();
    let mut client = hub.client();
    let script = tell(100, 0, 0.0) + DONE;
    let ids: Vec<i64> = (0..3).map(|_| client.enqueue(&script)).collect();
    let pool = until("the pool says why it waits", || {
        let pools = client.call("pools", json!({}));
        let pool = pools["pools"][0].clone();
        (pool["state"] == "budget_exhausted").then_some(pool)
    });
    let note = pool["note"].as_str().unwrap();
    assert!(note.contains("used up (100 of 100 tokens)"), "{note}");
    finished(&mut client, &ids);
    let mut windows: Vec<i64> = ids
        .iter()
        .map(|id| {
            let got = client.call("get", json!({"task_id": id}));
            assert_eq!(
                (&got["task"]["status"], &got["task"]["attempts"]),
                (&json!("done"), &json!(1)),
                "{got}"
            );
            (got["task"]["finished_at"].as_f64().unwrap() / WINDOW).floor() as i64
        })
        .collect();
    windows.sort_unstable();
    windows.dedup();
    assert_eq!(windows.len(), 3, "{setting}: two ran in one window");
    let told = usage(&hub, &[]);
    assert_eq!(told["budgets"][0]["scope"], scope, "{told}");
    assert_eq!(told["budgets"][0]["tokens"]["limit"], 100.0, "{told}");
    assert_eq!(told["total"]["input_tokens"], 300, "{told}");
    let log = hub.log();
    assert!(log.contains("takes no tasks: the budget of"), "{log}");
    assert!(log.contains("takes tasks again"), "{log}");
}

#[test]
fn a_used_up_budget_of_a_pool_parks_it_until_it_is_full_again() {
    one_a_window("pool.p.budget={ tokens = 100, per = \"2s\" }", "pool:p");
}

#[test]
fn a_used_up_budget_of_a_provider_parks_its_pool_until_it_is_full_again() {
    one_a_window(
        "providers.sh.budget={ tokens = 100, per = \"2s\" }",
        "provider:sh",
    );
}

#[test]
fn a_used_up_budget_of_the_hub_parks_until_it_is_full_again() {
    let hub = setup("running")
        .set("budget.tokens=100")
        .set("budget.per=2s")
        .set("pool.p.reserve_tokens=100")
        .start();
    let mut client = hub.client();
    let script = tell(100, 0, 0.0) + DONE;
    let ids: Vec<i64> = (0..2).map(|_| client.enqueue(&script)).collect();
    finished(&mut client, &ids);
    let ends: Vec<i64> = ids
        .iter()
        .map(|id| {
            let got = client.call("get", json!({"task_id": id}));
            (got["task"]["finished_at"].as_f64().unwrap() / WINDOW).floor() as i64
        })
        .collect();
    assert_ne!(ends[0], ends[1]);
    assert_eq!(usage(&hub, &[])["budgets"][0]["scope"], "hub");
}

#[test]
fn a_task_that_uses_more_than_it_may_is_ended_and_waits_for_a_person() {
    let hub = setup("running").start();
    let mut client = hub.client();
    // The first run would go on for a minute; the second is modest.
    let script = counted("runs")
        + "if test $n -eq 1; then\n"
        + &tell(150, 0, 0.0)
        + "sleep 60\nfi\n"
        + &tell(20, 0, 0.0)
        + DONE;
    let budget = json!({"tokens": 100});
    let task = client.enqueue_with(json!({"prompt": script, "budget": budget}));
    let got = becomes(&mut client, task, "awaiting_approval");
    let attempt = &got["attempts"][0];
    assert_eq!(attempt["outcome"], "budget_exhausted", "{got}");
    let why = attempt["error"].as_str().unwrap();
    assert!(
        why.contains("the budget of task") && why.contains("150 of 100 tokens"),
        "{why}"
    );
    assert_eq!(attempt["usage"]["input_tokens"], 150, "{got}");
    let id = task.to_string();
    let standing = &usage(&hub, &["--task", &id])["budgets"][0]["tokens"];
    assert_eq!(
        (&standing["used"], &standing["reserved"]),
        (&json!(150.0), &json!(0.0))
    );
    kirosu(&hub, &["approve", &id]);
    finished(&mut client, &[task]);
    assert_eq!(state_of(&mut client, task), "done");
    let told = usage(&hub, &["--task", &id]);
    let standing = &told["budgets"][0]["tokens"];
    assert_eq!(
        *standing,
        json!({"limit": 200.0, "used": 170.0, "reserved": 0.0, "left": 30.0})
    );
    assert_eq!(told["total"]["attempts"], 2);
}

#[test]
fn a_tree_of_tasks_shares_what_its_root_was_given() {
    let hub = setup("running").start();
    let mut client = hub.client();
    let script = tell(30, 0, 0.75) + DONE;
    let enqueue = |more: &[&str]| -> i64 {
        let said = kirosu(&hub, &[&["enqueue", &script, "--json"], more].concat());
        serde_json::from_str::<Value>(&said).unwrap()["task_id"]
            .as_i64()
            .unwrap()
    };
    let root = enqueue(&["--tree-budget", "1.50usd"]);
    finished(&mut client, &[root]);
    let part = enqueue(&["--parent", &root.to_string()]);
    finished(&mut client, &[part]);
    // The grandchild finds nothing left and never runs.
    let last = enqueue(&["--parent", &part.to_string()]);
    let got = becomes(&mut client, last, "awaiting_approval");
    assert_eq!(got["task"]["budget_trees"], json!([root]));
    assert_eq!(got["attempts"][0]["usage"], Value::Null, "{got}");
    let tree = usage(&hub, &["--tree", &root.to_string(), "--by", "task"]);
    assert_eq!(tree["rows"].as_array().unwrap().len(), 2, "{tree}");
    assert_eq!(tree["budgets"][0]["usd"]["left"], 0.0, "{tree}");
    kirosu(&hub, &["approve", &last.to_string()]);
    finished(&mut client, &[last]);
    let tree = usage(&hub, &["--tree", &root.to_string()]);
    assert_eq!(tree["total"]["cost_usd"], 2.25, "{tree}");
    assert_eq!(tree["budgets"][0]["usd"]["limit"], 3.0, "{tree}");
}

#[test]
fn a_run_whose_budget_is_used_up_waits_and_goes_on_when_it_is_raised() {
    let setup = setup("running");
    let prompt = tell(30, 0, 0.75) + DONE;
    let inner = format!(
        "pipeline: [{{ id: n, map: {{ over: [1, 2], concurrency: 1 }}, prompt: {} }}]",
        json!(prompt)
    );
    let plan = format!(
        "limits: {{ usd: 1.5 }}\npipeline: [{{ id: m, map: {{ over: [1, 2, 3], concurrency: 1 }}, prompt: {} }}, {{ id: s, depends_on: [m], pipeline: inner }}]",
        json!(prompt)
    );
    let hub = setup.start();
    let mut client = hub.client();
    let run = client.enqueue_with(
        json!({"type": "plan", "prompt": plan, "metadata": {"plans": {"inner": inner}}}),
    );
    let waits = |client: &mut Client| {
        let shown = client.call("run", json!({"task_id": run}));
        let reason = shown["reason"].as_str().unwrap_or_default().to_owned();
        (shown["state"] == "waiting").then_some(reason)
    };
    let reason = until("it waits for its budget", || waits(&mut client));
    assert_eq!(
        reason,
        format!("budget: 1 tasks wait because it is used up: `kirosu run approve {run}` raises it")
    );
    let said = kirosu(&hub, &["run", "explain", &run.to_string()]);
    assert!(
        said.contains("1.5 of the 1.5 USD of its budget are used"),
        "{said}"
    );
    assert!(
        said.contains(&format!("  kirosu run approve {run} --tokens")),
        "{said}"
    );
    let items = client.call("run_items", json!({"task_id": run, "state": "done"}));
    assert_eq!(items["items"].as_array().unwrap().len(), 2, "{items}");
    // Enough for the third item; then the run below waits.
    let said = kirosu(&hub, &["run", "approve", &run.to_string(), "--usd", "0.8"]);
    assert!(said.contains("is raised by 0.8 USD"), "{said}");
    let below = until("the run below waits for the budget of this one", || {
        let shown = client.call("run", json!({"task_id": run}));
        let below = shown["steps"]
            .as_array()?
            .iter()
            .find(|step| step["path"] == "s")?["task_id"]
            .as_i64()?;
        let below = client.call("run", json!({"task_id": below}));
        (below["state"] == "waiting").then_some(below)
    });
    assert!(
        below["reason"].as_str().unwrap().starts_with("budget: "),
        "{below}"
    );
    kirosu(&hub, &["run", "approve", &run.to_string(), "--usd", "10"]);
    let ended = until("the run ends", || {
        let shown = client.call("run", json!({"task_id": run}));
        (shown["state"] == "done").then_some(shown)
    });
    assert_eq!(ended["steps"][0]["done"], 3);
    let tree = usage(&hub, &["--tree", &run.to_string()]);
    assert_eq!(tree["budgets"][0]["usd"]["limit"], 12.3, "{tree}");
    let refused = client.refused("run_pause", json!({"task_id": run}));
    assert_eq!(word(&refused), "wrong_state");
    // A run without a budget has nothing to raise.
    let free = client.enqueue_with(
        json!({"type": "plan", "prompt": "pipeline: [{ id: a, pool: nowhere, prompt: x }]"}),
    );
    until("it has begun", || {
        let shown = client.call("run", json!({"task_id": free}));
        (shown["state"] == "open").then_some(())
    });
    let refused = client.refused("approve", json!({"task_id": free, "raise": {"usd": 1.0}}));
    assert!(
        refused["message"].as_str().unwrap().contains("no budget"),
        "{refused}"
    );
}

#[test]
fn a_dry_run_estimates_from_earlier_runs_and_leaves_an_id() {
    let hub = setup("running").start();
    let mut client = hub.client();
    let home = hub.setup.directory.path().to_owned();
    let plan = format!(
        "name: report\npipeline: [{{ id: m, map: {{ over: {{ lines: items.txt }} }}, prompt: {} }}]",
        json!(tell(30, 3, 0.25) + DONE + "# {{ item }}")
    );
    std::fs::write(home.join("plan.yaml"), plan).unwrap();
    std::fs::write(home.join("items.txt"), "one\ntwo\n").unwrap();
    let dry = |file: &str| -> Value {
        let done = hub.cli(&["run-pipeline", "--file", file, "--dry-run", "--json"]);
        assert!(done.status.success(), "{done:?}");
        serde_json::from_slice(&done.stdout).unwrap()
    };
    let first = dry("plan.yaml");
    assert_eq!(
        (&first["tokens"], &first["usd"]),
        (&Value::Null, &Value::Null),
        "{first}"
    );
    let run = hub.cli(&["run-pipeline", "--file", "plan.yaml", "--wait"]);
    assert!(run.status.success(), "{run:?}");
    std::fs::write(home.join("items.txt"), "one\ntwo\nthree\nfour\n").unwrap();
    let second = dry("plan.yaml");
    assert_eq!(
        (&second["tokens"], &second["usd"]),
        (&json!(4 * 33), &json!(1.0)),
        "{second}"
    );
    assert_eq!(second["history"]["runs"], json!([1]));
    let told = hub.cli(&["run-pipeline", "--file", "plan.yaml", "--dry-run"]);
    let told = String::from_utf8_lossy(&told.stdout).into_owned();
    assert!(
        told.contains(
            "by earlier runs of this plan (1): at least 132 to 132 tokens, 1.00 to 1.00 USD"
        ),
        "{told}"
    );

    // The id starts what was shown, also if the plan has changed since, but not with other items.
    std::fs::write(
        home.join("plan.yaml"),
        "pipeline: [{ id: other, prompt: x }]",
    )
    .unwrap();
    let id = second["id"].as_str().unwrap();
    let started = hub.cli(&["run-pipeline", "--id", id, "--wait"]);
    assert!(started.status.success(), "{started:?}");
    assert_eq!(
        String::from_utf8_lossy(&started.stdout).lines().count(),
        4,
        "{started:?}"
    );
    let before = client.call("stats", json!({}))["stats"]["total_tasks"].clone();
    std::fs::write(home.join("items.txt"), "five\n").unwrap();
    let changed = hub.cli(&["run-pipeline", "--id", id]);
    let said = String::from_utf8_lossy(&changed.stderr).into_owned();
    assert!(
        !changed.status.success() && said.contains("changed since the dry run"),
        "{said}"
    );
    assert_eq!(
        client.call("stats", json!({}))["stats"]["total_tasks"],
        before
    );
    let unknown = hub.cli(&["run-pipeline", "--id", "123abc"]);
    let said = String::from_utf8_lossy(&unknown.stderr).into_owned();
    assert!(said.contains("there is no dry run 123abc"), "{said}");
}

#[test]
fn pools_without_budgets_ask_for_nothing() {
    let hub = setup("running").start();
    let mut client = hub.client();
    let task = client.enqueue(&(tell(10, 1, 0.0) + DONE));
    finished(&mut client, &[task]);
    assert_eq!(usage(&hub, &[])["budgets"], json!([]));
}

fn reserve(client: &mut Client, task: &Value, want: u64, limit: u64) -> Value {
    client.call(
        "reserve",
        json!({
            "task_id": task["task_id"], "fence": task["fence"], "want": {"tokens": want},
            "scopes": [{"scope": "pool:w", "tokens": limit}],
        }),
    )
}

fn lease(client: &mut Client, worker: &str) -> Value {
    let answer = client.call("lease", json!({"worker_id": worker, "wait_seconds": 20}));
    answer["tasks"][0].clone()
}

#[test]
fn kill_nine_between_reserve_and_ack_leaks_nothing() {
    let setup = Setup::new().set("lease.session_grace=1s");
    let hub = setup.start();
    let mut client = hub.session("s1");
    client.enqueue("x");
    let task = lease(&mut client, "w1");
    assert_eq!(reserve(&mut client, &task, 60, 100)["tokens"], 60);
    let budget = |hub: &Hub| usage(hub, &[])["budgets"][0]["tokens"].clone();
    hub.kill();
    let hub = setup.start();
    // The answered requests are durable; their clients do not return.
    assert_eq!(budget(&hub)["reserved"], 60.0);
    until("the lost session's reservation is given back", || {
        (budget(&hub)["reserved"] == 0.0).then_some(())
    });
    assert_eq!(budget(&hub)["used"], 0.0);
    let error = hub.client().refused(
        "reserve",
        json!({"task_id": task["task_id"], "fence": task["fence"], "want": {"tokens": 1}}),
    );
    assert_eq!(word(&error), "stale_lease");
}

#[test]
fn fifty_sessions_at_once_never_oversell() {
    let hub = Hub::start();
    let mut client = hub.client();
    for _ in 0..50 {
        client.enqueue("x");
    }
    let port = hub.port;
    let workers: Vec<_> = (0..50)
        .map(|n| {
            std::thread::spawn(move || {
                let mut client = Client::connect(port);
                let task = lease(&mut client, &format!("w{n}"));
                let answer = reserve(&mut client, &task, 30, 1000);
                let held = answer["tokens"].as_u64().unwrap();
                assert_eq!(answer["granted"].as_bool().unwrap(), held > 0, "{answer}");
                (client, task, held)
            })
        })
        .collect();
    let mut workers: Vec<_> = workers.into_iter().map(|it| it.join().unwrap()).collect();
    let granted: u64 = workers.iter().map(|(_, _, held)| held).sum();
    assert_eq!(granted, 1000, "33 of 30 and one of 10");
    let standing = |hub: &Hub| usage(hub, &[])["budgets"][0]["tokens"].clone();
    assert_eq!(standing(&hub)["reserved"], 1000.0);
    for (client, task, held) in &mut workers {
        let ack = json!({
            "task_id": task["task_id"], "fence": task["fence"], "status": "done", "result": "",
            "usage": {"input_tokens": held}, "pool": "w",
        });
        client.call("ack", ack);
    }
    let end = standing(&hub);
    assert_eq!(
        end,
        json!({"limit": 1000.0, "used": 1000.0, "reserved": 0.0, "left": 0.0})
    );
}

#[test]
fn what_a_run_used_before_kill_nine_counts() {
    let setup = setup("running")
        .set("lease.session_grace=1s")
        .set("pool.p.budget={ tokens = 1000 }");
    let hub = setup.start();
    let mut client = hub.client();
    let script = counted("runs")
        + &tell(70, 0, 0.5)
        + "if test $n -eq 1; then sleep 60; fi\n"
        + &tell(20, 0, 0.1)
        + DONE;
    let task = client.enqueue(&script);
    until("the run has told what it used", || {
        let got = client.call("get", json!({"task_id": task}));
        (got["progress"]["usage"]["input_tokens"] == 70).then_some(())
    });
    hub.kill();
    let hub = setup.start();
    let mut client = hub.client();
    finished(&mut client, &[task]);
    let got = client.call("get", json!({"task_id": task}));
    assert_eq!(got["attempts"][0]["outcome"], "lost", "{got}");
    assert_eq!(got["attempts"][0]["usage"]["input_tokens"], 70, "{got}");
    let told = usage(&hub, &["--by", "pool"]);
    assert_eq!(
        (&told["total"]["attempts"], &told["total"]["input_tokens"]),
        (&json!(2), &json!(90)),
        "{told}"
    );
    assert_eq!(told["rows"][0]["key"], "p", "{told}");
    let standing = &told["budgets"][0]["tokens"];
    assert_eq!(
        (&standing["used"], &standing["reserved"]),
        (&json!(90.0), &json!(0.0)),
        "{told}"
    );
}

#[test]
fn a_run_that_uses_up_its_pool_s_budget_is_ended_and_goes_on_when_it_is_full_again() {
    let hub = setup("running")
        .set("pool.p.budget={ tokens = 100, per = \"4s\" }")
        .set("pool.p.reserve_tokens=50")
        .start();
    let mut client = hub.client();
    // Within the budget it may reserve more; beyond it not.
    let script = counted("runs")
        + &tell(80, 0, 0.0)
        + "sleep 0.3\n"
        + "if test $n -eq 1; then\n"
        + &tell(130, 0, 0.0)
        + "sleep 60\nfi\n"
        + DONE;
    let task = client.enqueue(&script);
    finished(&mut client, &[task]);
    let got = client.call("get", json!({"task_id": task}));
    assert_eq!(got["task"]["status"], "done", "{got}");
    assert_eq!(got["attempts"][0]["outcome"], "budget_exhausted", "{got}");
    let why = got["attempts"][0]["error"].as_str().unwrap();
    assert!(
        why.contains("pool 'p'") && why.contains("130 of 100"),
        "{why}"
    );
    assert_eq!(got["task"]["attempts"], 2, "{got}");
    assert_eq!(usage(&hub, &[])["total"]["input_tokens"], 210);
}

#[test]
fn a_run_that_tells_with_its_end_that_it_used_too_much_keeps_its_answer() {
    let hub = setup("running").start();
    let mut client = hub.client();
    let script = tell(170, 0, 0.0) + DONE;
    let task = client.enqueue_with(json!({"prompt": script, "budget": {"tokens": 100}}));
    finished(&mut client, &[task]);
    let got = client.call("get", json!({"task_id": task}));
    assert_eq!(
        (&got["task"]["status"], &got["task"]["result"]),
        (&json!("done"), &json!("fine")),
        "{got}"
    );
    let told = usage(&hub, &["--task", &task.to_string()]);
    let standing = &told["budgets"][0]["tokens"];
    assert_eq!(
        *standing,
        json!({"limit": 100.0, "used": 170.0, "reserved": 0.0, "left": 0.0})
    );
    let log = hub.log();
    assert!(log.contains("used more than it had reserved"), "{log}");
}
