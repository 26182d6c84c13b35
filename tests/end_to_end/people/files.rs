//! Files of tasks that are enqueued, and the results of many tasks.

use crate::common::Hub;
use crate::people::groups::end;
use crate::people::kit::{fed, kirosu, parts, said};
use serde_json::{Value, json};
use std::fs;

#[test]
fn lines_whose_keys_are_known_are_named_with_the_state_of_their_tasks() {
    let hub = Hub::start();
    let line = |key: &str| format!("{{\"prompt\":\"{key}\",\"idempotency_key\":\"{key}\"}}\n");
    let enqueue = |words: &[&str], keys: &[&str]| {
        let file: String = keys.iter().map(|key| line(key)).collect();
        let words = [&["enqueue", "--jsonl", "-"], words].concat();
        parts(&fed(&hub, &words, &file))
    };
    assert_eq!(
        enqueue(&[], &["a", "b"]),
        (0, "1\n2\n".into(), String::new())
    );
    end(&hub, "default", json!({"status": "failed", "error": "e"}));
    let (code, out, err) = enqueue(&[], &["a", "b", "c"]);
    assert_eq!((code, out.as_str()), (0, "1\n2\n3\n"));
    for text in [
        "2 lines enqueued nothing, because",
        "1 (failed), 2 (queued)",
        "kirosu retry",
    ] {
        assert!(err.contains(text), "{text}: {err}");
    }
    let (code, out, err) = enqueue(&["--json"], &["b", "d"]);
    assert_eq!((code, err.as_str()), (0, ""));
    let out: Value = serde_json::from_str(&out).unwrap();
    let expected = json!({"task_ids": [2, 4], "existed": [{"task_id": 2, "status": "queued"}]});
    assert_eq!(out, expected);
    // On a terminal the new ones are counted alone, also where a key is in the file twice.
    let file = hub.setup.directory.path().join("more.jsonl");
    fs::write(&file, [line("c"), line("e"), line("e")].concat()).unwrap();
    let command = format!(
        "{} --port {} enqueue --jsonl {}",
        env!("CARGO_BIN_EXE_kirosu"),
        hub.port,
        file.display()
    );
    let tmux = crate::common::tmux::Tmux::start((120, 20), &[], &command);
    tmux.see(&["enqueued 1 task: 5", "3 (queued), 5 (queued)", "[exit 0]"]);
}

#[test]
fn a_file_without_a_task_is_refused() {
    let hub = Hub::start();
    for file in ["", "\n  \n", "\u{feff}"] {
        let (code, out, err) = parts(&fed(&hub, &["enqueue", "--jsonl", "-"], file));
        assert_eq!((code, out.as_str()), (2, ""), "{err}");
        assert!(err.contains("has no line"), "{err}");
    }
    let (code, out, err) = parts(&fed(&hub, &["enqueue", "--jsonl", "-", "--json"], ""));
    assert_eq!((code, out.as_str()), (2, ""));
    assert!(serde_json::from_str::<Value>(&err).is_ok(), "{err}");
}

#[test]
fn results_come_in_the_order_that_is_asked_for() {
    let hub = Hub::start();
    let mut client = hub.client();
    // More than a page.
    let task = |n: usize| json!({"prompt": "p".repeat(3000), "queue": "q", "labels": ["all"], "metadata": n});
    let tasks: Vec<Value> = (1..=120).map(task).collect();
    client.call("enqueue_batch", json!({ "tasks": tasks }));
    client.enqueue("of another group");
    let lease = json!({"worker_id": "w", "queues": ["q"], "max_tasks": 200});
    let leased = client.call("lease", lease);
    let leased = leased["tasks"].as_array().unwrap();
    assert_eq!(leased.len(), 120);
    let acks: Vec<Value> = leased
        .iter()
        .map(|it| {
            let result = format!("result {}", it["task_id"]);
            json!({"task_id": it["task_id"], "fence": it["fence"], "status": "done", "result": result})
        })
        .collect();
    client.call("ack", json!({ "acks": acks }));
    let expected: Vec<String> = (1..=120).map(|n| format!("result {n}")).collect();
    let results = |words: &[&str]| {
        let out = said(&hub, &[&["results", "--label", "all"], words].concat());
        let lines = out.lines().filter(|line| line.starts_with("result "));
        lines.map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(results(&["--order", "oldest"]), expected);
    let newest: Vec<String> = expected.iter().rev().cloned().collect();
    assert_eq!(results(&["--order", "newest"]), newest);
    assert_eq!(results(&[]), newest);
    let lines = said(&hub, &["results", "110-120", "--json", "--order", "oldest"]);
    let ids: Vec<Value> = lines
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["task_id"].clone())
        .collect();
    assert_eq!(json!(ids), json!((110..=120).collect::<Vec<_>>()));
    let (code, _, err) = parts(&kirosu(&hub, &["results", "1", "--order", "random"]));
    assert_eq!(code, 2);
    assert!(err.contains("oldest"), "{err}");
}
