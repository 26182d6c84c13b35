//! A data folder that was copied, and the earlier attempts and moved worktrees that commands name.

use crate::common::until;
use crate::workspaces::field::{Agents, Field};
use crate::workspaces::moved::{kirosu, said};
use serde_json::json;
use std::path::Path;
use std::process::Command;

fn copy(from: &Path, to: &Path) {
    let done = Command::new("cp").arg("-a").arg(from).arg(to).status();
    assert!(done.unwrap().success());
}

#[test]
fn a_copied_data_folder_does_not_take_the_worktrees_of_the_original() {
    let field = Field::new().file("a.txt", "one\n");
    field.commit("start");
    let hub = field.start("");
    hub.done("echo two > a.txt");
    let failed = hub.enqueue(json!({"prompt": "echo w > w; exit 3"}));
    hub.ended(failed);
    let setup = hub.hub.kill();
    let directory = field.setup.directory.path().canonicalize().unwrap();
    let (data, data2) = (directory.join("data"), directory.join("data2"));
    let repo = directory.join("repo");
    copy(&data, &data2);
    let listed = field.git("worktree list --porcelain");
    let branches = field.git("for-each-ref");
    for words in [
        "workspaces --repair",
        "workspaces --prune",
        "apply 1",
        "apply 1 --check",
        "diff 1",
        "discard 1",
        "discard 1 --force",
    ] {
        let output = kirosu(&field, words, &data2, &repo);
        let text = said(&output);
        assert_eq!(output.status.code(), Some(1), "{words}: {text}");
        assert!(text.contains("is a copy of"), "{words}: {text}");
        assert_eq!(field.git("worktree list --porcelain"), listed, "{words}");
        assert_eq!(field.git("for-each-ref"), branches, "{words}");
    }
    // A hub on the copy starts with new worktrees.
    let copied = setup.clone().set(&format!("data_dir={}", data2.display()));
    let hub = Agents {
        hub: copied.start(),
    };
    hub.hub.client().call("retry", json!({"task_id": failed}));
    let task = until("it has run again", || {
        let task = hub.get(failed);
        (task["status"] == "failed" && task["attempt_list"].as_array()?.len() == 2).then_some(task)
    });
    assert!(
        task["printed"].to_string().contains("is a copy of"),
        "{task}"
    );
    drop(hub);
    let original = data.join(format!("workspaces/p/task-{failed}/w"));
    assert_eq!(std::fs::read_to_string(original).unwrap(), "w\n");
    let repaired = said(&kirosu(&field, "workspaces --repair", &data, &repo));
    assert_eq!(repaired.trim(), "repaired 0 worktrees");
    let applied = said(&kirosu(&field, "apply 1", &data, &repo));
    assert!(applied.contains("applied task 1"), "{applied}");
}

#[test]
fn a_data_folder_that_was_copied_with_its_repository_is_connected_to_that() {
    let field = Field::new().file("a.txt", "one\n");
    field.commit("start");
    let hub = field.start("");
    hub.done("echo two > a.txt");
    drop(hub);
    let directory = field.setup.directory.path().canonicalize().unwrap();
    let (data2, repo2) = (directory.join("data2"), directory.join("repo2"));
    copy(&directory.join("data"), &data2);
    copy(&directory.join("repo"), &repo2);
    let text = said(&kirosu(&field, "apply 1", &data2, &repo2));
    assert!(text.contains("workspaces --repair first"), "{text}");
    let text = said(&kirosu(&field, "workspaces --repair", &data2, &repo2));
    assert!(text.contains("repaired 1 worktree"), "{text}");
    std::fs::write(data2.join("workspaces/p/task-1/b.txt"), "copy\n").unwrap();
    let text = said(&kirosu(&field, "apply 1", &data2, &repo2));
    assert!(text.contains("2 files"), "{text}");
    assert_eq!(field.read("a.txt"), "one\n");
    let (data, repo) = (directory.join("data"), directory.join("repo"));
    let text = said(&kirosu(&field, "apply 1", &data, &repo));
    assert!(text.contains("1 file"), "{text}");
}

#[test]
fn discard_takes_all_attempts_of_the_task_or_none() {
    let field = Field::new()
        .file("a.txt", "one\n")
        .file(".gitignore", "secret\n");
    field.commit("start");
    let hub = field.start("");
    let script = "if [ $KIROSU_FENCE = 1 ]; then echo s > secret; exit 3; fi; \
                  if [ $KIROSU_FENCE = 2 ]; then w=$PWD; cd /; rm -rf $w; ln -s /nowhere $w; exit 3; fi; echo two > a.txt";
    let id = hub.enqueue(json!({"prompt": script, "max_attempts": 3}));
    assert_eq!(hub.ended(id)["status"], "done");
    let pool = field.setup.directory.path().join("data/workspaces/p");
    let before = field.worktrees();
    assert_eq!(before, ["task-1.2", "task-1.attempt-1"], "{before:?}");
    let said = hub.refused(&format!("discard {id}"));
    assert!(
        said.contains("task-1.attempt-1") && said.contains("secret"),
        "{said}"
    );
    assert_eq!(field.worktrees(), before);
    // The link that an agent left in place of its folder is not removed, so nothing else is.
    let refs = "for-each-ref refs/heads/kirosu refs/kirosu";
    let kept = field.git(refs);
    let said = hub.refused(&format!("discard {id} --force"));
    assert!(said.contains("symbolic link"), "{said}");
    assert_eq!(field.worktrees(), before);
    assert_eq!(field.git(refs), kept);
    std::fs::remove_file(pool.join("task-1")).unwrap();
    let gone = hub.json(&format!("discard {id} --force"));
    let paths: Vec<&str> = gone["worktrees"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it["path"].as_str().unwrap().rsplit('/').next().unwrap())
        .collect();
    assert_eq!(paths[0], "task-1.2", "{gone}");
    assert!(
        paths.contains(&"task-1.attempt-1") && paths.contains(&"task-1"),
        "{gone}"
    );
    assert_eq!(field.worktrees(), Vec::<String>::new());
    assert_eq!(field.git(refs), "");
}

#[test]
fn a_moved_worktree_is_named_whatever_its_state() {
    let field = Field::new().file("a.txt", "one\n");
    field.commit("start");
    let hub = field.start("");
    let directory = field.setup.directory.path().canonicalize().unwrap();
    let pool = directory.join("data/workspaces/p");
    for (id, script, apply) in [
        (1, "echo open > open", false),
        (2, "true", false),
        (3, "echo applied > applied", true),
    ] {
        assert_eq!(hub.done(script), id);
        if apply {
            hub.cli(&format!("apply {id}"));
        }
        let (from, to) = (
            pool.join(format!("task-{id}")),
            directory.join(format!("place-{id}")),
        );
        field.git(&format!(
            "worktree move {} {}",
            from.display(),
            to.display()
        ));
    }
    let pruned = hub.json("workspaces --prune");
    assert_eq!(pruned["removed"], json!([]), "{pruned}");
    for id in 1..4 {
        let place = directory.join(format!("place-{id}"));
        assert!(place.exists());
        let reason = pruned["kept"][id - 1]["reason"].as_str().unwrap();
        assert!(reason.contains(&*place.to_string_lossy()), "{pruned}");
        let listed = hub.json("workspaces");
        assert_eq!(
            listed["workspaces"][id - 1]["moved_to"],
            json!(place),
            "{listed}"
        );
    }
    // Locked by a person: neither pruned nor discarded without a word.
    hub.done("true");
    field.git(&format!(
        "worktree lock --reason mine {}",
        pool.join("task-4").display()
    ));
    let pruned = hub.json("workspaces --prune").to_string();
    assert!(pruned.contains("is locked (mine)"), "{pruned}");
    let said = hub.refused("discard 4");
    assert!(said.contains("worktree unlock"), "{said}");
    hub.cli("discard 4 --force");
}
