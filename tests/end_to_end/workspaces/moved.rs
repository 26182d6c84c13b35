//! A repository or a data folder that was moved.

use crate::common::until;
use crate::workspaces::field::{Field, git};
use serde_json::json;
use std::path::Path;
use std::process::{Command, Output};

/// A verb of the command line with the pool's settings.
pub fn kirosu(field: &Field, words: &str, data: &Path, repository: &Path) -> Output {
    let directory = field.setup.directory.path();
    let settings = [
        format!("data_dir={}", data.display()),
        format!("pool.p.workdir={}", repository.display()),
        "pool.p.workspace=worktree".to_owned(),
        "pool.p.provider=echo".to_owned(),
    ];
    let mut command = Command::new(env!("CARGO_BIN_EXE_kirosu"));
    command.args(words.split_whitespace());
    for setting in settings {
        command.arg("--set").arg(setting);
    }
    command
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap())
        .env("HOME", directory)
        .current_dir(directory)
        .output()
        .unwrap()
}

pub fn said(output: &Output) -> String {
    let out = String::from_utf8_lossy(&output.stdout);
    format!("{out}{}", String::from_utf8_lossy(&output.stderr))
}

#[test]
fn what_was_moved_is_found_and_repaired() {
    let field = Field::new().file("a.txt", "one\n");
    field.commit("start");
    let hub = field.start("");
    let id = hub.done("echo two > a.txt");
    let failed =
        hub.enqueue(json!({"prompt": "[ $KIROSU_FENCE -gt 1 ] || exit 3; ls; git status --short"}));
    hub.ended(failed);
    let setup = hub.hub.kill();
    let directory = field.setup.directory.path().canonicalize().unwrap();
    let (data, data2) = (directory.join("data"), directory.join("data2"));
    let (repo, repo2) = (directory.join("repo"), directory.join("repo2"));
    std::fs::rename(&repo, &repo2).unwrap();

    // Without the new place: what was looked for, and where, and what to do.
    for words in ["diff 1", "apply 1", "discard 1", "workspaces --prune"] {
        let output = kirosu(&field, words, &data, &repo);
        let text = said(&output);
        assert_eq!(output.status.code(), Some(1), "{words}: {text}");
        assert!(text.contains("is not where it was"), "{words}: {text}");
        assert!(text.contains("workspaces --repair"), "{words}: {text}");
    }
    let diff = said(&kirosu(&field, "diff 1", &data, &repo2));
    assert!(diff.contains("+two"), "{diff}");
    let check = said(&kirosu(&field, "apply 1 --check", &data, &repo2));
    assert!(check.contains("can be applied"), "{check}");

    // The data folder as well; the retried task works all the same.
    std::fs::rename(&data, &data2).unwrap();
    let diff = said(&kirosu(&field, "diff 1", &data2, &repo2));
    assert!(diff.contains("+two"), "{diff}");
    let repaired = kirosu(&field, "workspaces --repair", &data2, &repo2);
    let text = said(&repaired);
    assert!(repaired.status.success(), "{text}");
    assert!(
        text.contains("task 1: its repository is") && text.contains("repaired 2 worktrees"),
        "{text}"
    );
    let again = said(&kirosu(&field, "workspaces --repair", &data2, &repo2));
    assert_eq!(again.trim(), "repaired 0 worktrees");
    let listed = git(&repo2, "worktree list --porcelain");
    let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
    assert!(
        !listed.contains("prunable") && listed.contains("data2/workspaces/p/task-1"),
        "{listed}"
    );
    let status = git(&data2.join("workspaces/p/task-1"), "status --short");
    assert!(status.status.success(), "{status:?}");

    // Moved back, without a repair: the next attempt repairs by itself.
    std::fs::rename(&repo2, &repo).unwrap();
    std::fs::rename(&data2, &data).unwrap();
    let hub = crate::workspaces::field::Agents { hub: setup.start() };
    hub.hub.client().call("retry", json!({"task_id": failed}));
    let task = until("it has run", || {
        let task = hub.get(failed);
        (task["status"] == "done").then_some(task)
    });
    assert_eq!(task["result"], "a.txt", "{task}");
    assert_eq!(
        hub.json("workspaces")["workspaces"][1]["branch"],
        format!("kirosu/task-{failed}")
    );
    assert!(
        !hub.hub.log().contains("takes no tasks"),
        "{}",
        hub.hub.log()
    );
    let applied = said(&kirosu(&field, &format!("apply {id}"), &data, &repo));
    assert_eq!(field.read("a.txt"), "two\n", "{applied}");
    let pruned = said(&kirosu(&field, "workspaces --prune", &data, &repo));
    assert!(pruned.starts_with("removed 2 worktrees\n"), "{pruned}");
    assert_eq!(field.git("worktree list").lines().count(), 1);
}

#[test]
fn another_repository_at_the_old_place_is_not_taken_for_the_moved_one() {
    let field = Field::new().file("a.txt", "one\n");
    field.commit("start");
    let hub = field.start("");
    hub.done("echo two > a.txt");
    drop(hub);
    let directory = field.setup.directory.path().canonicalize().unwrap();
    let (repo, repo2) = (directory.join("repo"), directory.join("repo2"));
    std::fs::rename(&repo, &repo2).unwrap();
    git(&directory, "init -q -b main repo");
    git(
        &repo,
        "-c user.name=A -c user.email=a@b commit -q --allow-empty -m other",
    );
    let data = directory.join("data");
    for words in ["apply 1", "diff 1", "workspaces --repair"] {
        let text = said(&kirosu(&field, words, &data, &repo));
        assert!(text.contains("another one is there"), "{words}: {text}");
        assert!(text.contains("set workdir"), "{words}: {text}");
    }
    let listed = git(&repo, "worktree list");
    assert_eq!(String::from_utf8_lossy(&listed.stdout).lines().count(), 1);
    let text = said(&kirosu(&field, "apply 1", &data, &repo2));
    assert!(text.contains("applied task 1"), "{text}");
    assert_eq!(
        std::fs::read_to_string(repo2.join("a.txt")).unwrap(),
        "two\n"
    );
}
