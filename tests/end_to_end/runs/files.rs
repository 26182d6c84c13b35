//! Results of steps as files: `{{ steps.ID.file }}`.

use super::{carried_out, ended, items, start, step};
use crate::common::{Client, until};
use crate::workspaces::field::{Agents, Field};
use serde_json::{Value, json};
use std::path::PathBuf;

/// A pool `p` of shell scripts, whose folders are of this kind, and a pool `echo`.
fn agents(field: &Field, workspace: &str, more: &str) -> Agents {
    let setup = field
        .configured("", more)
        .set(&format!("pool.p.workspace={workspace}"))
        .set("hub.trust_all_tools=true")
        .set("pool.echo.provider=echo")
        .set("pool.echo.size=4");
    Agents { hub: setup.start() }
}

/// The result of the only item of a step.
fn result(client: &mut Client, run: &Value, path: &str) -> String {
    let all = items(client, run["task_id"].as_i64().unwrap(), path);
    all[0]["result"].as_str().unwrap_or_default().to_owned()
}

/// The task of the only item of a step.
fn task_of(run: &Value, path: &str) -> i64 {
    step(run, path)["task_id"].as_i64().unwrap()
}

#[test]
fn all_results_of_a_map_are_lines_of_a_file_for_the_next_step() {
    let field = Field::new();
    let hub = agents(&field, "shared", "trust_all_tools=true").hub;
    let plan = r#"
inputs: { words: { type: list } }
pipeline:
  - id: read
    pool: echo
    map: { over: inputs.words, key: '{{ item[:4] }}' }
    prompt: '{{ item }}'
  - id: count
    pool: p
    depends_on: [read]
    prompt: "f={{ steps.read.file }}; wc -l <$f; stat -c '%a' $f; grep -c x..éx $f; sed -n 3p $f; stat -c %s $f; echo $f"
  - { id: tool, pool: p, depends_on: [read], run: [wc, -l, '{{ steps.read.file }}'] }
  - { id: all, reduce: { of: read, into: json } }
  - { id: plain, reduce: { of: read, into: concat } }
  - id: check
    pool: p
    depends_on: [all, plain, count]
    prompt: "python3 -c 'import json, sys; print(len(json.load(open(sys.argv[1]))), len(open(sys.argv[2]).read().split()))' {{ steps.all.file }} {{ steps.plain.file }}; cat {{ steps.count.file }}"
"#;
    let mut words: Vec<String> = (0..300).map(|n| format!("w{n:03}")).collect();
    words[7].push_str(&"x\"é".repeat(200_000));
    let (mut client, run) = carried_out(&hub, plan, json!({"inputs": {"words": words}}));
    assert_eq!(run["state"], "done", "{run:#}");
    let told = result(&mut client, &run, "count");
    let lines: Vec<&str> = told.lines().collect();
    let third = r#"{"key":"w002","result":"w002","state":"done"}"#;
    assert_eq!(lines[..4], ["300", "444", "1", third][..], "{told}");
    // The large result is longer than one piece.
    assert!(lines[4].parse::<u64>().unwrap() > 1_000_000, "{told}");
    let started = format!(".kirosu/results/run-{}-", run["task_id"]);
    assert!(lines[5].starts_with(&started) && lines[5].ends_with("/read.jsonl"));
    let tool = result(&mut client, &run, "tool");
    assert_eq!(tool.trim(), format!("300 {}", lines[5]));
    let checked = result(&mut client, &run, "check");
    assert_eq!(checked.trim(), format!("300 300\n{}", told.trim()));
    // Nothing that git would commit.
    assert_eq!(field.git("status --porcelain"), "");
    let left = std::fs::read_dir(field.repository().join(lines[5]).parent().unwrap()).unwrap();
    let mut left: Vec<String> = left
        .map(|it| it.unwrap().file_name().into_string().unwrap())
        .collect();
    left.sort();
    assert_eq!(left, ["all.json", "count.txt", "plain.txt", "read.jsonl"]);
}

#[test]
fn the_result_of_a_batch_is_in_the_line_of_its_first_item() {
    let field = Field::new();
    let hub = agents(&field, "shared", "").hub;
    let plan = r#"
inputs: { words: { type: list } }
pipeline:
  - id: read
    pool: echo
    map: { over: inputs.words, batch: 200 }
    prompt: '{{ items | join(" ") }} {{ "x" * 700000 }}'
  - { id: all, reduce: { of: read, into: json } }
  - { id: lines, pool: p, depends_on: [read], prompt: "grep -n result {{ steps.read.file }} | cut -c1-22; sed -n 450p {{ steps.read.file }}; wc -l <{{ steps.read.file }}" }
  - { id: list, pool: p, depends_on: [all], prompt: "python3 -c 'import json, sys; print([len(it.split()) for it in json.load(open(sys.argv[1]))])' {{ steps.all.file }}" }
"#;
    let words: Vec<String> = (0..450).map(|n| format!("w{n}")).collect();
    let (mut client, run) = carried_out(&hub, plan, json!({"inputs": {"words": words}}));
    assert_eq!(run["state"], "done", "{run:#}");
    let told = result(&mut client, &run, "lines");
    let lines: Vec<&str> = told.lines().map(str::trim).collect();
    let shared = r##"{"key":"#450","same_as":"#401","state":"done"}"##;
    let firsts = [1, 201, 401].map(|n| format!(r##"{n}:{{"key":"#{n}","result""##));
    assert_eq!(lines.len(), 5, "{told}");
    for (line, first) in lines.iter().zip(&firsts) {
        assert!(first.starts_with(line) || line.starts_with(first), "{told}");
    }
    assert_eq!(lines[3..], [shared, "450"]);
    assert_eq!(result(&mut client, &run, "list").trim(), "[201, 201, 51]");
}

#[test]
fn failed_items_and_earlier_passes_have_files_too() {
    let field = Field::new();
    let hub = agents(&field, "ephemeral", "size=2").hub;
    let plan = r#"
pipeline:
  - id: read
    pool: p
    may_fail: true
    max_attempts: 1
    map: { over: ["echo one", "echo two >&2; exit 3"] }
    prompt: "{{ item }}"
  - { id: tell, pool: p, depends_on: [read], prompt: "cat {{ steps.read.file }}" }
  - id: polish
    loop: { max: 2, on_max: done }
    steps:
      - { id: write, pool: p, prompt: "cat {{ prev.write.file or '/dev/null' }}; echo pass" }
"#;
    let (mut client, run) = carried_out(&hub, plan, json!({}));
    assert_eq!(run["state"], "partial", "{run:#}");
    let told = result(&mut client, &run, "tell");
    let lines: Vec<Value> = told
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(
        lines[0],
        json!({"key": "#1", "state": "done", "result": "one"})
    );
    assert_eq!(
        (&lines[1]["key"], &lines[1]["state"]),
        (&json!("#2"), &json!("failed"))
    );
    assert!(lines[1]["error"].as_str().unwrap().contains("two"));
    assert_eq!(result(&mut client, &run, "polish[2].write"), "passpass");
}

#[test]
fn tasks_of_a_run_share_a_file_and_a_changed_one_is_written_again() {
    let field = Field::new();
    let hub = agents(&field, "shared", "size=4").hub;
    let plan = r#"
pipeline:
  - { id: a, pool: echo, prompt: "{{ 'text ' * 60000 }}" }
  - id: sums
    pool: p
    depends_on: [a]
    map: { over: [1, 2, 3, 4, 5, 6, 7, 8], breaker: 1000 }
    prompt: "sha256sum <{{ steps.a.file }}; stat -c %i {{ steps.a.file }}"
  - id: change
    pool: p
    depends_on: [sums]
    prompt: "f={{ steps.a.file }}; cp $f other; chmod u+w other; echo more >>other; mv -f other $f"
  - { id: again, pool: p, depends_on: [change], prompt: "sha256sum <{{ steps.a.file }}" }
"#;
    let (mut client, run) = carried_out(&hub, plan, json!({}));
    assert_eq!(run["state"], "done", "{run:#}");
    let all = items(&mut client, run["task_id"].as_i64().unwrap(), "sums");
    let first = all[0]["result"].as_str().unwrap();
    for item in &all {
        assert_eq!(item["result"], first, "one file for all");
    }
    let again = result(&mut client, &run, "again");
    assert_eq!(first.lines().next(), Some(again.trim()));
}

#[test]
fn a_file_is_none_of_the_changes_in_a_worktree() {
    let field = Field::new().file("a.txt", "one\n");
    field.commit("start");
    let hub = agents(&field, "worktree", "");
    let plan = r#"
pipeline:
  - { id: a, pool: echo, prompt: "a result" }
  - id: b
    pool: p
    depends_on: [a]
    prompt: "cat {{ steps.a.file }} >copy; git status --porcelain; rm .kirosu/results/.gitignore"
"#;
    let (mut client, run) = carried_out(&hub.hub, plan, json!({}));
    assert_eq!(run["state"], "done", "{run:#}");
    assert_eq!(result(&mut client, &run, "b"), "?? copy");
    let task = task_of(&run, "b");
    let diff = hub.cli(&format!("diff {task}"));
    assert!(diff.contains("+a result"), "{diff}");
    assert!(!diff.contains(".kirosu"), "{diff}");
    let files = field.git(&format!("ls-tree -r --name-only kirosu/task-{task}"));
    assert_eq!(files, "a.txt\ncopy");
    let kept = hub.get(task)["printed"].to_string();
    assert!(!kept.contains("not on the branch"), "{kept}");
    hub.cli(&format!("apply {task}"));
    assert_eq!(field.read("copy").trim(), "a result");
    assert_eq!(hub.json("workspaces --prune")["removed"], json!([task]));
}

#[test]
fn a_link_leads_no_file_elsewhere() {
    let field = Field::new();
    let hub = agents(&field, "isolated", "size=1").hub;
    let outside = field.setup.directory.path().join("outside");
    std::fs::create_dir(&outside).unwrap();
    let is_empty = || std::fs::read_dir(&outside).unwrap().next().is_none();
    let plan = |script: &str| {
        let script = script.replace("OUTSIDE", &outside.display().to_string());
        format!(
            "
pipeline:
  - {{ id: a, pool: p, prompt: '{script}' }}
  - {{ id: b, pool: p, max_attempts: 1, depends_on: [a], prompt: 'cat {{{{ steps.a.file }}}}' }}
"
        )
    };
    let (mut client, run) = carried_out(&hub, &plan("ln -s OUTSIDE .kirosu; echo x"), json!({}));
    assert_eq!(run["state"], "failed", "{run:#}");
    let task = client.task(task_of(&run, "b"));
    let error = task["error"].as_str().unwrap();
    assert!(
        error.starts_with("the result of the step a cannot be written to .kirosu/results/run-"),
        "{error}"
    );
    assert!(
        error.ends_with(".kirosu: it is a symbolic link, which is not followed"),
        "{error}"
    );
    let got = client.call("get", json!({"task_id": task["task_id"]}));
    assert_eq!(got["attempts"][0]["outcome"], "provider_error", "{got:#}");
    assert!(is_empty());
    // The folder of the results is Kirosu's own: a link in its place is removed.
    let script = "rm -f .kirosu; mkdir .kirosu; ln -s OUTSIDE .kirosu/results; echo y";
    let (mut client, run) = carried_out(&hub, &plan(script), json!({}));
    assert_eq!(run["state"], "done", "{run:#}");
    assert_eq!(result(&mut client, &run, "b"), "y");
    assert!(is_empty());
}

#[test]
fn only_the_task_of_a_step_that_names_a_file_has_it() {
    let field = Field::new();
    let hub = agents(&field, "shared", "").hub;
    let plan = "
pipeline:
  - { id: a, pool: echo, prompt: secret }
  - { id: b, pool: unserved, depends_on: [a], prompt: '{{ steps.a.file }}' }
  - { id: c, pool: other, depends_on: [a], prompt: 'x' }
";
    let mut client = hub.client();
    let run = start(&mut client, plan, json!({}));
    let mut session = hub.session("s");
    let mut lease = |queue: &str| {
        until("the task is leased", || {
            let leased = session.call("lease", json!({"worker_id": "s", "queues": [queue]}));
            Some(leased["tasks"][0].clone()).filter(|task| !task.is_null())
        })
    };
    let (own, other) = (lease("unserved"), lease("other"));
    let files = &own["metadata"]["run"]["files"];
    assert_eq!(
        (&files[0]["step"], &files[0]["path"]),
        (&json!("a"), &own["prompt"])
    );
    assert_eq!(other["metadata"]["run"]["files"], Value::Null);
    let ask = |task: &Value, step: &str| json!({"task_id": task["task_id"], "fence": task["fence"], "step": step});
    let piece = session.call("run_file", ask(&own, "a"));
    assert_eq!(
        (&piece["text"], &piece["version"]),
        (&json!("secret"), &files[0]["version"])
    );
    let word = |refused: Value| refused["data"]["code"].as_str().unwrap().to_owned();
    assert_eq!(
        word(session.refused("run_file", ask(&own, "c"))),
        "forbidden"
    );
    assert_eq!(
        word(session.refused("run_file", ask(&other, "a"))),
        "forbidden"
    );
    let mut stranger = hub.session("t");
    assert_eq!(
        word(stranger.refused("run_file", ask(&own, "a"))),
        "stale_lease"
    );
    assert_eq!(
        word(client.refused("run_file", ask(&own, "a"))),
        "stale_lease"
    );
    // A client writes the same metadata.
    let forged = client.enqueue_with(json!({
        "prompt": "true", "queue": "p", "parent_id": run, "max_attempts": 1, "metadata": own["metadata"],
    }));
    let task = until("it has failed", || {
        Some(client.task(forged)).filter(|task| task["status"] == "failed")
    });
    let error = task["error"].as_str().unwrap();
    assert!(
        error.contains("is not one whose step names the file of the step a"),
        "{error}"
    );
    client.call("cancel", json!({"task_id": run}));
    ended(&mut client, run);
    let folder: PathBuf = field.repository().join(own["prompt"].as_str().unwrap());
    assert!(!folder.exists());
}
