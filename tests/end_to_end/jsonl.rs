//! `kirosu db export` and `kirosu db import`: the whole store as JSON lines.

use crate::common::{Setup, ids, until};
use serde_json::{Value, json};
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

fn db(setup: &Setup, store: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kirosu"));
    command
        .args(["db", args[0], "--db", store.to_str().unwrap()])
        .args(&args[1..])
        .env_clear()
        .env("HOME", setup.directory.path())
        .current_dir(setup.directory.path());
    command.output().unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Writes lines into a file of the setup's folder.
fn lines(setup: &Setup, name: &str, lines: &[String]) -> PathBuf {
    let path = setup.directory.path().join(name);
    fs::write(&path, lines.concat()).unwrap();
    path
}

fn import(setup: &Setup, store: &Path, file: &Path, more: &[&str]) -> Output {
    let mut args = vec!["import", file.to_str().unwrap()];
    args.extend(more);
    db(setup, store, &args)
}

/// Tasks of [`filled`]: six, and that of the run's step.
const TASKS: i64 = 7;

/// A store with rows in most tables, after its hub was killed.
fn filled() -> Setup {
    let hub = Setup::new().start();
    let mut client = hub.client();
    let long = "long \u{1f600} ".repeat(100_000);
    client.enqueue_with(json!({"prompt": long, "labels": ["a", "b"], "idempotency_key": "k"}));
    client.enqueue_with(json!({"prompt": "zero \u{0} and \u{7f}\u{202e}", "priority": -3}));
    client.enqueue_with(json!({"prompt": "waits", "depends_on": [2], "parent_id": 1}));
    client.enqueue_with(json!({"prompt": "a person's", "requires_approval": true}));
    client.enqueue_with(json!({"prompt": "later", "delay_seconds": 5000}));
    client.enqueue_with(json!({"type": "plan", "prompt": "pipeline: [{id: say, prompt: hi}]"}));
    client.call(
        "schedule_add",
        json!({"name": "nightly", "cron": "0 3 * * *", "task": {"prompt": "p"}}),
    );
    client.call("key_add", json!({"name": "ada", "role": "observe"}));
    let leased = client.lease(json!({"worker_id": "w", "queues": ["default"], "max_tasks": 1}));
    let (id, fence) = (&leased["task_id"], &leased["fence"]);
    client.call(
        "output",
        json!({"task_id": id, "fence": fence, "chunk": 0, "text": "line\n"}),
    );
    client.call(
        "ask",
        json!({"task_id": id, "fence": fence, "call": "c", "tool": "shell", "options": [{"id": "o", "name": "Once"}]}),
    );
    let usage = json!({"input_tokens": 12, "cost_usd": 0.25});
    client.call(
        "ack",
        json!({"task_id": id, "fence": fence, "status": "done", "result": long, "usage": usage}),
    );
    client.call("pause", json!({"queue": "night"}));
    until("the run has the task of its step", || {
        let stats = &client.call("stats", json!({}))["stats"];
        (stats["total_tasks"] == TASKS).then_some(())
    });
    hub.kill()
}

#[test]
fn an_export_has_every_row_and_an_import_restores_it() {
    let setup = filled();
    let (store, other) = (
        setup.database(),
        setup.directory.path().join("new/other.db"),
    );
    let file = setup.directory.path().join("kirosu.jsonl");
    let exported = db(
        &setup,
        &store,
        &["export", "--out", file.to_str().unwrap(), "--json"],
    );
    assert!(exported.status.success(), "{exported:?}");
    let told: Value = serde_json::from_slice(&exported.stdout).unwrap();
    let text = fs::read_to_string(&file).unwrap();
    assert_eq!(told["rows"], text.lines().count() - 2);
    for table in [
        "task",
        "task_input",
        "attempt",
        "task_label",
        "dependency",
        "child",
        "output",
        "text_piece",
        "schedule",
        "credential",
        "usage_task",
        "paused_queue",
        "approval",
        "plan_run",
        "sqlite_sequence",
    ] {
        assert!(
            text.contains(&format!("{{\"table\":\"{table}\"")),
            "{table}"
        );
    }
    let again = db(&setup, &store, &["export", "--out", file.to_str().unwrap()]);
    assert_eq!(again.status.code(), Some(1));
    assert!(stderr(&again).contains("exists already"), "{again:?}");

    let dry = import(&setup, &other, &file, &["--dry-run", "--json"]);
    assert!(dry.status.success(), "{dry:?}");
    assert!(!other.exists());
    let imported = import(&setup, &other, &file, &["--json"]);
    assert!(imported.status.success(), "{imported:?}");
    let told: Value = serde_json::from_slice(&imported.stdout).unwrap();
    assert_eq!(
        (&told["imported"], &told["tasks"]),
        (&json!(true), &json!(TASKS))
    );
    let second = db(&setup, &other, &["export"]);
    assert!(second.status.success(), "{second:?}");
    let second = String::from_utf8(second.stdout).unwrap();
    let differs = text.lines().zip(second.lines()).find(|(a, b)| a != b);
    assert!(second == text, "another row: {differs:?}");
    let left: Vec<_> = fs::read_dir(other.parent().unwrap())
        .unwrap()
        .flatten()
        .map(|it| it.file_name())
        .collect();
    assert!(
        left.iter()
            .all(|name| !name.to_string_lossy().contains("import")),
        "{left:?}"
    );

    // A hub goes on with it.
    fs::rename(&other, &store).unwrap();
    for log in ["-wal", "-shm", ".epoch"] {
        let _ = fs::remove_file(format!("{}{log}", store.display()));
    }
    let hub = setup.start();
    let mut client = hub.client();
    assert_eq!(client.task(2)["prompt"], "zero \u{0} and \u{7f}\u{202e}");
    assert_eq!(client.status(1), "done");
    assert_eq!(
        client.call("stats", json!({}))["stats"]["total_tasks"],
        TASKS
    );
    assert_eq!(client.call("key_list", json!({}))["keys"][0]["name"], "ada");
    assert!(client.enqueue("next") > TASKS);
    let held = db(&setup, &store, &["export"]);
    assert!(stderr(&held).contains("another hub has it"), "{held:?}");
}

#[test]
fn an_import_replaces_a_store_with_tasks_only_if_told() {
    let setup = filled();
    let store = setup.database();
    let exported = db(&setup, &store, &["export"]);
    let file = setup.directory.path().join("e.jsonl");
    fs::write(&file, &exported.stdout).unwrap();
    let refused = import(&setup, &store, &file, &[]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(stderr(&refused).contains("--replace"), "{refused:?}");
    let replaced = import(&setup, &store, &file, &["--replace", "--json"]);
    assert!(replaced.status.success(), "{replaced:?}");
    let told: Value = serde_json::from_slice(&replaced.stdout).unwrap();
    let kept = told["replaced"][0].as_str().unwrap();
    assert!(Path::new(kept).exists(), "{told}");
}

#[test]
fn an_export_of_an_earlier_schema_is_migrated() {
    let setup = Setup::new();
    let row = |table: &str, row: Value| format!("{}\n", json!({"table": table, "row": row}));
    let lane = json!({
        "id": 1, "queue": "default", "type": "chat", "queued": 1, "blocked": 0, "scheduled": 0, "awaiting_approval": 0, "leased": 0,
        "done": 0, "failed": 0, "cancelled": 0, "completion_ms": 0, "minute": 0, "minute_done": 0, "newest_done": 0,
    });
    let task = json!({
        "id": 41, "state": 0, "lane": 1, "priority": 0, "fence": 0, "attempts": 0, "max_attempts": null, "run_at": null,
        "lease_until": null, "lease_ms": null, "leased_at": null, "session": null, "worker": null, "created_at": 1_790_000_000_000_i64,
        "updated_at": 1_790_000_000_000_i64, "finished_at": null, "flags": 0, "blocked_by": 0,
    });
    let input = json!({
        "task_id": 41, "prompt": "old", "system_prompt": null, "options": "{\"parent_id\":7}", "idempotency_key": null,
    });
    let head = |schema: &str| {
        format!("{{\"format\":\"kirosu-store\",\"version\":1,\"schema\":\"{schema}\"}}\n")
    };
    let end = |rows: u64| format!("{{\"end\":true,\"rows\":{rows}}}\n");
    let first = head("00000000000001");
    let rows = [
        row("lane", lane.clone()),
        row("task", task.clone()),
        row("task_input", input.clone()),
    ];
    let whole = [vec![first.clone()], rows.to_vec(), vec![end(3)]].concat();
    let file = lines(&setup, "whole.jsonl", &whole);

    let mut wrong = task.clone();
    wrong["lane"] = json!(9);
    let mut odd = task.clone();
    odd["colour"] = json!("red");
    let mut text = task.clone();
    text["state"] = json!("queued");
    for (name, content, why) in [
        (
            "cut.jsonl",
            [vec![first.clone()], rows.to_vec()].concat(),
            "cut off",
        ),
        (
            "few.jsonl",
            vec![first.clone(), rows[0].clone(), end(3)],
            "line 3: the export should have 3 rows, not 1",
        ),
        (
            "more.jsonl",
            [whole.clone(), vec!["x\n".to_owned()]].concat(),
            "line 6: there is text after",
        ),
        (
            "newer.jsonl",
            vec![head("00009999000000"), end(0)],
            "does not know",
        ),
        (
            "other.jsonl",
            vec!["{\"task_id\":1}\n".to_owned()],
            "line 1: it is not the first line",
        ),
        ("empty.jsonl", vec![], "line 1: it is not the first line"),
        (
            "table.jsonl",
            vec![first.clone(), row("x\" (id) --", json!({}))],
            "line 2: there is no table",
        ),
        (
            "column.jsonl",
            vec![first.clone(), row("task", odd)],
            "has no column \"colour\"",
        ),
        (
            "type.jsonl",
            vec![first.clone(), row("task", text)],
            "line 2: SQLite refuses it",
        ),
        (
            "twice.jsonl",
            vec![first.clone(), rows[1].clone(), rows[1].clone()],
            "line 3: SQLite refuses it",
        ),
        (
            "unsound.jsonl",
            vec![
                first.clone(),
                rows[0].clone(),
                row("task", wrong),
                rows[2].clone(),
                end(3),
            ],
            "tasks in a lane that does not exist",
        ),
    ] {
        let file = lines(&setup, name, &content);
        let refused = import(&setup, &setup.database(), &file, &[]);
        assert_eq!(refused.status.code(), Some(1), "{name}");
        assert!(
            stderr(&refused).contains(why),
            "{name}: {}",
            stderr(&refused)
        );
        assert!(!setup.database().exists(), "{name}");
    }

    // From standard input.
    let mut child = Command::new(env!("CARGO_BIN_EXE_kirosu"))
        .args([
            "db",
            "import",
            "-",
            "--db",
            setup.database().to_str().unwrap(),
        ])
        .env_clear()
        .env("HOME", setup.directory.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(&fs::read(&file).unwrap())
        .unwrap();
    let imported = child.wait_with_output().unwrap();
    assert!(imported.status.success(), "{imported:?}");
    let hub = setup.start();
    let leased = hub
        .client()
        .call("lease", json!({"worker_id": "w", "max_tasks": 9}));
    assert_eq!(ids(&leased), [41]);
    assert_eq!(leased["tasks"][0]["prompt"], "old");
    // The second migration made the row of the child.
    let children = hub.client().call("list", json!({"parent_id": 7}));
    assert_eq!(ids(&children), [41]);
}
