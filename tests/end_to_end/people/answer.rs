//! `answer`: a person's words are the result of a `human` task, over each interface.

use crate::common::http;
use crate::common::{Hub, sentence, word};
use crate::people::kit::{fed, gateway, kirosu, parts, said};
use serde_json::json;

#[test]
fn the_answer_is_the_result_and_is_given_once() {
    let hub = Hub::with(&["gateway.enabled=true", "gateway.port=0"]);
    let mut client = hub.client();
    let mut human = |prompt: &str| client.enqueue_with(json!({"prompt": prompt, "type": "human"}));
    let ids: Vec<i64> = [
        "which?",
        "piped?",
        "over rest?",
        "over the wire?",
        "just yes?",
    ]
    .map(&mut human)
    .to_vec();
    let id = |at: usize| ids[at].to_string();
    let mut client = hub.client();

    assert_eq!(
        said(&hub, &["answer", &id(0), "the second"]),
        format!("task {} answered\n", id(0))
    );
    assert_eq!(said(&hub, &["get", &id(0), "--result"]), "the second\n");
    // Repeated, it changes nothing; another answer is refused, and the first one stays.
    assert_eq!(
        said(&hub, &["answer", &id(0), "the second"]),
        format!("task {} answered\n", id(0))
    );
    let (code, _, err) = parts(&kirosu(&hub, &["answer", &id(0), "the first"]));
    assert_eq!(code, 1);
    assert!(
        err.contains("it is done, with another answer already"),
        "{err}"
    );
    let detail = client.call("get", json!({"task_id": ids[0]}));
    assert_eq!(detail["task"]["result"], "the second");
    assert_eq!(detail["task"]["worker_id"], "human");
    let decisions = detail["decisions"].as_array().unwrap();
    assert_eq!(decisions.len(), 1, "{decisions:?}");
    assert_eq!(
        (&decisions[0]["verdict"], &decisions[0]["by"]),
        (&json!("answered"), &json!("ada"))
    );

    // From standard input, by name and without one.
    let piped = fed(&hub, &["answer", &id(1), "-"], "line one\nline two\n");
    assert!(piped.status.success(), "{piped:?}");
    assert_eq!(
        said(&hub, &["get", &id(1), "--result"]),
        "line one\nline two\n"
    );
    assert!(
        fed(&hub, &["answer", &id(1)], "line one\nline two\n")
            .status
            .success()
    );
    for empty in [
        fed(&hub, &["answer", &id(2)], ""),
        fed(&hub, &["answer", &id(2), "  "], ""),
    ] {
        assert_eq!(parts(&empty).0, 2, "{empty:?}");
    }

    // REST and wire.
    let address = gateway(&hub);
    let post = |id: i64, body: &str| {
        let path = format!("/tasks/{id}/answer");
        http::with(
            &address,
            "POST",
            &path,
            "content-type: application/json\r\n",
            body,
        )
    };
    assert_eq!(
        post(ids[2], r#"{"text":"über REST","by":"rest"}"#).status,
        200
    );
    assert_eq!(client.task(ids[2])["result"], "über REST");
    assert_eq!(post(ids[2], r#"{"text":"anders"}"#).status, 409);
    assert_eq!(post(ids[3], r#"{"by":"rest"}"#).status, 422);
    client.call("watch", json!({"kinds": ["task"]}));
    assert_eq!(
        client.call("answer", json!({"task_id": ids[3], "text": "wired"})),
        json!({"ok": true})
    );
    assert_eq!(client.notice("event")["reason"], "answered");

    // `approve` says no more than yes, as ever; no answer replaces it.
    client.call("approve", json!({"task_id": ids[4], "comment": "fine"}));
    assert_eq!(client.task(ids[4])["result"], "Approved by human");
    assert_eq!(
        word(&client.refused("answer", json!({"task_id": ids[4], "text": "no"}))),
        "wrong_state"
    );
}

#[test]
fn only_a_human_task_that_waits_for_it_takes_an_answer() {
    let hub = Hub::start();
    let mut client = hub.client();
    let chat = client.enqueue("work");
    let later = client.enqueue_with(json!({"prompt": "?", "type": "human", "depends_on": [chat]}));
    let gone = client.enqueue_with(json!({"prompt": "?", "type": "human"}));
    client.call("cancel", json!({"task_id": gone}));
    let held = client.enqueue_with(json!({"prompt": "x", "requires_approval": true}));
    for (id, part) in [
        (chat, "it is queued, but not of type `human`"),
        (
            held,
            "it is awaiting_approval, but not of type `human`: only those take an answer; `approve`",
        ),
        (later, "it is blocked, it can be answered once it is queued"),
        (
            gone,
            "it is cancelled, it ended without an answer; `retry` asks the question again",
        ),
    ] {
        let error = client.refused("answer", json!({"task_id": id, "text": "yes"}));
        assert_eq!(word(&error), "wrong_state", "{error}");
        assert!(sentence(&error).contains(part), "{error}");
    }
    let error = client.refused("answer", json!({"task_id": 99, "text": "yes"}));
    assert_eq!(word(&error), "unknown_task");
    for text in [json!(""), json!(" \n"), json!(null)] {
        let error = client.refused("answer", json!({"task_id": later, "text": text}));
        assert_eq!(word(&error), "invalid_params", "{error}");
    }
    // Dependents of an answered task continue.
    client.lease(json!({"worker_id": "w"}));
    client.call("ack", json!({"task_id": chat, "status": "done"}));
    let after = client.enqueue_with(json!({"prompt": "after", "depends_on": [later]}));
    assert_eq!(client.status(after), "blocked");
    client.call("answer", json!({"task_id": later, "text": "go"}));
    assert_eq!(client.status(after), "queued");
    // A cancelled question that is asked again takes its answer.
    client.call("retry", json!({"task_id": gone}));
    client.call("answer", json!({"task_id": gone, "text": "now"}));
    assert_eq!(client.task(gone)["result"], "now");
}
