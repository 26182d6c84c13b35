//! `kirosu map`, `run-pipeline`, `runs` and `run`: runs of plans, from the command line to agents that run their prompts as
//! shell scripts.

use crate::common::process::shell;
use crate::common::{Hub, until};
use crate::people::kit::{command, fed, kirosu, parts, said};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::process::Stdio;

fn hub() -> Hub {
    shell().set("pool.p.size=4").start()
}

/// The folder in which commands run.
fn home(hub: &Hub) -> PathBuf {
    hub.setup.directory.path().to_owned()
}

fn write(hub: &Hub, file: &str, text: &str) {
    let path = home(hub).join(file);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}

/// Each line of a text as JSON.
fn lines(text: &str) -> Vec<Value> {
    let read = |line| serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}"));
    text.lines().map(read).collect()
}

/// A prompt that fails for the item `bad` until the file `fixed` exists in the commands' folder.
fn fragile(hub: &Hub) -> String {
    let fixed = home(hub).canonicalize().unwrap().join("fixed");
    let fixed = fixed.display();
    format!(
        "if [ {{{{ item }}}} = bad ] && [ ! -e {fixed} ]; then exit 1; fi; echo was {{{{ item }}}}"
    )
}

#[test]
fn sixty_files_become_one_report() {
    let hub = hub();
    for n in 1..=60 {
        write(&hub, &format!("docs/{n:02}/text.md"), &format!("text {n}"));
    }
    write(&hub, "docs/.hidden.md", "hidden");
    let reduce = "cat <<'END'\nparts: {{ results | length }}\n\
        {% for r in results %}{{ r.key }} {{ r.result }}\n{% endfor %}\nEND";
    let words = [
        "map",
        "--files",
        "docs/**/*.md",
        "--prompt",
        "echo '{{ item.text }}' | tr a-z A-Z",
        "--reduce",
        reduce,
    ];
    // 60 results are more than one task merges, so there are two levels.
    let (code, out, err) = parts(&kirosu(&hub, &words));
    assert_eq!(code, 0, "{err}");
    assert_eq!(out.lines().next(), Some("parts: 2"), "{out}");
    assert!(out.contains("docs/01/text.md TEXT 1"), "{out}");
    assert!(out.contains("docs/60/text.md TEXT 60"), "{out}");
    assert!(!out.contains("hidden"), "{out}");
    assert!(err.contains("map: done (60 of 60 done)"), "{err}");

    let runs: Value = serde_json::from_str(&said(&hub, &["runs", "--json"])).unwrap();
    let run = &runs["runs"][0];
    assert_eq!(
        (&run["state"], &run["name"]),
        (&json!("done"), &json!("map"))
    );
    let id = run["task_id"].to_string();
    assert_eq!(said(&hub, &["run", "result", &id]), out);
    let items = said(
        &hub,
        &["run", "items", &id, "--step", "map", "--results", "--jsonl"],
    );
    let items = lines(&items);
    assert_eq!(items.len(), 60);
    assert_eq!(items[59]["key"], "docs/60/text.md");
    assert_eq!(items[59]["result"], "TEXT 60");
    let shown = said(&hub, &["run", "show", &id]);
    assert!(
        shown.contains("map") && shown.contains("60 of 60 done"),
        "{shown}"
    );
}

#[test]
fn a_failed_item_is_named_with_the_command_that_repeats_it() {
    let hub = hub();
    write(&hub, "items.txt", "one\nbad\n\nthree\n");
    let prompt = fragile(&hub);
    let words = [
        "map",
        "--lines",
        "items.txt",
        "--key",
        "{{ item }}",
        "--prompt",
        &prompt,
    ];
    let (code, out, err) = parts(&kirosu(&hub, &words));
    assert_eq!(code, 3, "{err}");
    let printed = lines(&out);
    assert_eq!(printed[0], json!({"key": "one", "result": "was one"}));
    assert_eq!(printed[1]["key"], "bad");
    assert_eq!(printed[1]["class"], "provider_error");
    assert_eq!(printed[2], json!({"key": "three", "result": "was three"}));
    assert!(err.contains("1 item failed: 1 provider_error"), "{err}");
    assert!(err.contains("\n  bad: "), "{err}");
    let again = err
        .lines()
        .find_map(|line| line.strip_prefix("repeat what failed: kirosu "));
    let again: Vec<&str> = again.expect("the command").split(' ').collect();
    let [_, _, id, _] = again[..] else {
        panic!("{again:?}");
    };

    let failed = lines(&said(&hub, &["run", "items", id, "--failed", "--json"]));
    assert_eq!(failed.len(), 1, "{failed:?}");
    let (code, out, _) = parts(&kirosu(&hub, &["run", "result", id]));
    assert_eq!(code, 3);
    assert!(
        out.contains("was one") && out.contains("was three"),
        "{out}"
    );

    write(&hub, "fixed", "");
    said(&hub, &again);
    let (code, _, err) = parts(&kirosu(&hub, &["run", "wait", id]));
    assert_eq!(code, 0, "{err}");
    let items = lines(&said(&hub, &["run", "items", id, "--results", "--jsonl"]));
    let results: Vec<&Value> = items.iter().map(|item| &item["result"]).collect();
    assert_eq!(results, ["was one", "was bad", "was three"]);
    // One task per item, and one more for the item that failed.
    let run: Value = serde_json::from_str(&said(&hub, &["run", "show", id, "--json"])).unwrap();
    assert_eq!((&run["state"], &run["made"]), (&json!("done"), &json!(4)));
    let (code, _, err) = parts(&kirosu(&hub, &again));
    assert_eq!(code, 1);
    assert!(err.contains("nothing failed in run"), "{err}");
}

#[test]
fn items_are_json_lines_rows_and_standard_input() {
    let hub = hub();
    let json = |words: &[&str], input: &str| {
        let words = [&["map", "--json", "--prompt"], words].concat();
        let (code, out, err) = parts(&fed(&hub, &words, input));
        assert_eq!(code, 0, "{err}");
        let mut printed = lines(&out);
        let summary = printed.pop().expect("a summary");
        assert_eq!(summary["summary"]["state"], "done", "{summary}");
        let results = printed.iter().map(|line| line["result"].clone());
        (results.collect::<Vec<_>>(), summary["summary"].clone())
    };
    write(&hub, "people.csv", "name,note\nAda,\"one, two\"\nBob,x\n");
    let (results, summary) = json(
        &[
            "echo '{{ item.name }}: {{ item.note }}'",
            "--csv",
            "people.csv",
        ],
        "",
    );
    assert_eq!(results, ["Ada: one, two", "Bob: x"]);
    assert_eq!(
        (&summary["items"], &summary["done"]),
        (&json!(2), &json!(2))
    );

    write(
        &hub,
        "items.jsonl",
        "{\"a\":{\"b\":1}}\n\n{\"a\":{\"b\":2}}\n",
    );
    let (results, _) = json(&["echo {{ item.a.b + 1 }}", "--jsonl", "items.jsonl"], "");
    assert_eq!(results, ["2", "3"]);

    let (results, _) = json(&["echo {{ item }}", "--stdin", "lines"], "x\ny\n");
    assert_eq!(results, ["x", "y"]);
    let batch = ["echo {{ items | length }}", "--lines", "-", "--batch", "2"];
    let (results, summary) = json(&batch, "x\ny\nz\n");
    assert_eq!(results, ["2", "2", "1"]);
    assert_eq!(summary["items"], 3);

    // A fault in the items starts nothing.
    let (code, _, err) = parts(&fed(
        &hub,
        &["map", "--stdin", "jsonl", "--prompt", "x"],
        "1\n{oops\n",
    ));
    assert_eq!(code, 1);
    assert!(
        err.contains("line 2 of standard input is not JSON"),
        "{err}"
    );
    let (code, _, err) = parts(&kirosu(
        &hub,
        &["map", "--files", "none/*", "--prompt", "x"],
    ));
    assert_eq!(code, 1);
    assert!(err.contains("no file matches none/*"), "{err}");
    let runs: Value = serde_json::from_str(&said(&hub, &["runs", "--json"])).unwrap();
    assert_eq!(runs["runs"].as_array().unwrap().len(), 4);
}

const PLAN: &str = "
name: review
inputs:
  dir: { default: docs }
  times: { type: integer, required: true }
pipeline:
  - id: read
    map: { over: { files: \"{{ inputs.dir }}/*.md\" }, key: \"{{ item.path }}\" }
    prompt: \"echo {{ item.path }}{% for n in range(inputs.times) %} again{% endfor %}\"
  - id: sub
    depends_on: [read]
    pipeline: parts/sum.yaml
    inputs: { files: \"{{ steps.read.result }}\" }
  - { id: last, depends_on: [sub], prompt: \"echo 'sub: {{ steps.sub.result }}'\" }
";
const SUM: &str = "
inputs: { files: { required: true } }
pipeline:
  - { id: count, prompt: \"echo '{{ inputs.files }}' | wc -l\" }
";

#[test]
fn a_plan_runs_with_inputs_files_and_a_plan_of_its_own() {
    let hub = hub();
    write(&hub, "plans/review.yaml", PLAN);
    write(&hub, "plans/parts/sum.yaml", SUM);
    write(&hub, "texts/a.md", "a");
    write(&hub, "texts/b.md", "b");
    let start = |more: &[&str]| {
        let words = [
            "run-pipeline",
            "--file",
            "plans/review.yaml",
            "--input",
            "dir=texts",
        ];
        parts(&kirosu(&hub, &[&words, more].concat()))
    };
    let (code, _, err) = start(&["--input", "time=2"]);
    assert_eq!(code, 1);
    for part in [
        "no input time; did you mean times?",
        "the input times has no value",
    ] {
        assert!(err.contains(part), "{part} is not in {err}");
    }
    let (code, out, err) = start(&["--input", "times=2", "--dry-run"]);
    assert_eq!(code, 0, "{err}");
    assert!(out.contains("echo texts/a.md again again"), "{out}");
    assert!(out.contains("at least 5 tasks"), "{out}");
    let none: Value = serde_json::from_str(&said(&hub, &["runs", "--json"])).unwrap();
    assert_eq!(none["runs"], json!([]), "a dry run starts nothing");

    let (code, out, err) = start(&["--input", "times=2", "--wait", "--label", "night"]);
    assert_eq!(code, 0, "{err}");
    assert_eq!(out, "sub: 2\n", "{err}");
    for part in ["read: done (2 of 2 done)", "sub: done", "last: done"] {
        assert!(err.contains(part), "{part} is not in {err}");
    }

    // In a pipe only the number is printed, and a key starts one run only.
    let keyed = ["--input", "times=1", "--idempotency-key", "k"];
    let (code, id, err) = start(&keyed);
    assert_eq!((code, id.trim().parse::<i64>().is_ok()), (0, true), "{err}");
    write(&hub, "texts/c.md", "c");
    let (code, again, err) = start(&keyed);
    assert_eq!((code, &again), (0, &id), "{err}");
    assert!(err.contains("has this key already"), "{err}");
    let (code, out, err) = parts(&kirosu(&hub, &["run", "wait", id.trim(), "--json"]));
    assert_eq!(code, 0, "{err}");
    let run: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(run["result"], "sub: 2");
    assert_eq!(run["steps"][0]["total"], 2);

    let other = ["--input", "times=3", "--idempotency-key", "k"];
    let (code, _, err) = start(&other);
    assert_eq!(code, 1);
    assert!(err.contains("use another key"), "{err}");
}

#[test]
fn a_plan_of_a_planner_runs_from_standard_input() {
    let hub = hub();
    let plan = "Here it is:\n```yaml\npipeline:\n  - id: step_1\n    module: agents.coder\n    config: { prompt: echo hello }\n```\n";
    let words = ["run-pipeline", "--file", "-", "--wait"];
    let (code, out, err) = parts(&fed(&hub, &words, plan));
    assert_eq!((code, out.as_str()), (0, "hello\n"), "{err}");
    let (code, _, err) = parts(&fed(&hub, &words, "pipeline:\n- {id: a, promt: x}\n"));
    assert_eq!(code, 1);
    assert!(err.contains("-:2:11: "), "{err}");
    assert!(err.contains("did you mean prompt?"), "{err}");
}

#[test]
fn ctrl_c_leaves_the_run_which_is_paused_resumed_and_cancelled() {
    let hub = hub();
    let gate = home(&hub).canonicalize().unwrap().join("gate");
    let prompt = format!(
        "while [ ! -e {} ]; do sleep 0.05; done; echo {{{{ item }}}}",
        gate.display()
    );
    let numbers: String = (1..=30).map(|n| format!("{n}\n")).collect();
    write(&hub, "items.txt", &numbers);
    let words = ["map", "--lines", "items.txt", "--prompt", &prompt];
    let started = || {
        let mut map = command(&hub, &words)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary starts");
        let id = until("the run has tasks", || {
            let runs: Value = serde_json::from_str(&said(&hub, &["runs", "--json"])).unwrap();
            let is_open = |run: &&Value| run["state"] == "open" && run["made"] != 0;
            let run = runs["runs"].as_array()?.iter().find(is_open)?;
            Some(run["task_id"].to_string())
        });
        assert!(map.try_wait().unwrap().is_none());
        (map, id)
    };
    let (map, id) = started();
    kill_process(Pid::from_child(&map), Signal::INT).unwrap();
    let (code, out, err) = parts(&map.wait_with_output().unwrap());
    assert_eq!((code, out.as_str()), (130, ""), "{err}");
    let goes_on = format!("run {id} goes on; follow it with `kirosu run wait {id}`");
    assert!(err.contains(&goes_on), "{err}");

    let state = || {
        let shown = said(&hub, &["run", "show", &id, "--json"]);
        let run: Value = serde_json::from_str(&shown).unwrap();
        run["state"].as_str().unwrap().to_owned()
    };
    assert_eq!(state(), "open");
    said(&hub, &["run", "pause", &id]);
    assert_eq!(state(), "paused");
    let (code, _, err) = parts(&kirosu(&hub, &["run", "wait", &id, "--timeout", "0.1"]));
    assert_eq!(code, 4);
    assert!(err.contains("is still paused"), "{err}");
    said(&hub, &["run", "resume", &id]);
    write(&hub, "gate", "");
    let (code, _, err) = parts(&kirosu(&hub, &["run", "wait", &id]));
    assert_eq!(code, 0, "{err}");

    std::fs::remove_file(&gate).unwrap();
    let (map, id) = started();
    said(&hub, &["run", "cancel", &id, "--reason", "wrong folder"]);
    let (code, _, err) = parts(&map.wait_with_output().unwrap());
    assert_eq!(code, 3, "{err}");
    assert!(err.contains("cancelled: wrong folder"), "{err}");
    let cancelled = said(&hub, &["runs", "--state", "cancelled"]);
    assert!(cancelled.starts_with(&id), "{cancelled}");
}

#[test]
fn a_task_that_is_no_run_is_refused() {
    let hub = hub();
    let id = said(&hub, &["enqueue", "echo x"]);
    let id = id.trim();
    for command in [
        "show", "wait", "result", "items", "cancel", "pause", "resume", "retry",
    ] {
        let (code, _, err) = parts(&kirosu(&hub, &["run", command, id]));
        assert_eq!(code, 1, "{command}: {err}");
        assert!(err.contains("is not a run of a plan"), "{command}: {err}");
    }
}
