//! Faults of the checkout that every task of a pool has: they cost no attempt, and the pool goes on once they are gone.

use crate::common::until;
use crate::workspaces::field::{Agents, Field};
use crate::workspaces::moved::{kirosu, said};
use crate::workspaces::private::until_parked;
use serde_json::json;
use std::fs;

/// A repository whose files pass a filter when they are written: a shell command.
fn filtered(smudge: &str) -> Field {
    let field = Field::new()
        .file("a.txt", "one\n")
        .file(".gitattributes", "*.txt filter=big\n");
    field.commit("start");
    let config = field.repository().join(".git/config");
    let mut text = fs::read_to_string(&config).unwrap();
    text.push_str(&format!(
        "[filter \"big\"]\n\tclean = cat\n\tsmudge = \"{smudge}\"\n\trequired = true\n"
    ));
    fs::write(config, text).unwrap();
    field
}

fn queue(hub: &Agents) -> Vec<i64> {
    let task = || hub.enqueue(json!({"prompt": "cat a.txt"}));
    (0..6).map(|_| task()).collect()
}

fn all_done(hub: &Agents, ids: &[i64]) {
    for id in ids {
        let task = hub.ended(*id);
        assert_eq!(task["result"], "one", "{task}");
        assert_eq!(task["attempts"], 1, "{task}");
    }
}

#[test]
fn a_filter_that_is_missing_parks_the_pool_and_fails_no_task() {
    let field = filtered("if [ -e ../../../../broken ]; then exit 1; fi; cat");
    let broken = field.setup.directory.path().join("broken");
    fs::write(&broken, "").unwrap();
    let hub = field.start("");
    let ids = queue(&hub);
    until_parked(&hub, "filter");
    for id in &ids {
        assert_ne!(hub.get(*id)["status"], "failed");
    }
    until("nothing is left of what was tried", || {
        field.worktrees().is_empty().then_some(())
    });
    fs::remove_file(&broken).unwrap();
    all_done(&hub, &ids);
}

#[test]
fn a_git_that_is_killed_costs_no_attempt() {
    let field = filtered("if [ -e ../../../../broken ]; then kill -9 $PPID; fi; cat");
    let broken = field.setup.directory.path().join("broken");
    fs::write(&broken, "").unwrap();
    let hub = field.start("");
    let ids = queue(&hub);
    until("a run was not started", || {
        hub.hub.log().contains("lacks a resource").then_some(())
    });
    fs::remove_file(&broken).unwrap();
    all_done(&hub, &ids);
}

#[test]
fn a_branch_that_no_task_can_have_parks_the_pool_and_fails_no_task() {
    // A file in the place of the folder for the reflogs of all tasks' branches: only a new branch meets it.
    let field = Field::new().file("a.txt", "one\n");
    field.commit("start");
    let logs = field.repository().join(".git/logs/refs/heads/kirosu");
    fs::write(&logs, "").unwrap();
    let hub = field.start("");
    until_parked(&hub, "logs/refs/heads/kirosu");
    let ids = queue(&hub);
    fs::remove_file(&logs).unwrap();
    all_done(&hub, &ids);
    // The same while the pool is at work.
    for id in ids {
        hub.cli(&format!("discard {id} --force"));
    }
    let _ = fs::remove_dir_all(&logs);
    fs::write(&logs, "").unwrap();
    let ids = queue(&hub);
    until_parked(&hub, "logs/refs/heads/kirosu");
    for id in &ids {
        assert_ne!(hub.get(*id)["status"], "failed");
    }
    fs::remove_file(&logs).unwrap();
    all_done(&hub, &ids);
    assert_eq!(field.git("for-each-ref refs/heads/kirosu/check-*"), "");
}

#[test]
fn a_branch_named_kirosu_beside_an_old_folder_is_no_obstacle() {
    let field = Field::new().file("a.txt", "one\n");
    field.commit("start");
    field.git("branch kirosu");
    field.git("pack-refs --all");
    fs::create_dir_all(field.repository().join(".git/refs/heads/kirosu/old")).unwrap();
    let hub = field.start("");
    let ids = queue(&hub);
    all_done(&hub, &ids);
    let branch = hub.json(&format!("diff {}", ids[0]))["branch"].clone();
    assert_eq!(branch, format!("kirosu-task-{}", ids[0]));
}

#[test]
fn a_held_lock_of_all_references_parks_the_pool_and_leaves_no_branches() {
    let field = Field::new().file("a.txt", "one\n");
    field.commit("start");
    let lock = field.repository().join(".git/packed-refs.lock");
    fs::write(&lock, "").unwrap();
    let hub = field.start("");
    until_parked(&hub, "packed-refs.lock");
    let ids = queue(&hub);
    fs::remove_file(&lock).unwrap();
    all_done(&hub, &ids);
    assert_eq!(field.git("for-each-ref refs/heads/kirosu/check-*"), "");
}

#[test]
fn files_that_a_killed_hub_had_not_written_yet_are_not_deleted_ones() {
    let field =
        filtered("if [ -e ../../../../broken ]; then : > ../../../../began; sleep 600; fi; cat");
    let directory = field.setup.directory.path().canonicalize().unwrap();
    let (broken, began) = (directory.join("broken"), directory.join("began"));
    fs::write(&broken, "").unwrap();
    let hub = field.start("");
    let id = hub.enqueue(json!({"prompt": "ls; echo two > new", "max_attempts": 3}));
    until("files are being written", || began.exists().then_some(()));
    let setup = hub.hub.kill();
    fs::remove_file(&broken).unwrap();
    let (data, repository) = (directory.join("data"), directory.join("repo"));
    let output = kirosu(&field, &format!("apply {id}"), &data, &repository);
    let text = said(&output);
    assert!(text.contains("were not all written"), "{text}");
    let hub = Agents { hub: setup.start() };
    let task = hub.ended(id);
    assert_eq!(task["result"], "a.txt", "{task}");
    let diff = hub.json(&format!("diff {id}"));
    assert_eq!(diff["files"].as_array().unwrap().len(), 1, "{diff}");
}
