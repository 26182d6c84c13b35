//! Failures: conflicts, agents that misuse git, attempts that fail or are lost.

use crate::common::until;
use crate::workspaces::field::{Agents, Field};
use serde_json::json;

fn refuses(field: &Field, agents: &Agents, words: &str, why: &str) {
    let before = (field.git("rev-parse HEAD"), field.git("status --porcelain"));
    let said = agents.refused(words);
    assert!(said.contains(why), "{said}");
    let after = (field.git("rev-parse HEAD"), field.git("status --porcelain"));
    assert_eq!(before, after, "nothing half applied");
}

#[test]
fn what_cannot_be_applied_whole_is_not_applied() {
    let field = Field::new().file("a.txt", "one\n").file("b.txt", "b\n");
    field.commit("start");
    let hub = field.start("");
    let id = hub.done("echo agent > a.txt; echo x > b.txt; echo x > c.txt");
    let apply = format!("apply {id}");
    let field = field.file("b.txt", "mine\n");
    refuses(&field, &hub, &apply, "changes of its own in b.txt");
    field.git("checkout b.txt");
    let field = field.file("c.txt", "mine\n");
    refuses(&field, &hub, &apply, "changes of its own in c.txt");
    std::fs::remove_file(field.repository().join("c.txt")).unwrap();
    let field = field.file("a.txt", "person\n");
    field.commit("conflict");
    refuses(&field, &hub, &apply, "have both changed a.txt");
    refuses(
        &field,
        &hub,
        &format!("{apply} --check"),
        "git merge kirosu/task",
    );
    field.git("checkout -q --detach HEAD~1");
    refuses(&field, &hub, &apply, "no branch checked out");
    field.git("checkout -q -b other");
    hub.cli(&apply);
    assert_eq!(field.read("a.txt"), "agent\n");
}

#[test]
fn a_worktree_goes_only_when_nothing_of_it_is_lost_or_it_is_said_twice() {
    let field = Field::new().file("a.txt", "one\n");
    field.commit("start");
    let hub = field.start("");
    let id = hub.done("echo two > a.txt");
    let path = hub.json("workspaces")["workspaces"][0]["path"].clone();
    std::fs::write(format!("{}/by-hand", path.as_str().unwrap()), "x").unwrap();
    let said = hub.refused(&format!("discard {id}"));
    assert!(said.contains("--force"), "{said}");
    assert_eq!(hub.json("workspaces --prune")["removed"], json!([]));
    assert_eq!(
        hub.json(&format!("diff {id}"))["files"]
            .as_array()
            .unwrap()
            .len(),
        2
    );
    let gone = hub.json(&format!("discard {id} --force"));
    assert_eq!(field.worktrees(), Vec::<String>::new());
    assert_eq!(field.git("branch --list kirosu/*"), "");
    let kept = field.git(&format!("show {}:a.txt", gone["tip"].as_str().unwrap()));
    assert_eq!(kept, "two");
    let said = hub.refused(&format!("diff {id}"));
    assert!(said.contains("has no worktree under"), "{said}");
    // A record that leads elsewhere is not believed.
    let record = field
        .setup
        .directory
        .path()
        .join("data/workspaces/p/task-99.json");
    let elsewhere = serde_json::json!({
        "task_id": 99, "created_at": 1.0, "pool": "p", "name": "task-99", "repository": field.repository(),
        "common_dir": field.repository().join(".git"), "git_dir": "", "path": field.repository(), "prefix": "",
        "branch": "main", "base": "HEAD", "state": "discarded", "ended": "done", "fence": 1, "changed_ms": 1,
    });
    std::fs::write(&record, elsewhere.to_string()).unwrap();
    hub.cli("workspaces --prune");
    assert_eq!(field.read("a.txt"), "one\n");
    // A task that runs is left alone.
    let id =
        hub.enqueue(json!({"prompt": "echo x > begun; while [ ! -e end ]; do sleep 0.05; done"}));
    let begun = |hub: &Agents| hub.run(&format!("diff {id} --json")).status.success();
    until("the task runs", || begun(&hub).then_some(()));
    until("it has begun", || {
        let diff = hub.json(&format!("diff {id}"));
        (diff["files"][0]["path"] == "begun").then_some(())
    });
    for verb in ["discard", "apply"] {
        let said = hub.refused(&format!("{verb} {id}"));
        assert!(said.contains("runs in"), "{said}");
    }
    let worktree = field
        .setup
        .directory
        .path()
        .join(format!("data/workspaces/p/task-{id}"));
    std::fs::write(worktree.join("end"), "").unwrap();
    assert_eq!(hub.ended(id)["status"], "done");
}

#[test]
fn nothing_that_an_agent_does_to_git_leads_elsewhere_or_loses_work() {
    let field = Field::new().file("a.txt", "one\n");
    let base = field.commit("start");
    let evil = field.setup.directory.path().join("evil");
    let trap = field.setup.directory.path().join("trapped");
    let hook = format!("#!/bin/sh\ntouch {}\n", trap.display());
    for name in [
        "post-checkout",
        "pre-commit",
        "post-commit",
        "post-merge",
        "reference-transaction",
    ] {
        let path = field.repository().join(".git/hooks").join(name);
        std::fs::write(&path, &hook).unwrap();
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(&path, mode).unwrap();
    }
    let hub = field.start("");
    let cases = [
        // Its git folder is said to be another one, whose settings run a program.
        format!(
            "git init -q {0}; git -C {0} config core.fsmonitor 'touch {1}; false'; echo gitdir: {0}/.git > .git; echo work > w",
            evil.display(),
            trap.display()
        ),
        "rm .git; echo work > w".to_owned(),
        "echo work > w; git add w; git -c core.hooksPath= -c user.name=A -c user.email=a@b commit -q -m own".to_owned(),
        "git -c core.hooksPath= checkout -q -b elsewhere; echo work > w; git add w; git -c core.hooksPath= -c user.name=A -c user.email=a@b commit -q -m own".to_owned(),
        "git -c core.hooksPath= checkout -q --detach; git -c core.hooksPath= branch -D $(git branch --list 'kirosu/*' --contains HEAD --format='%(refname:short)' | tail -1); echo work > w".to_owned(),
        "touch $(git rev-parse --git-dir)/index.lock; echo work > w".to_owned(),
        "git init -q inner; echo work > w".to_owned(),
        "ln -s / out; echo work > w".to_owned(),
    ];
    for case in cases {
        let id = hub.done(&case);
        assert!(!trap.exists(), "{case}");
        let kept = field.git(&format!("show kirosu/task-{id}:w"));
        assert_eq!(kept, "work", "{case}");
        assert_eq!(field.git("rev-parse HEAD"), base, "{case}");
        assert_eq!(field.git("status --porcelain"), "", "{case}");
        let diff = hub.cli(&format!("diff {id}"));
        assert!(diff.contains("+work"), "{case}: {diff}");
        hub.cli(&format!("apply {id} --check --partial"));
        hub.cli(&format!("discard {id} --force"));
        assert!(!trap.exists(), "{case}");
    }
    assert_eq!(field.worktrees(), Vec::<String>::new());
}

#[test]
fn the_environment_of_the_hub_does_not_send_git_elsewhere() {
    let field = Field::new().file("a.txt", "one\n");
    field.commit("start");
    let other = field.setup.directory.path().join("other");
    std::fs::create_dir(&other).unwrap();
    crate::workspaces::field::git(&other, "init -q .");
    let setup = field
        .configured("", "")
        .environment("GIT_DIR", other.join(".git").to_str().unwrap())
        .environment("GIT_WORK_TREE", other.to_str().unwrap())
        .environment("GIT_INDEX_FILE", "/nowhere/index");
    let hub = Agents { hub: setup.start() };
    let id = hub.done("echo two > a.txt; git add a.txt; git status --short");
    assert_eq!(hub.get(id)["result"], "M  a.txt");
    assert_eq!(field.git(&format!("show kirosu/task-{id}:a.txt")), "two");
}

#[test]
fn a_failed_attempt_starts_anew_and_a_lost_one_goes_on() {
    let field = Field::new().file("a.txt", "one\n");
    field.commit("start");
    let hub = field.start("");
    let script = "if [ $KIROSU_FENCE = 1 ]; then echo half > half; echo built > ignored; exit 1; fi; ls; git log --format=%s";
    let id = hub.enqueue(json!({"prompt": script, "max_attempts": 2}));
    let task = hub.ended(id);
    assert_eq!(task["result"], "a.txt\nstart", "{task}");
    let half = field.git(&format!("show refs/kirosu/task-{id}/1:half"));
    assert_eq!(half, "half", "what the failed attempt did is not lost");
    hub.cli(&format!("discard {id}"));
    assert_eq!(field.git("for-each-ref refs/kirosu"), "");

    let script =
        "if [ $KIROSU_FENCE = 1 ]; then echo half > half; sleep 600; fi; ls; git status --short";
    let id = hub.enqueue(json!({"prompt": script, "max_attempts": 5}));
    let half = field
        .setup
        .directory
        .path()
        .join(format!("data/workspaces/p/task-{id}/half"));
    until("it works", || half.exists().then_some(()));
    let hub = Agents {
        hub: hub.hub.kill().start(),
    };
    let task = hub.ended(id);
    assert_eq!(task["result"], "a.txt\nhalf", "{task}");
    let log = field.git(&format!("log --format=%b -1 kirosu/task-{id}"));
    assert!(log.contains("what attempt 1 left"), "{log}");
}

#[test]
fn an_attempt_that_was_not_accepted_or_was_stopped_is_gone_on_with() {
    let field = Field::new().file("a.txt", "one\n");
    field.commit("start");
    let setup = field.configured("", "").set("shutdown.drain=0s");
    let hub = Agents { hub: setup.start() };
    let script = "if [ $KIROSU_FENCE = 1 ]; then echo half > half; else mv half whole; fi; exit 0";
    let task =
        json!({"prompt": script, "max_attempts": 2, "accept": {"file": "whole", "diff": true}});
    let id = hub.enqueue(task);
    assert_eq!(hub.ended(id)["status"], "done");
    assert_eq!(field.git(&format!("show kirosu/task-{id}:whole")), "half");

    let script = "if [ $KIROSU_FENCE = 1 ]; then echo half > half; sleep 600; fi; cat half";
    let id = hub.enqueue(json!({ "prompt": script }));
    let half = field
        .setup
        .directory
        .path()
        .join(format!("data/workspaces/p/task-{id}/half"));
    until("it works", || half.exists().then_some(()));
    let Agents { mut hub } = hub;
    hub.signal(rustix::process::Signal::INT);
    assert!(hub.ended().success());
    let setup = hub.setup.clone();
    drop(hub);
    let hub = Agents { hub: setup.start() };
    let task = hub.ended(id);
    assert_eq!(task["result"], "half", "{task}");
    assert_eq!(task["attempts"], 1, "a stop costs none: {task}");
}

#[test]
fn a_name_that_is_taken_is_left_alone() {
    let field = Field::new().file("a.txt", "one\n");
    field.commit("start");
    field.git("branch kirosu/task-1");
    let taken = field
        .setup
        .directory
        .path()
        .join("data/workspaces/p/task-1.2");
    std::fs::create_dir_all(&taken).unwrap();
    std::fs::write(taken.join("mine"), "x").unwrap();
    let hub = field.start("");
    let id = hub.done("echo two > a.txt");
    assert_eq!(id, 1);
    assert_eq!(hub.json("diff 1")["branch"], "kirosu/task-1.3");
    hub.cli("discard 1");
    assert!(taken.join("mine").exists());
    assert_eq!(field.git("branch --list kirosu/*"), "kirosu/task-1");
}

#[test]
fn a_pool_that_cannot_have_worktrees_takes_no_tasks_and_says_why() {
    let field = Field::new();
    let hub = field.start("");
    let id = hub.enqueue(json!({"prompt": "true"}));
    hub.logged("has no commits yet");
    assert_eq!(hub.get(id)["status"], "queued");
    drop(hub);
    std::fs::remove_dir_all(field.repository().join(".git")).unwrap();
    let hub = field.start("");
    hub.logged("is not in a git repository");
    drop(hub);
    let mut setup = field.configured("", "");
    let only_sh = field.setup.directory.path().join("bin");
    std::fs::create_dir(&only_sh).unwrap();
    std::os::unix::fs::symlink("/bin/sh", only_sh.join("sh")).unwrap();
    setup.environment = vec![("PATH".into(), only_sh.to_str().unwrap().into())];
    let hub = Agents { hub: setup.start() };
    hub.logged("git is not in PATH; install it (apt install git)");
}
