//! Agents that change references, move their worktree or break settings, and commands that run side by side.

use crate::workspaces::field::{Agents, Field, git};
use serde_json::json;

fn start(more: &[(&str, &str)]) -> (Field, Agents) {
    let mut field = Field::new().file("a.txt", "one\n");
    for (name, text) in more {
        field = field.file(name, text);
    }
    field.commit("start");
    let hub = field.start("");
    (field, hub)
}

const LOST: &str = "git config user.name a; git config user.email a; echo p > p; git add p; git commit -qm precious; \
                    git reset -q --hard HEAD~1; echo b > b";

#[test]
fn replaced_objects_are_reported_and_do_not_count() {
    let (field, hub) = start(&[]);
    let id = hub.done(
        "git commit -q --allow-empty -m evil; git replace HEAD~1 HEAD; git reset -q --hard HEAD~1; echo x > x",
    );
    let printed = hub.get(id)["printed"].to_string();
    let base = field.git("rev-parse main");
    assert!(
        printed.contains(&format!("git replace -d {base}")),
        "{printed}"
    );
    hub.cli(&format!("apply {id}"));
    assert_eq!(field.read("x"), "x\n");
}

#[test]
fn a_reference_in_the_way_keeps_the_worktree_and_is_named() {
    let (field, hub) = start(&[]);
    hub.done("git update-ref refs/kirosu HEAD; echo one > one");
    let id = hub.done(LOST);
    let printed = hub.get(id)["printed"].to_string();
    assert!(
        printed.contains("git update-ref -d refs/kirosu "),
        "{printed}"
    );
    hub.cli(&format!("apply {id}"));
    let said = hub.refused("workspaces --prune");
    assert!(said.contains("git update-ref -d refs/kirosu "), "{said}");
    assert!(field.worktrees().contains(&format!("task-{id}")));
    field.git("update-ref -d refs/kirosu");
    let removed = hub.cli("workspaces --prune");
    assert!(removed.contains("-unreferenced was at"), "{removed}");
}

#[test]
fn a_worktree_that_git_has_moved_is_named_and_stays() {
    let (field, hub) = start(&[]);
    let elsewhere = field.setup.directory.path().join("elsewhere");
    let place = elsewhere.display().to_string();
    let script =
        format!("echo c > c; git add c; git commit -qm c; echo u > u; git worktree move . {place}");
    let id = hub.enqueue(json!({ "prompt": script }));
    assert_eq!(hub.ended(id)["status"], "failed");
    for verb in ["apply", "discard"] {
        let said = hub.refused(&format!("{verb} {id}"));
        assert!(said.contains(&place), "{said}");
    }
    hub.cli("workspaces --prune");
    let status = git(&elsewhere, "status --porcelain");
    assert_eq!(String::from_utf8_lossy(&status.stdout), "?? u\n");
    let back = field
        .setup
        .directory
        .path()
        .join(format!("data/workspaces/p/task-{id}"));
    field.git(&format!("worktree move {place} {}", back.display()));
    hub.cli(&format!("apply {id}"));
    assert_eq!(
        (field.read("c"), field.read("u")),
        ("c\n".into(), "u\n".into())
    );
}

#[test]
fn commands_side_by_side_wait_for_each_other() {
    let (field, hub) = start(&[]);
    let ids: Vec<i64> = (0..4)
        .map(|it| hub.done(&format!("echo {it} > f{it}")))
        .collect();
    std::thread::scope(|scope| {
        for id in &ids {
            let (id, hub) = (*id, &hub);
            scope.spawn(move || hub.cli(&format!("apply {id}")));
        }
    });
    for it in 0..4 {
        assert_eq!(field.read(&format!("f{it}")), format!("{it}\n"));
    }
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| hub.cli("workspaces --prune"));
        }
    });
    assert_eq!(field.worktrees(), Vec::<String>::new());
}

#[test]
fn commits_that_no_branch_has_are_found_in_reference_tables() {
    let field = Field::new();
    std::fs::remove_dir_all(field.repository().join(".git")).unwrap();
    let made = git(
        &field.repository(),
        "init -q -b main --ref-format=reftable .",
    );
    if !made.status.success() {
        // This git is older than the format.
        return;
    }
    field.git("config user.name Person");
    field.git("config user.email person@example.org");
    let field = field.file("a.txt", "one\n");
    field.commit("start");
    let hub = field.start("");
    let id = hub.done(&format!("{LOST}; echo s >> a.txt; git stash -q"));
    let printed = hub.get(id)["printed"].to_string();
    assert!(printed.contains("the stash, which"), "{printed}");
    let kept = field.git(&format!(
        "for-each-ref --format=%(refname) refs/kirosu/task-{id}"
    ));
    assert_eq!(field.git(&format!("show {kept}^1:p")), "p");
}

#[test]
fn a_reference_that_cannot_be_removed_keeps_the_folder() {
    let (field, hub) = start(&[]);
    let id = hub.done("echo two > a.txt");
    hub.cli(&format!("apply {id}"));
    let lock = field.repository().join(".git/packed-refs.lock");
    std::fs::write(&lock, "").unwrap();
    let said = hub.refused("workspaces --prune");
    assert!(said.contains("packed-refs.lock"), "{said}");
    assert_eq!(field.worktrees(), [format!("task-{id}")]);
    std::fs::remove_file(lock).unwrap();
    hub.cli("workspaces --prune");
    assert_eq!(field.worktrees(), Vec::<String>::new());
}

#[test]
fn a_run_that_could_not_be_committed_is_shown_with_its_files() {
    let (field, hub) = start(&[]);
    let settings = field.repository().join(".git/config");
    let before = std::fs::read(&settings).unwrap();
    let id = hub.done(&format!("echo x > x; echo '[[[' >> {}", settings.display()));
    std::fs::write(&settings, before).unwrap();
    let diff = hub.json(&format!("diff {id}"));
    assert_eq!(diff["files"][0]["path"], "x", "{diff}");
    assert_eq!(hub.json("workspaces")["workspaces"][0]["files"], 1);
    let index = format!(".git/worktrees/task-{id}/index");
    assert!(field.repository().join(index).exists());
    hub.cli(&format!("apply {id}"));
    assert_eq!(field.read("x"), "x\n");
}

#[test]
fn a_branch_of_the_person_is_not_taken_for_a_folder_that_is_kept() {
    let field = Field::new()
        .file("a.txt", "one\n")
        .file(".gitignore", "*.o\n");
    field.commit("start");
    for name in [
        "kirosu/task-1.attempt-1",
        "kirosu/task-1.attempt-1.2/deeper",
    ] {
        field.git(&format!("checkout -q -b {name} main"));
        field.git(&format!("commit -q --allow-empty -m {name}"));
    }
    field.git("checkout -q kirosu/task-1.attempt-1");
    let before = field.git("for-each-ref refs/heads");
    let status = field.git("status --porcelain");
    let hub = field.start("");
    let script = "if [ $KIROSU_FENCE = 1 ]; then echo x > x.o; echo w > w; exit 3; fi";
    let id = hub.enqueue(json!({"prompt": script, "max_attempts": 2}));
    assert_eq!(hub.ended(id)["status"], "done");
    let kept = "kirosu/task-1.attempt-1.3";
    assert_eq!(field.git(&format!("show {kept}:w")), "w");
    assert_eq!(field.git("status --porcelain"), status);
    hub.cli("discard 1 --force");
    assert_eq!(field.git("for-each-ref refs/heads"), before);
}

#[test]
fn a_repository_in_an_ignored_folder_stays() {
    let field = Field::new()
        .file("a.txt", "one\n")
        .file(".gitignore", "vendor/\nbuild/\n");
    field.commit("start");
    let hub = field.start("");
    let id = hub.done(
        "git init -q vendor/lib; cd vendor/lib; git -c user.name=a -c user.email=a commit -q --allow-empty -m p; \
         git clone -q --bare . ../../build/x; cd ../..; echo two > a.txt",
    );
    hub.cli(&format!("apply {id}"));
    let kept = hub.cli("workspaces --prune --ignored");
    for name in [
        "vendor/lib/",
        "build/x/",
        "repositories of their own in ignored folders",
    ] {
        assert!(kept.contains(name), "{kept}");
    }
    assert_eq!(field.worktrees(), [format!("task-{id}")]);
}
