//! An agent that puts something else in the place of its worktree, or leaves git in the middle of something.

use crate::workspaces::field::{Agents, Field};
use serde_json::json;
use std::fs;
use std::path::PathBuf;

pub fn outside(field: &Field, name: &str) -> PathBuf {
    let folder = field.setup.directory.path().join(name);
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("mine"), "mine\n").unwrap();
    folder
}

pub fn names(folder: &PathBuf) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

#[test]
fn nothing_is_done_in_a_folder_that_is_not_the_worktree() {
    let field = Field::new().file("a.txt", "one\n");
    let base = field.commit("start");
    let hub = field.start("hooks={ after = [\"sh\", \"-c\", \"touch hooked\"] }");
    let (one, two) = (outside(&field, "one"), outside(&field, "two"));
    let moved = outside(&field, "moved");
    let link = |to: &PathBuf| format!("w=$PWD; cd /; rm -rf $w; ln -s {} $w", to.display());
    // After a failed attempt: the next one works elsewhere.
    let script = format!(
        "if [ $KIROSU_FENCE = 1 ]; then {}; exit 3; fi; ls",
        link(&one)
    );
    let task = hub.ended(hub.enqueue(json!({"prompt": script, "max_attempts": 2})));
    assert_eq!(task["result"], "a.txt", "{task}");
    assert!(
        task["printed"].to_string().contains("symbolic link"),
        "{task}"
    );
    assert_eq!(names(&one), ["mine"]);
    // After one that says that it is done: it is not.
    let id = hub.enqueue(json!({"prompt": link(&two)}));
    let task = hub.ended(id).to_string();
    assert!(
        task.contains("not_accepted") && task.contains("symbolic link"),
        "{task}"
    );
    assert_eq!(names(&two), ["mine"]);
    for verb in ["apply", "apply --check"] {
        let said = hub.refused(&format!("{verb} {id}"));
        assert!(said.contains("symbolic link"), "{verb}: {said}");
    }
    for verb in ["apply", "diff", "discard --force"] {
        let _ = hub.run(&format!("{verb} {id}"));
        assert_eq!(names(&two), ["mine"], "{verb}");
    }
    // Another program's folder, moved there.
    let script = format!("w=$PWD; cd /; rm -rf $w; mv {} $w", moved.display());
    let id = hub.enqueue(json!({ "prompt": script }));
    assert!(
        hub.ended(id)
            .to_string()
            .contains("another folder is in its place")
    );
    let said = hub.refused(&format!("discard {id} --force"));
    assert!(said.contains("was not removed"), "{said}");
    let there = field
        .setup
        .directory
        .path()
        .join(format!("data/workspaces/p/task-{id}"));
    assert_eq!(names(&there), ["mine"]);
    assert_eq!(field.git("rev-parse HEAD"), base);
    assert_eq!(field.git("status --porcelain"), "");
}

const COMMIT: &str = "git -c user.name=A -c user.email=a@b";

#[test]
fn a_new_attempt_finds_git_in_the_middle_of_nothing_and_loses_no_commit() {
    let field = Field::new().file("a.txt", "one\n");
    field.commit("start");
    let hub = field.start("");
    let branch = "b=$(git symbolic-ref --short HEAD)";
    let sides = format!(
        "{branch}; git checkout -q -b side-$KIROSU_TASK_ID; echo side > a.txt; {COMMIT} commit -qam side; git checkout -q $b; echo bad > a.txt; {COMMIT} commit -qam bad"
    );
    for (operation, state) in [
        (format!("{COMMIT} rebase side-$KIROSU_TASK_ID"), true),
        (format!("{COMMIT} merge side-$KIROSU_TASK_ID"), true),
        (format!("{COMMIT} cherry-pick side-$KIROSU_TASK_ID"), true),
        (
            format!(
                "{COMMIT} revert HEAD~1..HEAD --no-edit; git bisect start HEAD HEAD~1; git bisect bad"
            ),
            true,
        ),
        (
            format!(
                "git format-patch -q -1 side-$KIROSU_TASK_ID --stdout > /tmp/kirosu-test-$$; {COMMIT} am /tmp/kirosu-test-$$; rm /tmp/kirosu-test-$$"
            ),
            true,
        ),
    ] {
        let script = format!(
            "set +e; if [ $KIROSU_FENCE = 1 ]; then {sides}; {operation}; exit 4; fi; git status; git rebase --abort; git am --abort; git merge --abort; git cherry-pick --abort; git for-each-ref refs/bisect; git log --format=%s; ls"
        );
        let id = hub.enqueue(json!({"prompt": script, "max_attempts": 2}));
        let task = hub.ended(id);
        let told = task["result"].as_str().unwrap_or_default().to_owned();
        assert!(
            told.ends_with("working tree clean\nstart\na.txt"),
            "{operation}: {task}"
        );
        let kept = field.git(&format!(
            "for-each-ref --format=%(refname) refs/kirosu/task-{id}"
        ));
        assert_eq!(kept.contains("1.state"), state, "{operation}: {kept}");
        let log = field.git(&format!("log --format=%s refs/kirosu/task-{id}/1"));
        assert!(log.contains("bad"), "{operation}: {log}");
    }
}

fn conflicted(hub: &Agents, after: &str, attempts: u32) -> i64 {
    let script = format!(
        "if [ $KIROSU_FENCE = 1 ]; then b=$(git symbolic-ref --short HEAD); git checkout -q -b s-$KIROSU_TASK_ID; echo s > a.txt; {COMMIT} commit -qam s; git checkout -q $b; echo m > a.txt; {COMMIT} commit -qam m; {COMMIT} merge s-$KIROSU_TASK_ID || true; {after}; exit 0; fi; cat > /dev/null; grep -c '<<<<<<<' a.txt; echo merged > a.txt; exit 0"
    );
    hub.enqueue(json!({"prompt": script, "max_attempts": attempts}))
}

#[test]
fn conflicts_that_are_left_are_not_accepted_and_not_applied() {
    let field = Field::new().file("a.txt", "one\n");
    field.commit("start");
    let hub = field.start("");
    let id = conflicted(&hub, "true", 1);
    let task = hub.ended(id).to_string();
    assert!(
        task.contains("not_accepted") && task.contains("a.txt"),
        "{task}"
    );
    let said = hub.refused(&format!("apply {id}"));
    assert!(
        said.contains("conflicts that are not resolved in a.txt"),
        "{said}"
    );
    assert_eq!(field.read("a.txt"), "one\n");
    // A person resolves them in the worktree.
    let there = field
        .setup
        .directory
        .path()
        .join(format!("data/workspaces/p/task-{id}/a.txt"));
    fs::write(there, "by hand\n").unwrap();
    hub.cli(&format!("apply {id}"));
    assert_eq!(field.read("a.txt"), "by hand\n");
    field.git("reset -q --hard HEAD^1");
    // Added and committed with its markers.
    let commit = format!("git add -A; {COMMIT} commit -qm merged");
    let id = conflicted(&hub, &commit, 1);
    let task = hub.ended(id).to_string();
    assert!(task.contains("not_accepted"), "{task}");
    hub.refused(&format!("apply {id}"));
    // The next attempt resolves them.
    let id = conflicted(&hub, "true", 2);
    let task = hub.ended(id);
    assert_eq!(
        (&task["status"], &task["result"]),
        (&json!("done"), &json!("1")),
        "{task}"
    );
    assert_eq!(field.git(&format!("show kirosu/task-{id}:a.txt")), "merged");
    // One that was resolved without a word to git is resolved.
    let id = conflicted(&hub, "echo fine > a.txt", 1);
    assert_eq!(hub.ended(id)["status"], "done");
}
