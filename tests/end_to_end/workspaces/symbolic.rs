//! An agent makes the branch of its task a symbolic reference: whatever Kirosu writes or removes by that name must not reach
//! the branch that it leads to.

use crate::workspaces::field::Field;
use serde_json::json;

/// Leads the branch of the task to `main`, and leaves a file.
const LEAD: &str = "git symbolic-ref refs/heads/kirosu/task-$KIROSU_TASK_ID refs/heads/main";

fn start() -> Field {
    let field = Field::new().file("a.txt", "one\n");
    field.commit("start");
    field
}

#[test]
fn work_is_committed_on_the_branch_of_the_task_alone() {
    let field = start();
    let main = field.git("rev-parse main");
    let hub = field.start("");
    let script = format!("{LEAD}; echo work > b.txt; exit 3");
    let id = hub.enqueue(json!({"prompt": script, "max_attempts": 2}));
    assert_eq!(hub.ended(id)["status"], "failed");
    assert_eq!(field.git("rev-parse main"), main);
    assert_eq!(field.git("status --porcelain"), "");
    assert_eq!(field.git(&format!("show kirosu/task-{id}:b.txt")), "work");
}

#[test]
fn a_discard_and_a_new_attempt_leave_the_other_branch() {
    for script in [
        LEAD.to_owned(),
        format!("{LEAD}; rm -rf ../task-$KIROSU_TASK_ID"),
    ] {
        let field = start();
        let hub = field.start("");
        let id = hub.enqueue(json!({"prompt": format!("{script}; exit 3"), "max_attempts": 2}));
        assert_eq!(hub.ended(id)["status"], "failed");
        // The person goes on; the branch of the task does not follow.
        std::fs::write(field.repository().join("c.txt"), "mine\n").unwrap();
        let main = field.commit("mine");
        hub.cli(&format!("retry {id}"));
        assert_eq!(hub.ended(id)["status"], "failed");
        assert_eq!(field.git("rev-parse main"), main);
        hub.cli(&format!("discard {id} --force"));
        assert_eq!(field.git("rev-parse main"), main);
        assert_eq!(field.git("for-each-ref refs/heads/kirosu"), "");
    }
}
