//! State that all worktrees of a repository share: changes of it are reported, and do not reach the person's next commit.

use crate::workspaces::field::Field;
use serde_json::json;

#[test]
fn a_stash_that_two_runs_share_is_reported_by_both() {
    let field = Field::new().file("a.txt", "one\n");
    field.commit("start");
    let hub = field.start("size=2");
    let mark = |name: &str| {
        field
            .setup
            .directory
            .path()
            .join(name)
            .display()
            .to_string()
    };
    let (a, b, c) = (mark("a"), mark("b"), mark("c"));
    let wait = |file: &str| format!("while [ ! -e {file} ]; do sleep 0.02; done");
    let one = hub.enqueue(json!({"prompt": format!("{}; echo A > a.txt; git stash -q; touch {a}; {}; git stash pop -q; touch {c}", wait(&mark("go")), wait(&b))}));
    let two = hub.enqueue(json!({"prompt": format!("touch {}; {}; echo B > a.txt; git stash -q; touch {b}; {}; git stash pop -q", mark("go"), wait(&a), wait(&c))}));
    for id in [one, two] {
        assert_eq!(hub.ended(id)["status"], "done");
        let said = hub.get(id)["printed"].to_string();
        assert!(said.contains("the stash, which all worktrees"), "{said}");
    }
    let id = hub.done("echo C > a.txt");
    let said = hub.get(id)["printed"].to_string();
    assert!(!said.contains("stash"), "{said}");
}

#[test]
fn an_agents_identity_does_not_reach_the_persons_commits() {
    let field = Field::new().file("a.txt", "one\n");
    field.commit("start");
    let hub = field.start("");
    let id = hub.done("git config user.name Bot; git config user.email bot@agent; echo x > x");
    let said = hub.get(id)["printed"].to_string();
    assert!(said.contains("user.name was changed from"), "{said}");
    assert!(said.contains("config user.name Person"), "{said}");
    hub.logged("git settings that all worktrees and your checkout share changed");
    let later = hub.done("echo y > y");
    for id in [id, later] {
        let applied = hub.json(&format!("apply {id}"));
        let note = applied["note"].as_str().unwrap();
        assert!(note.contains("Bot <bot@agent>"), "{note}");
        let author = field.git("log -1 --format=%an:%ae:%cn");
        assert_eq!(author, "Person:person@example.org:Person");
    }
    // A person who sets it has decided.
    field.git("config user.name Me");
    let id = hub.done("echo z > z");
    assert_eq!(hub.json(&format!("apply {id}"))["note"], json!(null));
    assert_eq!(field.git("log -1 --format=%an"), "Me");
}

#[test]
fn settings_that_make_a_checkout_unusable_stop_no_pool_and_are_named() {
    let field = Field::new().file("a.txt", "one\n");
    field.commit("start");
    let hub = field.start("");
    for (set, unset) in [
        ("core.bare true", "config core.bare false"),
        ("core.worktree /nowhere", "--unset-all core.worktree"),
    ] {
        let id = hub.done(&format!("git config {set}"));
        let said = hub.get(id)["printed"].to_string();
        assert!(said.contains(unset), "{said}");
        let next = hub.done("echo next > next; git status --short");
        assert_eq!(hub.get(next)["result"], "?? next");
        let check = hub.json(&format!("apply {next} --check"));
        assert_eq!(check["applied"], "possible");
        let doctor = format!(
            "doctor --set pool.p.provider=echo --set pool.p.workspace=worktree --set pool.p.workdir={}",
            field.repository().display()
        );
        let found = hub.run(&doctor);
        let found = String::from_utf8_lossy(&found.stdout).into_owned();
        assert!(found.contains(unset), "{found}");
        let git_dir = field.repository().join(".git");
        let key = set.split(' ').next().unwrap();
        let repair = match key {
            "core.bare" => format!("--git-dir={} config core.bare false", git_dir.display()),
            _ => format!("--git-dir={} config --unset-all {key}", git_dir.display()),
        };
        field.git(&repair);
        assert_eq!(field.git("status --porcelain"), "");
    }
}

#[test]
fn hooks_excludes_and_moved_branches_are_named() {
    let field = Field::new().file("a.txt", "one\n");
    let first = field.commit("start");
    let field = field.file("b.txt", "b\n");
    let second = field.commit("second");
    field.git("branch feature");
    field.git("branch gone");
    let hub = field.start("");
    let id = hub.done(
        "common=$(git rev-parse --git-common-dir); mkdir -p $common/hooks $common/info; echo 'exit 1' > $common/hooks/pre-commit; \
         echo secret >> $common/info/exclude; git branch -f feature HEAD~1; git branch -qD gone; git branch fresh; \
         echo x > x; git add x; git -c core.hooksPath=/dev/null commit -qm x; git update-ref refs/heads/fresh HEAD",
    );
    let said = hub.get(id)["printed"].to_string();
    for text in ["hooks/pre-commit", "info/exclude", "fresh at"] {
        assert!(said.contains(text), "{text}: {said}");
    }
    assert!(said.contains(&format!("feature was at {second}")), "{said}");
    assert!(said.contains(&first[..12]), "{said}");
    assert!(
        said.contains(&format!("gone is gone, it was at {second}")),
        "{said}"
    );
    // The person's own changes meanwhile are not taken for the agent's.
    let field = field.file("mine", "m\n");
    field.git("-c core.hooksPath=/dev/null add mine");
    let id = hub.done("true");
    let said = hub.get(id)["printed"].to_string();
    assert!(!said.contains("changed during"), "{said}");
}

#[test]
fn settings_that_change_the_form_of_gits_answers_change_nothing() {
    let field = Field::new().file("a.txt", "one\n");
    field.commit("start");
    for setting in [
        "color.ui always",
        "color.diff always",
        "diff.noprefix true",
        "diff.orderFile /nowhere",
        "diff.renames copies",
        "status.showUntrackedFiles no",
        "status.relativePaths true",
        "core.quotePath false",
    ] {
        field.git(&format!("config {setting}"));
    }
    let hub = field.start("");
    let id = hub.done("echo two > a.txt; echo new > new");
    let printed = hub.get(id)["printed"].to_string();
    assert!(printed.contains("2 files changed"), "{printed}");
    let patch = field.setup.directory.path().join("patch");
    std::fs::write(&patch, hub.cli(&format!("diff {id}"))).unwrap();
    field.git(&format!("apply --check {}", patch.display()));
    hub.cli(&format!("apply {id}"));
    assert_eq!(field.read("new"), "new\n");
}
