//! Programs before and after a run.

use crate::common::until;
use crate::workspaces::field::Field;
use serde_json::json;

#[test]
fn hooks_run_in_the_folder_of_the_run_and_what_they_print_is_its_output() {
    let field = Field::new().file("a.txt", "one\n");
    field.commit("start");
    let hub = field.start(
        "hooks={ before = [\"sh\", \"-c\", \"echo prepared; echo $KIROSU_TASK_ID $KIROSU_POOL > dep\"], after = [\"sh\", \"-c\", \"echo $KIROSU_OUTCOME on $KIROSU_BRANCH; echo formatted >> dep\"] }",
    );
    let id = hub.done("cat dep");
    let task = hub.get(id);
    assert_eq!(task["result"], format!("{id} p"));
    let printed = task["printed"].to_string();
    assert!(printed.contains("prepared"), "{printed}");
    assert!(
        printed.contains(&format!("done on kirosu/task-{id}")),
        "{printed}"
    );
    assert!(printed.contains(&format!("kirosu diff {id}")), "{printed}");
    let dep = field.git(&format!("show kirosu/task-{id}:dep"));
    assert_eq!(
        dep,
        format!("{id} p\nformatted"),
        "it is committed after the hook"
    );
}

#[test]
fn a_failed_hook_before_keeps_the_agent_from_running_and_the_one_after_runs_all_the_same() {
    let field = Field::new().file("a.txt", "one\n");
    field.commit("start");
    let hub = field.start(
        "hooks={ before = [\"sh\", \"-c\", \"echo no network >&2; exit 7\"], after = [\"sh\", \"-c\", \"echo after $KIROSU_OUTCOME\"] }",
    );
    let id = hub.enqueue(json!({"prompt": "echo ran > ran"}));
    let task = hub.ended(id);
    let said = task.to_string();
    assert_eq!(task["status"], "failed", "{task}");
    assert!(
        said.contains("exited with code 7") && said.contains("no network"),
        "{said}"
    );
    assert!(
        said.contains("provider_error") && said.contains("after provider_error"),
        "{said}"
    );
    assert!(
        !field
            .setup
            .directory
            .path()
            .join(format!("data/workspaces/p/task-{id}/ran"))
            .exists()
    );
}

#[test]
fn a_hook_whose_program_is_not_there_costs_no_attempt() {
    let field = Field::new().file("a.txt", "one\n");
    field.commit("start");
    let hub = field.start("hooks={ before = [\"no-such-program\"] }");
    let id = hub.enqueue(json!({"prompt": "echo ran"}));
    hub.logged("no-such-program\", could not be started");
    // The hub hears of it a moment later.
    until("the task is back", || {
        let task = hub.get(id);
        let is_back = task["attempts"] == 0 && task["error"].is_null();
        is_back.then_some(())
    });
}

#[test]
fn the_hook_after_decides_only_where_it_is_said_and_none_outlives_its_time() {
    for must in [false, true] {
        let field = Field::new().file("a.txt", "one\n");
        field.commit("start");
        let hub = field.start(&format!(
            "hooks={{ after = [\"sh\", \"-c\", \"echo broken >&2; sleep 600\"], timeout = \"1s\", after_must_succeed = {must} }}"
        ));
        let id = hub.enqueue(json!({"prompt": "echo fine"}));
        let task = hub.ended(id);
        let status = if must { "failed" } else { "done" };
        assert_eq!(task["status"], status, "{task}");
        let said = task.to_string();
        assert!(said.contains("did not end in time"), "{said}");
    }
}

#[test]
fn a_cancel_while_the_hook_after_runs_hurries_it() {
    let field = Field::new().file("a.txt", "one\n");
    field.commit("start");
    let mark = field.repository().join("after-begun");
    let hub = field.start(&format!(
        "hooks={{ after = [\"sh\", \"-c\", \"touch {}; sleep 600\"], timeout = \"10m\" }}",
        mark.display()
    ));
    let id = hub.enqueue(json!({"prompt": "echo fine"}));
    until("the hook has begun", || mark.exists().then_some(()));
    hub.hub.client().call("cancel", json!({"task_id": id}));
    // Its session is free for the next one long before the hook would have ended.
    hub.logged("the hook after runs of pool");
}
