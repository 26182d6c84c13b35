//! Nothing is removed or called nothing while it is only in a worktree.

use crate::workspaces::field::{Agents, Field, git};
use serde_json::{Value, json};
use std::path::PathBuf;

fn folder(field: &Field, name: &str) -> PathBuf {
    let pool = field.setup.directory.path().join("data/workspaces/p");
    pool.join(name)
}

fn printed(hub: &Agents, id: i64) -> String {
    hub.get(id)["printed"].to_string()
}

fn kept(pruned: &Value) -> String {
    pruned["kept"].to_string()
}

#[test]
fn a_file_that_git_does_not_take_is_named_and_the_others_are_on_the_branch() {
    let field = Field::new().file(".gitattributes", "*.bin filter=big\n");
    field.commit("start");
    field.git("config filter.big.clean no-such-filter");
    field.git("config filter.big.required true");
    let hub = field.start("");
    let id = hub.done("echo new > b.bin; echo c > c.txt; mkdir d; echo d > d/d.bin; echo e > d/e");
    let said = printed(&hub, id);
    assert!(said.contains("not on the branch, only in"), "{said}");
    assert!(
        said.contains("b.bin, d/d.bin") && said.contains("clean filter"),
        "{said}"
    );
    assert!(!said.contains("hint"), "{said}");
    assert_eq!(field.git(&format!("show kirosu/task-{id}:d/e")), "e");
    for words in ["--check", ""] {
        let said = hub.refused(&format!("apply {id} {words}"));
        assert!(said.contains("not all is on the branch"), "{said}");
    }
    let applied = hub.json(&format!("apply {id} --partial"));
    assert_eq!(applied["files"], json!(["c.txt", "d/e"]));
    let pruned = hub.json("workspaces --prune --ignored");
    assert!(kept(&pruned).contains("b.bin"), "{pruned}");
    assert_eq!(
        std::fs::read_to_string(folder(&field, "task-1/b.bin")).unwrap(),
        "new\n"
    );

    // Nothing else changed: it is not called nothing.
    let id = hub.done("echo new > only.bin");
    let said = printed(&hub, id);
    assert!(said.contains("only.bin"), "{said}");
    let said = hub.refused(&format!("apply {id}"));
    assert!(said.contains("only.bin"), "{said}");
    let said = hub.refused(&format!("discard {id}"));
    assert!(
        said.contains("only.bin") && said.contains("--force"),
        "{said}"
    );
    hub.cli(&format!("discard {id} --force"));
}

#[test]
fn a_failed_attempts_files_are_kept_before_the_next_begins_anew() {
    let field = Field::new()
        .file(".gitignore", "build/\n")
        .file("a.txt", "one\n");
    field.commit("start");
    let hub = field.start("");
    // Ignored files, a repository, files that git is configured to ignore; and one attempt that leaves none of these.
    let script = "ls -A; case $KIROSU_FENCE in \
        1) mkdir build; echo built > build/x; echo p > p; exit 3;; \
        2) git init -q inner; echo i > inner/i; exit 3;; \
        3) git update-index --assume-unchanged a.txt; echo hidden > a.txt; exit 3;; \
        4) echo q > q; exit 3;; esac";
    let id = hub.enqueue(json!({"prompt": script, "max_attempts": 5}));
    let task = hub.ended(id);
    assert_eq!(task["result"], ".git\n.gitignore\na.txt", "{task}");
    let read = |name: &str| std::fs::read_to_string(folder(&field, name)).unwrap();
    assert_eq!(read("task-1.attempt-1/build/x"), "built\n");
    assert_eq!(read("task-1.attempt-2/inner/i"), "i\n");
    assert_eq!(read("task-1.attempt-3/a.txt"), "hidden\n");
    assert!(!folder(&field, "task-1.attempt-4").exists());
    assert_eq!(field.git("show refs/kirosu/task-1/4:q"), "q");
    let said = printed(&hub, id);
    for text in [
        "task-1.attempt-1",
        "task-1.attempt-3",
        "refs/kirosu/task-1/4",
    ] {
        assert!(said.contains(text), "{text}: {said}");
    }
    // Each is a worktree of its own, on its own branch.
    let listed = git(&folder(&field, "task-1.attempt-1"), "log -1 --format=%D");
    let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
    assert!(listed.contains("kirosu/task-1.attempt-1"), "{listed}");
    assert_eq!(
        hub.json("workspaces")["workspaces"]
            .as_array()
            .unwrap()
            .len(),
        4
    );
    assert_eq!(hub.json("diff 1")["branch"], "kirosu/task-1");
    let said = hub.refused("discard 1");
    assert!(
        said.contains("task-1.attempt-1") && said.contains("build/"),
        "{said}"
    );
    let gone = hub.json("discard 1 --force");
    let refs = gone["removed_refs"].to_string();
    for name in ["refs/heads/kirosu/task-1.attempt-2", "refs/kirosu/task-1/4"] {
        assert!(refs.contains(name), "{name}: {refs}");
    }
    assert_eq!(field.worktrees(), Vec::<String>::new());
    assert_eq!(field.git("for-each-ref refs/kirosu refs/heads/kirosu"), "");
    // By the printed commits all comes back that git takes.
    let references = gone["removed_refs"].as_array().unwrap();
    let commit = |name: &str| {
        let found = references.iter().find(|it| it["ref"] == name);
        found.unwrap()["commit"].as_str().unwrap().to_owned()
    };
    let q = field.git(&format!("show {}:q", commit("refs/kirosu/task-1/4")));
    assert_eq!(q, "q");
}

#[test]
fn files_outside_a_sparse_checkout_are_on_the_branch() {
    let field = Field::new()
        .file("in/a", "1\n")
        .file("out/b", "2\n")
        .file("out/c", "3\n");
    field.commit("start");
    field.git("sparse-checkout set in");
    let hub = field.start("");
    let id = hub.done("mkdir -p out; echo new > out/new; echo changed > out/b; echo z > in/z");
    let files = hub.json(&format!("diff {id}"))["files"].to_string();
    for name in ["out/new", "out/b", "in/z"] {
        assert!(files.contains(name), "{name}: {files}");
    }
    assert!(!files.contains("out/c"), "{files}");
    hub.cli(&format!("apply {id} --check"));
    hub.cli(&format!("apply {id}"));
    assert_eq!(field.git("show HEAD:out/b"), "changed");
    assert_eq!(field.git("show HEAD:out/c"), "3");
    assert_eq!(field.git("status --porcelain"), "");
}

#[test]
fn a_repository_within_is_named_kept_and_never_applied_as_a_link() {
    let field = Field::new().file("a.txt", "one\n").file("src/b", "b\n");
    field.commit("start");
    let hub = field.start("");
    let script = "git init -q tool; cd tool; echo x > x; git add x; git -c user.name=A -c user.email=a@b commit -qm work; \
        echo y > y; cd ..; echo note > note; git init -q src; cd src; git add b; git -c user.name=A -c user.email=a@b commit -qm inner";
    let id = hub.done(script);
    let said = printed(&hub, id);
    assert!(said.contains("src/, tool/ (repositories"), "{said}");
    let said = hub.refused(&format!("apply {id}"));
    assert!(said.contains("tool/"), "{said}");
    let applied = hub.json(&format!("apply {id} --partial"));
    assert_eq!(applied["files"], json!(["note"]));
    let pruned = hub.json("workspaces --prune --ignored");
    assert!(kept(&pruned).contains("tool/"), "{pruned}");
    assert!(folder(&field, "task-1/tool/y").exists());
    // Also where the agent has committed the link.
    let id = hub.done("git init -q t; cd t; echo x > x; git add x; git -c user.name=A -c user.email=a@b commit -qm work; cd ..; git add t 2>/dev/null; git commit -qm link");
    assert!(printed(&hub, id).contains("t/ (repositories"));
    assert_eq!(
        field.git(&format!("ls-tree --name-only kirosu/task-{id}")),
        "a.txt\nnote\nsrc"
    );
}

#[test]
fn a_submodule_counts_with_its_commits_and_its_files() {
    let field = Field::new().file("a.txt", "one\n");
    let library = field.setup.directory.path().join("lib.git");
    let source = field.setup.directory.path().join("lib");
    std::fs::create_dir_all(&source).unwrap();
    git(&source, "init -q -b main .");
    std::fs::write(source.join("l"), "l\n").unwrap();
    git(&source, "add l");
    git(&source, "-c user.name=A -c user.email=a@b commit -q -m lib");
    git(&source, &format!("clone -q --bare . {}", library.display()));
    field.git(&format!(
        "-c protocol.file.allow=always submodule --quiet add {} lib",
        library.display()
    ));
    field.commit("start");
    let hub = field.start("");
    let update = "git -c protocol.file.allow=always submodule --quiet update --init; git -C lib config user.name A; git -C lib config user.email a@b";

    // It is only there, and unchanged: nothing is said, and it may go.
    let id = hub.done(update);
    assert!(!printed(&hub, id).contains("not on the branch"));
    let task = json!({"prompt": update, "accept": {"diff": true}, "max_attempts": 1});
    let task = hub.ended(hub.enqueue(task));
    assert!(task.to_string().contains("the diff is empty"), "{task}");
    assert_eq!(hub.json("workspaces --prune")["removed"], json!([id]));

    // Committed there, but nowhere else.
    let id = hub.done(&format!(
        "{update}; cd lib; echo more >> l; git commit -qam work"
    ));
    let said = printed(&hub, id);
    assert!(said.contains("lib (submodule commits"), "{said}");
    for words in ["--check", "--partial", ""] {
        let said = hub.refused(&format!("apply {id} {words}"));
        assert!(said.contains("push it (git -C"), "{said}");
    }
    let worktree = folder(&field, &format!("task-{id}/lib"));
    let pushed = git(&worktree, "push -q origin HEAD:refs/heads/work");
    assert!(pushed.status.success(), "{pushed:?}");
    hub.cli(&format!("apply {id} --check"));
    hub.cli(&format!("apply {id}"));
    assert_eq!(hub.json("workspaces --prune")["removed"], json!([id]));

    // Not committed: it is a change, and stays.
    let edit = format!("{update}; echo edit >> lib/l");
    let task = json!({"prompt": edit, "accept": {"diff": true}});
    let id = hub.enqueue(task);
    assert_eq!(hub.ended(id)["status"], "done");
    assert!(printed(&hub, id).contains("lib/l (changes in submodules)"));
    let said = hub.refused(&format!("apply {id}"));
    assert!(said.contains("lib/l"), "{said}");
    let pruned = hub.json("workspaces --prune --ignored");
    assert!(kept(&pruned).contains("lib/l"), "{pruned}");

    // In a submodule's folder that is not populated git sees nothing.
    let id = hub.done("echo lost > lib/lost");
    assert!(printed(&hub, id).contains("lib/lost"));

    // Its git folder has commits, but it is not populated any more.
    let id = hub.done(&format!(
        "{update}; cd lib; echo more >> l; git commit -qam hidden; cd ..; git submodule --quiet deinit -f lib"
    ));
    let said = printed(&hub, id);
    assert!(said.contains("modules/lib (submodule commits"), "{said}");
    let pruned = hub.json("workspaces --prune --ignored");
    assert!(kept(&pruned).contains("modules/lib"), "{pruned}");

    // A failed attempt's submodule still works where it is kept.
    let script = format!(
        "{update}; if [ $KIROSU_FENCE = 1 ]; then cd lib; echo more >> l; git commit -qam kept; exit 3; fi"
    );
    let id = hub.enqueue(json!({"prompt": script, "max_attempts": 2}));
    assert_eq!(hub.ended(id)["status"], "done");
    let kept = folder(&field, &format!("task-{id}.attempt-1/lib"));
    let log = git(&kept, "log -1 --format=%s");
    assert_eq!(String::from_utf8_lossy(&log.stdout), "kept\n", "{log:?}");
    let status = git(&kept, "status --porcelain");
    assert!(
        status.status.success() && status.stdout.is_empty(),
        "{status:?}"
    );
}

#[test]
fn prune_looks_again_and_names_what_it_keeps_and_removes() {
    let field = Field::new()
        .file(".gitignore", "*.log\n")
        .file("a.txt", "one\n");
    let base = field.commit("start");
    let hub = field.start("");
    // A commit after the apply.
    let late = hub.done("echo y > y");
    hub.cli(&format!("apply {late}"));
    let worktree = folder(&field, &format!("task-{late}"));
    std::fs::write(worktree.join("y"), "fixed\n").unwrap();
    git(
        &worktree,
        "-c user.name=A -c user.email=a@b commit -q -a -m fix",
    );
    // One that is on no branch.
    let detached = hub.done("echo w > w");
    hub.cli(&format!("apply {detached}"));
    let worktree = folder(&field, &format!("task-{detached}"));
    git(&worktree, "checkout -q --detach");
    std::fs::write(worktree.join("w"), "fixed\n").unwrap();
    git(
        &worktree,
        "-c user.name=A -c user.email=a@b commit -q -a -m fix",
    );
    // An apply that was taken back.
    let reset = hub.done("echo x > x");
    let before = field.git("rev-parse HEAD");
    hub.cli(&format!("apply {reset}"));
    field.git(&format!("reset -q --hard {before}"));
    // A branch that the person has checked out.
    let out = hub.done("echo z > z");
    field.git(&format!(
        "worktree remove --force {}",
        folder(&field, &format!("task-{out}")).display()
    ));
    let elsewhere = field.setup.directory.path().join("elsewhere");
    field.git(&format!(
        "worktree add -q {} kirosu/task-{out}",
        elsewhere.display()
    ));
    hub.cli(&format!("apply {out}"));
    // Files that git ignores.
    let ignored = hub.done("echo log > x.log");
    // Nothing at all.
    let nothing = hub.done("true");
    // Commits that the agent has left behind.
    let amended = hub.done(
        "echo 1 > f; git add f; git commit -qm first; echo 2 > f; git commit -qa --amend -m second",
    );
    let said = printed(&hub, amended);
    assert!(
        said.contains(&format!("refs/kirosu/task-{amended}/1-unreferenced")),
        "{said}"
    );
    hub.cli(&format!("apply {amended}"));

    let pruned = hub.json("workspaces --prune");
    assert_eq!(pruned["removed"], json!([nothing, amended]), "{pruned}");
    let kept = pruned["kept"].as_array().unwrap();
    let why = |id: i64| {
        let found = kept.iter().find(|it| it["task_id"] == id);
        found.map(|it| it["reason"].to_string()).unwrap_or_default()
    };
    assert!(why(late).contains("is in no other branch"), "{pruned}");
    assert!(why(reset).contains("is in no other branch"), "{pruned}");
    assert!(why(detached).contains("which no branch has"), "{pruned}");
    assert!(why(out).contains("is checked out in"), "{pruned}");
    assert!(
        why(ignored).contains("x.log") && why(ignored).contains("--ignored"),
        "{pruned}"
    );
    let refs = pruned["removed_refs"].as_array().unwrap();
    let left = refs
        .iter()
        .find(|it| it["ref"].as_str().unwrap().ends_with("-unreferenced"));
    let left = left.unwrap()["commit"].as_str().unwrap();
    let log = field.git(&format!("log --format=%s {left}"));
    assert!(log.contains("first"), "{log}");

    let said = hub.refused(&format!("discard {out} --force"));
    assert!(said.contains("is checked out in"), "{said}");
    let said = hub.refused(&format!("discard {ignored}"));
    assert!(said.contains("x.log"), "{said}");
    let said = hub.cli("workspaces --prune --ignored");
    assert!(
        said.contains(&format!("refs/heads/kirosu/task-{ignored} was at {base}"))
            || said.contains("removed 1 worktree"),
        "{said}"
    );
    let gone = hub.cli(&format!("discard {late}"));
    let fix = gone.split_whitespace().last().unwrap().to_owned();
    assert_eq!(field.git(&format!("show {fix}:y")), "fixed");
    // The person's own checkout is on the branch.
    let own = hub.done("echo o > o");
    field.git(&format!(
        "worktree remove --force {}",
        folder(&field, &format!("task-{own}")).display()
    ));
    field.git(&format!("switch -q kirosu/task-{own}"));
    for verb in ["apply", "discard"] {
        let said = hub.refused(&format!("{verb} {own}"));
        assert!(said.contains("checked out"), "{said}");
    }
    hub.cli("workspaces --prune");
    assert_eq!(field.read("o"), "o\n");
    assert_eq!(
        field.git("log -1 --format=%s"),
        format!("kirosu: task {own}")
    );
}

#[test]
fn what_was_staged_and_written_over_is_kept() {
    let field = Field::new().file("a.txt", "one\n");
    field.commit("start");
    let hub = field.start("");
    let id =
        hub.done("echo staged > a.txt; git add a.txt; echo last > a.txt; echo n > n; git add n");
    let name = format!("refs/kirosu/task-{id}/1-unreferenced");
    let printed = hub.get(id)["printed"].to_string();
    assert!(printed.contains(&name), "{printed}");
    assert_eq!(field.git(&format!("show {name}^:a.txt")), "staged");
    assert_eq!(field.git(&format!("show kirosu/task-{id}:a.txt")), "last");
    // Content that is only staged is on the branch, and needs no reference of its own.
    let plain = hub.done("echo staged > b.txt; git add b.txt; echo m > m");
    let refs = field.git(&format!("for-each-ref refs/kirosu/task-{plain}"));
    assert_eq!(refs, "");
}
