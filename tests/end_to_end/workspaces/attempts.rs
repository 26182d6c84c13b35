//! Names of what earlier attempts left: by the attempt's number, whatever its fence, and never two of one name.

use crate::workspaces::field::{Agents, Field};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::process::Command;

/// Leaves a commit and an ignored file, both with its fence, and fails.
const SCRIPT: &str = "echo fence $KIROSU_FENCE > work; echo $KIROSU_FENCE > x.o; exit 3";

fn start() -> (Field, Agents) {
    let field = Field::new().file(".gitignore", "*.o\n");
    field.commit("start");
    let hub = again(field.start(""));
    (field, hub)
}

/// The hub after a restart: its fences have 13 digits from now on.
fn again(hub: Agents) -> Agents {
    let hub = hub.hub.kill().start();
    Agents { hub }
}

/// The fences of the attempts that have ended, oldest first.
fn fences(hub: &Agents, id: i64) -> Vec<i64> {
    let task = hub.get(id);
    let attempts = task["attempt_list"].as_array().unwrap();
    let fence = |it: &Value| it["fence"].as_i64().unwrap();
    attempts.iter().map(fence).collect()
}

fn retried(hub: &Agents, id: i64) {
    hub.cli(&format!("retry {id}"));
    assert_eq!(hub.ended(id)["status"], "failed");
}

/// Names of folders, branches and references of the task.
fn names(field: &Field) -> Vec<String> {
    let kept = field.git("for-each-ref --format=%(refname) refs/heads/kirosu refs/kirosu");
    let mut names = field.worktrees();
    names.extend(kept.lines().map(str::to_owned));
    names
}

fn commit(field: &Field, name: &str) -> String {
    field.git(&format!("rev-parse {name}"))
}

#[test]
fn work_of_attempts_is_named_by_their_numbers_also_after_retries() {
    let (field, hub) = start();
    let id = hub.enqueue(json!({"prompt": SCRIPT, "max_attempts": 2}));
    assert_eq!(hub.ended(id)["status"], "failed");
    // Its attempts are counted from 1 again, its names are not.
    retried(&hub, id);
    let fences = fences(&hub, id);
    assert!(fences.len() == 4 && fences[0] > 1_000_000, "{fences:?}");
    for (number, fence) in (1..=3).zip(&fences) {
        let work = field.git(&format!("show refs/kirosu/task-{id}/{number}:work"));
        assert_eq!(work, format!("fence {fence}"));
        let branch = format!("kirosu/task-{id}.attempt-{number}");
        assert_eq!(field.git(&format!("show {branch}:work")), work);
    }
    assert_eq!(
        field.worktrees(),
        ["", ".attempt-1", ".attempt-2", ".attempt-3"].map(|it| format!("task-{id}{it}"))
    );
    // No name and no text for people has a fence in it.
    let printed = hub.get(id)["printed"][0]["text"].to_string();
    assert!(printed.contains("attempt 3 ended as"), "{printed}");
    let subjects = field.git("log --branches --glob=refs/kirosu --format=%B");
    let shown = hub.cli(&format!("get {id}"));
    let texts = [
        names(&field).join(" "),
        printed,
        subjects,
        hub.cli("workspaces"),
        shown,
    ];
    for text in texts {
        for fence in &fences {
            assert!(!text.contains(&fence.to_string()), "{text}");
        }
    }
}

#[test]
fn an_attempt_is_asked_for_by_its_number() {
    let (_field, hub) = start();
    let script = "echo this is $KIROSU_FENCE; exit 3";
    let id = hub.enqueue(json!({"prompt": script, "max_attempts": 2}));
    hub.ended(id);
    retried(&hub, id);
    let fences = fences(&hub, id);
    for (number, fence) in (1..).zip(&fences) {
        let printed = format!("this is {fence}");
        let logs = hub.cli(&format!("logs {id} --attempt {number}"));
        assert!(logs.contains(&printed), "{number}: {logs}");
        let got = hub.cli(&format!("get {id} --output --attempt {number}"));
        assert!(
            got.contains(&printed) && got.contains(&format!("Output of attempt {number}")),
            "{number}: {got}"
        );
        // Scripts that have read fences.
        let logs = hub.cli(&format!("logs {id} --attempt {fence}"));
        assert!(logs.contains(&printed), "{fence}: {logs}");
    }
    for verb in ["logs", "get --output"] {
        let said = hub.refused(&format!("{verb} {id} --attempt 5"));
        assert!(said.contains("has had 4 attempts"), "{said}");
    }
}

#[test]
fn a_number_that_comes_again_after_a_restore_takes_no_name() {
    let (field, hub) = start();
    let id = hub.enqueue(json!({ "prompt": SCRIPT }));
    assert_eq!(hub.ended(id)["status"], "failed");
    hub.hub.client().call("backup", json!({"name": "b.db"}));
    retried(&hub, id);
    retried(&hub, id);
    let reference = |name: &str| format!("refs/kirosu/task-{id}/{name}");
    let branch = |name: &str| format!("refs/heads/kirosu/task-{id}.attempt-{name}");
    let kept = ["1", "2"].map(|it| (commit(&field, &reference(it)), commit(&field, &branch(it))));
    let lost = fences(&hub, id);

    let setup = hub.hub.kill();
    let directory = setup.directory.path();
    let restored = Command::new(env!("CARGO_BIN_EXE_kirosu"))
        .args(["restore", "b.db", "--db"])
        .arg(setup.database())
        .arg("--set")
        .arg(format!("data_dir={}", directory.join("data").display()))
        .env_clear()
        .env("HOME", directory)
        .current_dir(directory)
        .output()
        .unwrap();
    assert!(restored.status.success(), "{restored:?}");
    let hub = Agents { hub: setup.start() };
    // The third attempt is kept by the second that is given out now, and that one by the third.
    retried(&hub, id);
    retried(&hub, id);
    let now = fences(&hub, id);
    assert_eq!((now.len(), now[0]), (3, lost[0]), "{now:?}");
    for (number, kept) in ["1", "2"].iter().zip(kept) {
        let same = (
            commit(&field, &reference(number)),
            commit(&field, &branch(number)),
        );
        assert_eq!(same, kept, "{number}");
    }
    for (name, fence) in [("3", lost[2]), ("2.2", now[1])] {
        for full in [reference(name), branch(name)] {
            let work = field.git(&format!("show {full}:work"));
            assert_eq!(work, format!("fence {fence}"), "{full}");
        }
        let folder = format!("data/workspaces/p/task-{id}.attempt-{name}/x.o");
        let ignored = std::fs::read_to_string(field.setup.directory.path().join(folder));
        assert_eq!(ignored.unwrap().trim(), fence.to_string());
    }
    hub.cli(&format!("discard {id} --force"));
    assert_eq!(names(&field), Vec::<String>::new());
}

#[test]
fn names_that_earlier_versions_gave_are_found() {
    let (field, hub) = start();
    let id = hub.enqueue(json!({"prompt": SCRIPT, "max_attempts": 2}));
    assert_eq!(hub.ended(id)["status"], "failed");
    // As they were: by the fence, and the record without the attempt's number.
    let fence = fences(&hub, id)[0];
    let pool = field.setup.directory.path().join("data/workspaces/p");
    let (name, old) = (
        format!("task-{id}.attempt-1"),
        format!("task-{id}.attempt-{fence}"),
    );
    field.git(&format!("branch -m kirosu/{name} kirosu/{old}"));
    let at = |name: &str| -> PathBuf { pool.join(name) };
    field.git(&format!(
        "worktree move {} {}",
        at(&name).display(),
        at(&old).display()
    ));
    let record = at(&format!("{name}.json"));
    let mut kept: Value = serde_json::from_slice(&std::fs::read(&record).unwrap()).unwrap();
    kept["name"] = json!(old);
    kept["branch"] = json!(format!("kirosu/{old}"));
    kept["path"] = json!(at(&old));
    kept.as_object_mut().unwrap().remove("attempt");
    std::fs::write(at(&format!("{old}.json")), kept.to_string()).unwrap();
    std::fs::remove_file(record).unwrap();
    let tip = commit(&field, &format!("refs/kirosu/task-{id}/1"));
    field.git(&format!("update-ref refs/kirosu/task-{id}/{fence} {tip}"));
    field.git(&format!("update-ref -d refs/kirosu/task-{id}/1"));
    let own = at(&format!("task-{id}.json"));
    let mut record: Value = serde_json::from_slice(&std::fs::read(&own).unwrap()).unwrap();
    record.as_object_mut().unwrap().remove("attempt");
    std::fs::write(&own, record.to_string()).unwrap();

    let listed = hub.json("workspaces")["workspaces"].to_string();
    assert!(listed.contains(&old), "{listed}");
    assert_eq!(
        hub.json(&format!("diff {id}"))["branch"],
        format!("kirosu/task-{id}")
    );
    // A further attempt keeps the last one by its number, in addition to them.
    retried(&hub, id);
    let all = names(&field).join(" ");
    for name in [&old, &format!("task-{id}.attempt-2")] {
        assert!(all.contains(name.as_str()), "{name}: {all}");
    }
    assert_eq!(
        commit(&field, &format!("refs/kirosu/task-{id}/{fence}")),
        tip
    );
    hub.cli(&format!("apply {id}"));
    let pruned = hub.json("workspaces --prune --ignored");
    assert_eq!(pruned["removed"], json!([id, id, id, id]), "{pruned}");
    assert_eq!(names(&field), Vec::<String>::new());
}

#[test]
fn a_folder_of_an_earlier_attempt_is_not_used_again() {
    let field = Field::new();
    let setup = field.configured("", "");
    let hub = setup.set("pool.p.workspace=ephemeral").start();
    let hub = again(Agents { hub });
    let script = "ls; pwd -P; echo $KIROSU_FENCE > left; exit 3";
    let id = hub.enqueue(json!({ "prompt": script }));
    hub.ended(id);
    let pool = field.repository().join("p");
    let first = fences(&hub, id)[0].to_string();
    let left = |name: &str| std::fs::read_to_string(pool.join(name).join("left")).unwrap();
    assert_eq!(left(&format!("task-{id}-1")).trim(), first);
    // The number of the next attempt was given before, as after a restore.
    std::fs::rename(
        pool.join(format!("task-{id}-1")),
        pool.join(format!("task-{id}-2")),
    )
    .unwrap();
    retried(&hub, id);
    assert_eq!(left(&format!("task-{id}-2")).trim(), first);
    let second = fences(&hub, id)[1].to_string();
    assert_eq!(left(&format!("task-{id}-2.2")).trim(), second);
}
