//! Worktrees and hooks end to end: the built binary, the git of this machine, and an agent that does as its prompt says.

mod applying;
mod attempts;
mod copied;
mod faults;
pub mod field;
mod going_on;
mod guarded;
mod halfway;
mod hooks;
mod kept;
mod mcp;
mod moved;
mod names;
mod planted;
mod private;
mod replaced;
mod shared_faults;
mod sharing;
mod stale_locks;
mod symbolic;
mod trouble;

use field::Field;
use serde_json::json;

#[test]
fn a_task_works_on_its_own_branch_until_a_person_applies_it() {
    let field = Field::new().file("a.txt", "one\n").file("b.txt", "b\n");
    let base = field.commit("start");
    // The person is in the middle of something.
    let field = field.file("b.txt", "mine\n").file("notes", "mine too\n");
    let hub = field.start("");
    let id = hub.done("echo two >> a.txt; echo new > c.txt; git log --format=%s -1; pwd");

    assert_eq!(field.git("rev-parse HEAD"), base);
    assert_eq!(field.git("status --porcelain"), "M b.txt\n?? notes");
    let told = hub.get(id)["result"].as_str().unwrap().to_owned();
    assert!(told.starts_with("start\n"), "{told}");
    assert!(told.ends_with(&format!("workspaces/p/task-{id}")), "{told}");

    let diff = hub.cli(&format!("diff {id}"));
    assert!(
        diff.contains("+two") && diff.contains("+++ b/c.txt"),
        "{diff}"
    );
    let listed = hub.json("workspaces");
    assert_eq!(listed["workspaces"][0]["files"], 2, "{listed}");
    assert_eq!(listed["workspaces"][0]["state"], "kept", "{listed}");
    let log = field.git(&format!("log --format=%an:%s kirosu/task-{id} -1"));
    assert_eq!(log, format!("Kirosu:kirosu: task {id}"));

    let check = hub.json(&format!("apply {id} --check"));
    assert_eq!(check["applied"], "possible", "{check}");
    assert_eq!(field.git("rev-parse HEAD"), base);
    let applied = hub.json(&format!("apply {id}"));
    assert_eq!(applied["files"], json!(["a.txt", "c.txt"]));
    assert_eq!(field.read("a.txt"), "one\ntwo\n");
    assert_eq!(field.read("b.txt"), "mine\n");
    assert_eq!(field.git("status --porcelain"), "M b.txt\n?? notes");
    assert_eq!(field.git("rev-parse HEAD^1"), base, "one merge commit");
    assert_eq!(hub.json(&format!("apply {id}"))["applied"], "already");

    assert_eq!(hub.json("workspaces --prune")["removed"], json!([id]));
    assert_eq!(field.git("branch --list kirosu/*"), "");
    assert_eq!(field.git("worktree list").lines().count(), 1);
    assert_eq!(field.worktrees(), Vec::<String>::new());
}

#[test]
fn eight_at_once_in_one_repository() {
    let field = Field::new().file("a.txt", "one\n");
    let base = field.commit("start");
    let hub = field.start("size=8");
    let ids: Vec<i64> = (0..16)
        .map(|n| hub.enqueue(json!({"prompt": format!("echo {n} > file-{n}; rm -f a.txt; echo x > a-{n}; git status >/dev/null")})))
        .collect();
    for id in &ids {
        assert_eq!(hub.ended(*id)["status"], "done");
    }
    assert_eq!(field.git("rev-parse HEAD"), base);
    assert_eq!(field.git("status --porcelain"), "");
    for (n, id) in ids.iter().enumerate() {
        let files = field.git(&format!("diff --name-only {base} kirosu/task-{id}"));
        assert_eq!(files, format!("a-{n}\na.txt\nfile-{n}"));
        hub.cli(&format!("apply {id}"));
    }
    assert_eq!(field.git("ls-files").lines().count(), 32);
    assert_eq!(
        hub.json("workspaces --prune")["removed"]
            .as_array()
            .unwrap()
            .len(),
        16
    );
    assert_eq!(field.git("fsck --no-dangling"), "");
}

#[test]
fn the_pools_folder_is_that_of_the_worktree_and_base_says_where_tasks_start() {
    let field = Field::new().file("sub/.kiro/context.md", "echo house rules\n");
    let first = field.commit("start");
    field.git("branch stable");
    let field = field.file("later", "x\n");
    field.commit("later");
    let hub = field.start_in("sub", "base=stable");
    let id = hub.done("pwd; git rev-parse HEAD; ls ..");
    let told = hub.get(id)["result"].as_str().unwrap().to_owned();
    let lines: Vec<&str> = told.lines().collect();
    assert_eq!(
        lines[0], "house rules",
        "the context goes before the prompt"
    );
    assert!(lines[1].ends_with(&format!("task-{id}/sub")), "{told}");
    assert_eq!(lines[2..], [first.as_str(), "sub"]);
    let id = hub.enqueue(json!({"prompt": "true", "workdir": "../.."}));
    assert_eq!(hub.ended(id)["status"], "failed");
    assert!(hub.get(id).to_string().contains("refused_by_policy"));
    let id = hub.enqueue(json!({"prompt": "true", "workdir": "/"}));
    assert!(hub.ended(id).to_string().contains("does not lie inside"));
    assert_eq!(
        field.worktrees().len(),
        1,
        "nothing is left of a refused task"
    );
}
