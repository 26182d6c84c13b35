//! A fault of one task's worktree ends or moves that task alone.

use crate::workspaces::field::{Agents, Field};
use serde_json::{Value, json};
use std::fs;
use std::path::PathBuf;

fn pool_folder(field: &Field) -> PathBuf {
    field.setup.directory.path().join("data/workspaces/p")
}

fn twice(hub: &Agents, first: &str, second: &str) -> Value {
    let script = format!("if [ $KIROSU_FENCE = 1 ]; then {first}; exit 3; fi; {second}");
    let id = hub.enqueue(json!({"prompt": script, "max_attempts": 2}));
    hub.ended(id)
}

#[test]
fn a_fault_of_one_worktree_is_no_fault_of_the_pool() {
    let field = Field::new().file("a.txt", "one\n");
    field.commit("start");
    field.git("branch kirosu/task-1/old");
    let hub = field.start("size=1");
    let id = hub.done("git symbolic-ref HEAD");
    assert_eq!(
        hub.get(id)["result"],
        "refs/heads/kirosu/task-1.2",
        "branches below the name"
    );
    let common = "$(git rev-parse --path-format=absolute --git-common-dir)";
    let own = "$(git rev-parse --absolute-git-dir)";
    for breakage in [
        format!(": > {common}/$(git symbolic-ref HEAD).lock"),
        format!(": > {own}/index.lock; : > {own}/HEAD.lock"),
        format!("printf junk > {own}/index"),
        format!("printf junk > {own}/HEAD"),
        format!("rm {own}/HEAD {own}/index"),
        format!("rm -rf {own}"),
        format!("rm -rf {own} .git"),
        format!("rm -rf {common}/worktrees"),
        "rm .git; git init -q .; echo x > x; git add x".to_owned(),
        "w=$PWD; cd /; rm -rf $w".to_owned(),
        "w=$PWD; cd /; rm -rf $w; echo file > $w".to_owned(),
        "w=$PWD; cd /; rm -rf $w; ln -s /nowhere $w".to_owned(),
    ] {
        let first = format!("echo first > first; {breakage}");
        let task = twice(&hub, &first, "ls; git log --format=%s; git status --short");
        assert_eq!(task["status"], "done", "{breakage}: {task}");
        assert_eq!(task["result"], "a.txt\nstart", "{breakage}");
        hub.done("true");
    }
    // An unreadable record: its worktree is left unchanged, and the output reports that.
    let id =
        hub.enqueue(json!({"prompt": "if [ $KIROSU_FENCE = 1 ]; then echo w > w; exit 3; fi; ls"}));
    hub.ended(id);
    let record = pool_folder(&field).join(format!("task-{id}.json"));
    fs::write(&record, "").unwrap();
    hub.hub.client().call("retry", json!({"task_id": id}));
    let task = hub.ended(id);
    assert_eq!(task["result"], "a.txt", "{task}");
    let printed = task["printed"].to_string();
    assert!(
        printed.contains(&format!("task-{id}.json cannot be read")),
        "{printed}"
    );
    assert!(pool_folder(&field).join(format!("task-{id}/w")).exists());
    // A name that cannot be locked.
    fs::create_dir(pool_folder(&field).join(format!("task-{}.lock", id + 1))).unwrap();
    let id = hub.done("git symbolic-ref HEAD");
    assert_eq!(
        hub.get(id)["result"],
        format!("refs/heads/kirosu/task-{id}.2")
    );
    assert!(
        !hub.hub.log().contains("takes no tasks"),
        "{}",
        hub.hub.log()
    );
}

#[test]
fn a_task_that_can_have_no_worktree_fails_with_the_reason_and_no_other_does() {
    let field = Field::new().file("a.txt", "one\n");
    field.commit("start");
    let hub = field.start("size=1");
    for name in ["task-1", "task-1.2", "task-1.3"] {
        fs::create_dir_all(pool_folder(&field).join(format!("{name}.lock"))).unwrap();
    }
    let task = hub.ended(hub.enqueue(json!({"prompt": "true"})));
    let said = task.to_string();
    assert!(
        said.contains("provider_error") && said.contains("task-1.lock"),
        "{said}"
    );
    assert!(said.contains("kirosu retry 1"), "{said}");
    hub.done("true");
    assert!(
        !hub.hub.log().contains("takes no tasks"),
        "{}",
        hub.hub.log()
    );
}

#[test]
fn a_fault_that_every_task_has_parks_the_pool_until_it_is_gone() {
    let field = Field::new().file("a.txt", "one\n");
    field.commit("start");
    let hub = field.start("size=1");
    hub.done("true");
    hub.cli("discard 1 --force");
    let worktrees = field.repository().join(".git/worktrees");
    let _ = fs::remove_dir_all(&worktrees);
    fs::write(&worktrees, "not a folder").unwrap();
    let id = hub.enqueue(json!({"prompt": "true"}));
    hub.logged("can be made");
    assert_eq!(hub.get(id)["attempts"], 0, "it costs no attempt");
    fs::remove_file(&worktrees).unwrap();
    assert_eq!(hub.ended(id)["status"], "done");
    assert_eq!(field.git("branch --list *check*"), "");
}

#[test]
fn a_branch_named_kirosu_is_left_alone() {
    let field = Field::new().file("a.txt", "one\n");
    field.commit("start");
    field.git("branch kirosu");
    let hub = field.start("");
    let id = hub.done("echo two > a.txt; echo $KIROSU_BRANCH");
    assert_eq!(hub.json(&format!("diff {id}"))["branch"], "kirosu-task-1");
    hub.cli(&format!("apply {id}"));
    assert_eq!(field.read("a.txt"), "two\n");
}

#[test]
fn a_lock_whose_holder_may_live_stays() {
    let field = Field::new().file("a.txt", "one\n");
    field.commit("start");
    let living = field.living_git();
    let lock = field
        .repository()
        .join(".git/refs/heads/kirosu/task-1.lock");
    fs::create_dir_all(lock.parent().unwrap()).unwrap();
    fs::write(&lock, "").unwrap();
    let hub = field.start("");
    let id = hub.done("true");
    assert_eq!(hub.json(&format!("diff {id}"))["branch"], "kirosu/task-1.2");
    assert!(lock.exists());
    drop(living);
}
