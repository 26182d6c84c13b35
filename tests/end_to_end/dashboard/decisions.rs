//! Decisions: with one of several options, with a reason, with an answer of several lines.

use super::{SIZES, choose, open};
use crate::common::{Hub, until};
use serde_json::{Value, json};

#[test]
fn permission_requests_are_answered_with_an_option_or_a_reason() {
    let hub = Hub::start();
    let mut worker = hub.session("w");
    let task = worker.enqueue("work");
    worker.lease(json!({"worker_id": "w", "lease_seconds": 60}));
    let options: Vec<Value> = (0..12)
        .map(|n| json!({"id": format!("db{n}"), "name": format!("Database {n} 👩\u{200d}💻")}))
        .collect();
    let mut ask = |call: &str, options: Value| {
        worker.call("ask", json!({"task_id": task, "fence": 1, "call": call, "tool": "shell", "title": "which one?",
            "args": {"command": "connect"}, "options": options}))
    };
    ask("c1", json!(options));
    ask("c2", json!([]));
    for size in SIZES {
        let tmux = open(&hub, size, "--screen inbox");
        tmux.see(&["a1", "a2", "live"]);
        tmux.keys(&["a"]);
        let screen = tmux.see(&[
            "approve a1: with which option?",
            "db0 (Database 0",
            "Enter approve",
        ]);
        assert!(!screen.contains("db11 (") || size.0 > 80, "{screen}");
        println!("{screen}");
        tmux.keys(&["Escape"]);
        tmux.see(&["nothing was done"]);
    }
    let tmux = open(&hub, SIZES[0], "--screen inbox");
    tmux.see(&["a1", "a2"]);
    tmux.keys(&["a", "j", "j", "Enter"]);
    tmux.see(&["a1 approved with db2"]);
    tmux.gone(&[" a1 "]);
    tmux.keys(&["r"]);
    tmux.see(&["reject a2: reason (may be empty)"]);
    tmux.keys(&["not on main", "Enter"]);
    tmux.see(&["a2 rejected", "nothing waits for a person"]);
    let decided = |call: &str, ask: &mut dyn FnMut(&str, Value) -> Value| ask(call, json!([]));
    let second = decided("c2", &mut ask);
    assert_eq!(
        (&second["state"], &second["reason"]),
        (&json!("rejected"), &json!("not on main"))
    );
    let first = ask("c1", json!(options));
    assert_eq!(
        (&first["state"], &first["option"]),
        (&json!("approved"), &json!("db2"))
    );
    // Decided by another client while the question is open.
    ask("c3", json!(options));
    tmux.see(&["a3"]);
    tmux.keys(&["a"]);
    tmux.see(&["approve a3: with which option?"]);
    hub.client().call("reject", json!({"approval_id": 3}));
    tmux.see(&["that was decided meanwhile"]);
}

#[test]
fn an_answer_may_have_lines_typed_and_inserted() {
    let hub = Hub::start();
    let mut client = hub.client();
    let ask = |client: &mut crate::common::Client, prompt: &str| {
        client.enqueue_with(json!({"prompt": prompt, "type": "human"}))
    };
    let first = ask(&mut client, "Which names?");
    let tmux = open(&hub, SIZES[0], "");
    tmux.see(&["Which names?", "live"]);
    tmux.keys(&["w"]);
    tmux.see(&[&format!("answer to task {first}"), "Ctrl-J new line"]);
    tmux.keys(&["-l", "ada"]);
    tmux.keys(&["C-j"]);
    tmux.keys(&["-l", "grace, cq"]);
    tmux.keys(&["M-Enter"]);
    // The letters of what is inserted are no keys, and its line ends do not send it.
    tmux.paste("q\ny 日本 👩\u{200d}💻\nend");
    let screen = tmux.see(&["│ ada", "│ grace, cq", "│ y 日本", "│ end"]);
    println!("{screen}");
    tmux.keys(&["BSpace", "Enter"]);
    tmux.see(&[&format!("task {first} answered")]);
    let result = client.task(first)["result"].take();
    assert_eq!(result, "ada\ngrace, cq\nq\ny 日本 👩\u{200d}💻\nen");
    // Without a question, an insertion does nothing.
    let second = ask(&mut client, "Another?");
    choose(&tmux, &["g"], "Another?");
    tmux.paste("cyq");
    tmux.keys(&["r"]);
    tmux.see(&[&format!("reject task {second}: reason")]);
    tmux.keys(&["C-j", "Enter"]);
    tmux.see(&[&format!("task {second} rejected")]);
    until("it is rejected without a reason", || {
        let error = client.task(second)["error"].take();
        error
            .as_str()
            .is_some_and(|it| it.starts_with("rejected"))
            .then_some(())
    });
}
