//! The move from the Python version: its file of tasks, its settings, its commands.

use crate::common::{Setup, ids};
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// Makes a file as the Python version does: its schema, its pragmas, its times.
const MAKE: &str = r#"
import os, sqlite3, sys, time
path, many, how = sys.argv[1], int(sys.argv[2]), sys.argv[3]
conn = sqlite3.connect(path)
conn.execute("PRAGMA journal_mode=WAL;")
conn.execute("PRAGMA synchronous=NORMAL;")
conn.execute("""CREATE TABLE tasks (
  task_id INTEGER PRIMARY KEY AUTOINCREMENT, prompt TEXT NOT NULL, system_prompt TEXT, type TEXT DEFAULT 'chat',
  status TEXT NOT NULL, created_at REAL NOT NULL, updated_at REAL NOT NULL, leased_until REAL, worker_id TEXT,
  result TEXT, error TEXT)""")
conn.execute("CREATE INDEX idx_lease_status_leased_until ON tasks(status, leased_until)")
now = time.time()
add = "INSERT INTO tasks (prompt, system_prompt, type, status, created_at, updated_at, leased_until, worker_id, result, error) VALUES (?,?,?,?,?,?,?,?,?,?)"
rows = [
  ("first", None, "chat", "queued", now - 50, now - 50, None, None, None, None),
  ("second", "be brief", "chat", "leased", now - 40, now - 30, now + 300, "kiro-1", None, None),
  ("third", None, "chat", "done", now - 120, now - 20, None, "kiro-1", "the result ü", None),
  ("fourth", None, "python", "done", now - 9000, now - 8950, None, "kiro-2", "4", None),
  ("fifth", None, "chat", "failed", now - 60, now - 10, None, "kiro-2", None, "it broke"),
]
conn.executemany(add, rows)
conn.executemany(add, (("prompt %d" % i, None, "chat", "done", now - 100, now - 50, None, "w", "r" * 300, None) for i in range(many)))
conn.commit()
if how == "killed":
    os._exit(0)
if how == "held":
    print("ready", flush=True)
    sys.stdin.read()
conn.close()
"#;

fn python(path: &Path, many: usize, how: &str) -> Command {
    let mut command = Command::new("python3");
    command
        .args(["-c", MAKE])
        .arg(path)
        .args([&many.to_string(), how]);
    command
}

fn make(setup: &Setup, many: usize, how: &str) -> PathBuf {
    let path = setup.directory.path().join("old/legacy.db");
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    assert!(python(&path, many, how).status().unwrap().success());
    path
}

fn command(setup: &Setup, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kirosu"));
    command
        .args(args)
        .env_clear()
        .env("HOME", setup.directory.path())
        .current_dir(setup.directory.path());
    command
}

fn import(setup: &Setup, file: &Path, more: &[&str]) -> Output {
    let (db, file) = (setup.database(), file.to_str().unwrap().to_owned());
    let mut args = vec!["db", "import-legacy", &file, "--db", db.to_str().unwrap()];
    args.extend(more);
    command(setup, &args).output().unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn contents(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut files: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .flatten()
        .map(|it| (it.path(), fs::read(it.path()).unwrap()))
        .collect();
    files.sort();
    files
}

#[test]
fn the_tasks_of_the_python_version_go_on() {
    // A hub that was closed, and one that was killed, whose rows are in its log only.
    for how in ["closed", "killed"] {
        let setup = Setup::new();
        let file = make(&setup, 0, how);
        let before = contents(file.parent().unwrap());
        assert_eq!(before.len(), if how == "killed" { 3 } else { 1 });
        let dry = import(&setup, &file, &["--dry-run", "--json"]);
        assert!(dry.status.success(), "{}", stderr(&dry));
        let mut dry: Value = serde_json::from_slice(&dry.stdout).unwrap();
        assert!(!setup.database().exists());
        let imported = import(&setup, &file, &["--json"]);
        assert!(imported.status.success(), "{}", stderr(&imported));
        let imported: Value = serde_json::from_slice(&imported.stdout).unwrap();
        assert_eq!(
            (&imported["tasks"], &imported["leases_dropped"]),
            (&json!(5), &json!(1))
        );
        for (key, value) in [
            ("imported", json!(true)),
            ("dry_run", json!(false)),
            ("last_id", json!(5)),
        ] {
            dry[key] = value;
        }
        assert_eq!(dry, imported);
        assert_eq!(
            contents(file.parent().unwrap()),
            before,
            "the source is as it was"
        );

        let hub = setup.start();
        let mut client = hub.client();
        let stats = &client.call("stats", json!({}))["stats"];
        for (name, value) in [
            ("queued", json!(2)),
            ("leased", json!(0)),
            ("done", json!(2)),
            ("failed", json!(1)),
            ("total_tasks", json!(5)),
            ("completed_last_hour", json!(1)),
            ("avg_completion_time_sec", json!(75.0)),
            ("error_rate_percent", json!(33.33)),
        ] {
            assert_eq!(stats[name], value, "{name} of {stats}");
        }
        let third = client.task(3);
        assert_eq!(third["result"], "the result ü");
        assert_eq!(
            (&third["status"], &third["worker_id"]),
            (&json!("done"), &json!("kiro-1"))
        );
        let took = third["updated_at"].as_f64().unwrap() - third["created_at"].as_f64().unwrap();
        assert!((took - 100.0).abs() < 0.01, "{third}");
        assert_eq!(client.task(4)["type"], "python");
        assert_eq!(client.task(5)["error"], "it broke");
        let leased = client.call("lease", json!({"worker_id": "w", "max_tasks": 9}));
        assert_eq!(ids(&leased), [1, 2]);
        assert_eq!(leased["tasks"][1]["system_prompt"], "be brief");
        client.call(
            "ack",
            json!({"task_id": 1, "status": "done", "result": "new"}),
        );
        assert_eq!(client.status(1), "done");
        assert_eq!(client.enqueue("next"), 6);
        let held = import(&setup, &file, &[]);
        assert_eq!(held.status.code(), Some(1));
        assert!(stderr(&held).contains("another hub has it"), "{held:?}");
    }
}

#[test]
fn a_store_with_tasks_needs_new_ids_and_a_running_python_hub_must_end() {
    let setup = Setup::new();
    let hub = setup.start();
    hub.client().enqueue("its own");
    drop(hub);
    let file = make(&setup, 0, "closed");
    let refused = import(&setup, &file, &[]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(stderr(&refused).contains("--renumber"), "{refused:?}");
    let moved = import(&setup, &file, &["--renumber"]);
    assert!(stdout(&moved).contains("imported 5 tasks"), "{moved:?}");
    assert!(stderr(&moved).contains("1 task had a lease"), "{moved:?}");
    let again = import(&setup, &file, &["--renumber"]);
    assert!(stderr(&again).contains("as task 2"), "{again:?}");
    let hub = setup.start();
    let mut client = hub.client();
    let found = client.call("list", json!({"label": "legacy:3"}));
    assert_eq!(ids(&found), [4]);
    drop(hub);

    let other = setup.directory.path().join("old/other.db");
    let mut holder = python(&other, 0, "held");
    let mut holder = holder
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut ready = String::new();
    let out = holder.stdout.take().unwrap();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(out), &mut ready).unwrap();
    let refused = import(&setup, &other, &["--renumber"]);
    let expected = format!(
        "process {} has it open; stop the Python hub first",
        holder.id()
    );
    assert!(stderr(&refused).contains(&expected), "{refused:?}");
    drop(holder.stdin.take());
    holder.wait().unwrap();
    // The hub itself names the command for such a file.
    let started = command(
        &setup,
        &["hub", "--port", "0", "--db", other.to_str().unwrap()],
    )
    .output()
    .unwrap();
    assert!(
        stderr(&started).contains("kirosu db import-legacy"),
        "{started:?}"
    );
}

#[test]
fn an_import_that_is_killed_can_be_started_again() {
    let setup = Setup::new();
    let file = make(&setup, 150_000, "closed");
    let db = setup.database();
    let (file_name, db_name) = (file.to_str().unwrap(), db.to_str().unwrap());
    let mut child = command(&setup, &["db", "import-legacy", file_name, "--db", db_name])
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let log = PathBuf::from(format!("{db_name}-wal"));
    crate::common::until("the import writes", || {
        let written = fs::metadata(&log).is_ok_and(|it| it.len() > 30 << 20);
        (written || child.try_wait().unwrap().is_some()).then_some(())
    });
    assert!(
        child.try_wait().unwrap().is_none(),
        "it was too fast to be killed"
    );
    child.kill().unwrap();
    child.wait().unwrap();
    let checked = command(&setup, &["db", "check", "--db", db_name])
        .output()
        .unwrap();
    assert!(
        stdout(&checked).contains("is sound (0 tasks)"),
        "{checked:?}"
    );
    let again = import(&setup, &file, &[]);
    assert!(again.status.success(), "{again:?}");
    let checked = command(&setup, &["db", "check", "--db", db_name])
        .output()
        .unwrap();
    assert!(
        stdout(&checked).contains("is sound (150 005 tasks)"),
        "{checked:?}"
    );
    let hub = setup.start();
    assert_eq!(
        hub.client().call("stats", json!({}))["stats"]["total_tasks"],
        150_005
    );
    let held = command(&setup, &["db", "check", "--db", db_name])
        .output()
        .unwrap();
    assert_eq!(held.status.code(), Some(1));
    assert!(stderr(&held).contains("another hub has it"), "{held:?}");
}

#[test]
fn the_check_of_a_store_finds_wrong_counters() {
    let setup = Setup::new();
    let hub = setup.start();
    hub.client().enqueue("a");
    drop(hub);
    let db = setup.database();
    let change = "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); c.execute('UPDATE lane SET queued = 7'); c.commit()";
    let changed = Command::new("python3")
        .args(["-c", change])
        .arg(&db)
        .status()
        .unwrap();
    assert!(changed.success());
    let args = ["db", "check", "--json", "--db", db.to_str().unwrap()];
    let checked = command(&setup, &args).output().unwrap();
    assert_eq!(checked.status.code(), Some(1), "{checked:?}");
    let told: Value = serde_json::from_slice(&checked.stdout).unwrap();
    assert_eq!(told["ok"], json!(false));
    let finding = told["findings"][0].as_str().unwrap();
    assert!(finding.contains("wrong counts"), "{told}");
}

#[test]
fn the_settings_of_the_python_version_become_settings_that_load() {
    let setup = Setup::new();
    let folder = setup.directory.path();
    let old = "
        [database]
        path = \"/var/lib/kiro/kirosu.db\"
        pool = 5
        [agents.default]
        model = \"claude-haiku-4.5\"
        workdir = \"/tmp/kirosu_work\"
        [agents.\"Bug Hunter\"]
        workdir = \"/tmp/sandbox/${AGENT_ID}\"
        colour = \"red\"
        [other]
        key = 1";
    fs::write(folder.join("config.toml"), old).unwrap();
    let printed = command(&setup, &["config", "import-legacy", "config.toml"])
        .output()
        .unwrap();
    assert!(printed.status.success(), "{printed:?}");
    let text = stdout(&printed);
    for line in [
        "name = \"default\"",
        "model = \"claude-haiku-4.5\"",
        "name = \"bug-hunter\"",
        "workspace = \"isolated\"",
        "# database.pool",
        "# agents.\"Bug Hunter\".colour",
        "# other",
    ] {
        assert!(text.contains(line), "{line} in {text}");
    }
    fs::write(folder.join("kirosu.toml"), &text).unwrap();
    let checked = command(&setup, &["config", "check", "--config", "kirosu.toml"])
        .output()
        .unwrap();
    assert!(checked.status.success(), "{checked:?}\n{text}");
    fs::write(folder.join("config.toml"), "[database").unwrap();
    let refused = command(&setup, &["config", "import-legacy", "config.toml"])
        .output()
        .unwrap();
    assert_eq!(refused.status.code(), Some(1), "{refused:?}");
}

#[test]
fn task_add_is_enqueue() {
    let setup = Setup::new();
    let hub = setup.start();
    let added = hub.cli(&["task", "add", "hello", "--json"]);
    assert!(added.status.success(), "{added:?}");
    assert_eq!(hub.client().task(1)["prompt"], "hello");
}
