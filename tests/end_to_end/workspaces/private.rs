//! Folders that are made for a session or a task: programs of a run put something else in their place.

use crate::common::until;
use crate::workspaces::field::{Agents, Field};
use crate::workspaces::replaced::{names, outside};
use serde_json::json;
use std::os::unix::fs::symlink;

/// A pool with folders of its own, `repo/p/…`.
fn start(field: &Field, workspace: &str, more: &str) -> Agents {
    let setup = field.configured("", more);
    let hub = setup.set(&format!("pool.p.workspace={workspace}")).start();
    Agents { hub }
}

/// Waits until the pool takes no tasks, for a reason that has these words.
pub fn until_parked(hub: &Agents, words: &str) {
    until("the pool says why it takes no tasks", || {
        let pools = hub.hub.client().call("pools", json!({})).to_string();
        pools.contains(words).then_some(())
    });
}

#[test]
fn an_ephemeral_pool_removes_only_the_folder_that_it_made() {
    let field = Field::new();
    let hub = start(&field, "ephemeral", "");
    let person = outside(&field, "person");
    for name in ["task-1-1", "task-2-1", "task-3-1"] {
        outside(&field, &format!("person/{name}"));
    }
    let pool = field.repository().join("p");
    let swap = format!(
        "P=$(cd ..; pwd -P); mv $P $P.old$KIROSU_TASK_ID; ln -s {} $P",
        person.display()
    );
    let id = hub.enqueue(json!({ "prompt": swap }));
    hub.ended(id);
    // The next task finds a link in place of the pool's folder: nothing is made behind it.
    let next = hub.enqueue(json!({"prompt": "pwd -P"}));
    until_parked(&hub, "symbolic link");
    assert_eq!(names(&person), ["mine", "task-1-1", "task-2-1", "task-3-1"]);
    for name in ["task-1-1", "task-2-1", "task-3-1"] {
        assert_eq!(names(&person.join(name)), ["mine"]);
    }
    std::fs::remove_file(&pool).unwrap();
    let told = hub.ended(next)["result"].to_string();
    assert!(told.contains("repo/p/task-2-"), "{told}");
    // A link in place of a task's folder.
    let link = format!("w=$PWD; cd ..; rm -rf $w; ln -s {} $w", person.display());
    hub.ended(hub.enqueue(json!({ "prompt": link })));
    symlink(&person, pool.join("task-4-1")).unwrap();
    let told = hub.done("pwd -P; ls");
    let told = hub.get(told)["result"].to_string();
    assert!(
        told.contains("task-4-1.2") && !told.contains("mine"),
        "{told}"
    );
    assert_eq!(names(&person), ["mine", "task-1-1", "task-2-1", "task-3-1"]);
}

#[test]
fn no_program_is_started_behind_a_link_in_place_of_a_sessions_folder() {
    let field = Field::new();
    let hooks = "hooks={ before = [\"touch\", \"before\"], after = [\"touch\", \"after\"] }\naccept_commands=true\nsize=1";
    let hub = start(&field, "isolated", hooks);
    let person = outside(&field, "person");
    let accept = json!({"command": ["touch", "accepted"]});
    let link = format!("w=$PWD; cd ..; rm -rf $w; ln -s {} $w", person.display());
    let task = hub.ended(hub.enqueue(json!({"prompt": link, "accept": accept})));
    assert_eq!(task["status"], "failed", "{task}");
    let said = task.to_string();
    assert!(
        said.contains("not_accepted") && said.contains("a symbolic link to"),
        "{said}"
    );
    let next = hub.enqueue(json!({"prompt": "pwd -P; touch agent", "accept": accept}));
    let task = hub.ended(next);
    assert_eq!(task["status"], "done", "{task}");
    assert!(task["result"].to_string().contains("session-1.2"), "{task}");
    assert!(
        task["printed"].to_string().contains("is left alone"),
        "{task}"
    );
    assert_eq!(names(&person), ["mine"]);
    let own = field.repository().join("p/session-1.2");
    assert_eq!(names(&own), ["accepted", "after", "agent", "before"]);
    // A folder of a person that was moved there.
    let script = format!("w=$PWD; cd ..; rm -rf $w; mv {} $w", person.display());
    let said = hub
        .ended(hub.enqueue(json!({ "prompt": script })))
        .to_string();
    assert!(said.contains("another folder is in its place"), "{said}");
    assert_eq!(names(&own), ["mine"]);
}

#[test]
fn another_folder_in_place_of_a_sessions_folder_is_not_worked_in() {
    let field = Field::new();
    let hub = start(&field, "isolated", "size=1");
    let pool = field.repository().join("p");
    hub.done("echo built > built");
    assert_eq!(hub.get(hub.done("cat built"))["result"], "built");
    // Between two runs.
    let person = outside(&field, "person");
    std::fs::rename(pool.join("session-1"), pool.join("aside")).unwrap();
    std::fs::rename(&person, pool.join("session-1")).unwrap();
    let task = hub.get(hub.done("touch agent; pwd -P"));
    assert!(task["result"].to_string().contains("session-1.2"), "{task}");
    assert!(
        task["printed"].to_string().contains("is left alone"),
        "{task}"
    );
    assert_eq!(names(&pool.join("session-1")), ["mine"]);
    // Put back, and after a restart.
    std::fs::rename(pool.join("session-1"), &person).unwrap();
    std::fs::rename(pool.join("aside"), pool.join("session-1")).unwrap();
    let hub = Agents {
        hub: hub.hub.kill().start(),
    };
    assert_eq!(hub.get(hub.done("cat built"))["result"], "built");
    // One that was removed is made anew; a pool's folder that was moved as a whole is found again.
    std::fs::remove_dir_all(pool.join("session-1")).unwrap();
    let task = hub.get(hub.done("ls; pwd -P"));
    assert!(
        task["result"].to_string().ends_with("/session-1\""),
        "{task}"
    );
}

#[test]
fn no_program_is_started_behind_a_link_in_place_of_the_pools_folder_in_a_worktree() {
    let field = Field::new().file("sub/s", "s\n");
    field.commit("start");
    let person = outside(&field, "person");
    let hub = field.start_in(
        "sub",
        "hooks={ before = [\"touch\", \"before\"], after = [\"touch\", \"after\"] }\naccept_commands=true\ntimeout=2s",
    );
    let link = format!("cd ..; rm -rf sub; ln -s {} sub", person.display());
    let accept = json!({"command": ["touch", "accepted"]});
    let task = hub.ended(hub.enqueue(json!({"prompt": link, "accept": accept})));
    let said = task.to_string();
    assert!(
        said.contains("not_accepted") && said.contains("a symbolic link to"),
        "{said}"
    );
    assert_eq!(names(&person), ["mine"]);
    // A further attempt, whether it goes on in the same files or begins anew.
    for end in ["exit 3", "sleep 60"] {
        let script =
            format!("if [ $KIROSU_FENCE = 1 ]; then {link}; {end}; fi; touch agent; pwd -P");
        let id = hub.enqueue(json!({"prompt": script, "max_attempts": 2}));
        let task = hub.ended(id);
        assert_eq!(task["status"], "done", "{task}");
        assert!(task["result"].to_string().contains("/sub"), "{task}");
        assert_eq!(names(&person), ["mine"], "{end}");
    }
}

#[test]
fn a_pool_whose_base_lacks_its_folder_takes_no_tasks() {
    let field = Field::new().file("a.txt", "one\n");
    field.commit("start");
    let field = field.file("sub/later", "x\n");
    let hub = field.start_in("sub", "");
    let id = hub.enqueue(json!({"prompt": "pwd -P"}));
    until_parked(&hub, "the base has no folder sub");
    field.commit("sub");
    let task = hub.ended(id);
    assert!(task["result"].to_string().contains("/sub"), "{task}");
    assert_eq!(task["attempts"], 1, "{task}");
}
