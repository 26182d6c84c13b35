//! Large texts, metadata and notes: what they take is bounded.

use crate::common::{Client, Hub, ids, until};
use crate::wire_bytes::{MIB, figure};
use serde_json::{Value, json};

#[test]
fn large_texts_are_cut_in_lists_and_whole_where_they_are_asked_for() {
    let hub = Hub::start();
    let mut client = hub.client();
    let (short, long) = ("ü".repeat(30_000), "ü".repeat(100_000));
    let plain = client.enqueue(&short);
    let large = client.enqueue_with(json!({
        "prompt": long, "system_prompt": long, "metadata": {"kept": long},
    }));
    let leased = client.call("lease", json!({"max_tasks": 2}));
    assert_eq!(ids(&leased), [plain, large]);
    client.call(
        "ack",
        json!({"task_id": plain, "status": "done", "result": short}),
    );
    client.call(
        "ack",
        json!({"task_id": large, "status": "failed", "error": long}),
    );
    let answer = client.call("list", json!({}));
    let [cut, whole] = answer["tasks"].as_array().unwrap().as_slice() else {
        panic!("{answer}");
    };
    assert_eq!(
        (&whole["prompt"], &whole["result"]),
        (&json!(short), &json!(short))
    );
    assert!(whole.get("cut").is_none());
    let prompt = cut["prompt"].as_str().unwrap();
    assert!(
        prompt.len() < 66_000 && prompt.starts_with("üüü"),
        "{}",
        prompt.len()
    );
    assert!(prompt.ends_with("[cut here: 65536 of 200000 bytes; `get` answers all of it]"));
    let lengths = json!({"prompt": 200_000, "system_prompt": 200_000, "error": 200_000});
    for (name, length) in lengths.as_object().unwrap() {
        assert_eq!(&cut["cut"][name], length, "{name}");
    }
    assert!(cut["cut"]["metadata"].as_u64() > Some(200_000) && cut["metadata"].is_null());
    let asked = client.call("list", json!({"preview_bytes": 0}));
    let asked = &asked["tasks"][0];
    assert_eq!(
        (&asked["prompt"], &asked["metadata"]["kept"]),
        (&json!(long), &json!(long))
    );
    assert!(asked.get("cut").is_none());
    let tiny = client.call("list", json!({"preview_bytes": 3}));
    assert!(
        tiny["tasks"][1]["prompt"]
            .as_str()
            .unwrap()
            .starts_with("ü\n[cut here: 2 of")
    );
    assert_eq!(client.task(large)["error"], json!(long));
    let waited = client.call("wait", json!({"task_ids": [large, plain]}));
    assert_eq!(ids(&waited), [large, plain]);
    assert_eq!(
        (&waited["tasks"][0]["prompt"], &waited["finished"]),
        (&json!(long), &json!(true))
    );
}

#[test]
fn answers_of_large_texts_that_nobody_reads_take_bounded_memory() {
    let hub = Hub::start();
    let mut client = hub.client();
    let text = "x".repeat(4 << 20);
    let made: Vec<i64> = (0..12).map(|_| client.enqueue(&text)).collect();
    let mut deaf: Vec<Client> = (0..3).map(|_| hub.client()).collect();
    let before = hub.resident();
    for client in &mut deaf {
        for _ in 0..10 {
            client.send("list", json!({"preview_bytes": 0}));
            client.send("get", json!({"task_id": made[0]}));
        }
        client.send("wait", json!({"task_ids": made, "timeout_seconds": 0}));
    }
    until("their texts are read for them", || {
        (figure(&mut client, "kirosu_answer_bytes") > 0.0).then_some(())
    });
    for _ in 0..50 {
        client.enqueue("small");
    }
    // A chunk per client, plus one that is being written: not the requested gigabyte.
    let grown = hub.resident().saturating_sub(before);
    assert!(grown < 200 * MIB, "grew by {} MiB", grown / MIB);
    drop(deaf);
    until("their room is given back", || {
        (figure(&mut client, "kirosu_answer_bytes") == 0.0).then_some(())
    });
    let all = client.call(
        "list",
        json!({"queue": "default", "preview_bytes": 0, "limit": 0}),
    );
    let whole = all["tasks"].as_array().unwrap().iter();
    assert_eq!(
        whole.filter(|task| task["prompt"] == text.as_str()).count(),
        12
    );
}

#[test]
fn a_lease_hands_out_no_more_bytes_than_a_worker_should_get_at_once() {
    let hub = Hub::start();
    let mut client = hub.client();
    let text = "x".repeat(3 << 20);
    for _ in 0..6 {
        client.enqueue(&text);
    }
    let first = client.call("lease", json!({"max_tasks": 100, "lease_seconds": 3600}));
    assert_eq!(ids(&first), [1, 2, 3]);
    assert_eq!(first["tasks"][2]["prompt"], text.as_str());
    let acks: Vec<Value> = (1..=3)
        .map(|id| json!({"task_id": id, "status": "done"}))
        .collect();
    let next = client.call("ack", json!({"acks": acks, "lease": {"max_tasks": 100}}));
    assert_eq!(ids(&next), [4, 5, 6]);
    assert_eq!(next["acks"].as_array().unwrap().len(), 3);
}

#[test]
fn metadata_and_progress_take_no_more_memory_than_they_should() {
    let hub = Hub::start();
    let mut client = hub.client();
    let zeros = json!(vec![0; 100_000]);
    client.enqueue_with(json!({"prompt": "p", "metadata": zeros}));
    let before = hub.resident();
    for _ in 0..40 {
        client.enqueue_with(json!({"prompt": "p", "metadata": zeros}));
    }
    // As values they are 125 MiB.
    let grown = hub.resident().saturating_sub(before);
    assert!(grown < 95 * MIB, "grew by {} MiB for metadata", grown / MIB);
    let task = client.lease(json!({"lease_seconds": 3600}));
    let (id, fence) = (&task["task_id"], &task["fence"]);
    let note = json!({"task_id": id, "fence": fence, "data": vec![0; 32_000]});
    let before = hub.resident();
    for _ in 0..150 {
        client.call("progress", note.clone());
    }
    assert!(figure(&mut client, "kirosu_event_bytes") <= (32 * MIB) as f64);
    // As values they are 150 MiB.
    let grown = hub.resident().saturating_sub(before);
    assert!(grown < 80 * MIB, "grew by {} MiB for events", grown / MIB);
}
