//! Webhooks: order, ids, signatures, and receivers that are down.

use super::*;
use std::collections::BTreeSet;

fn ids(events: &[Value]) -> Vec<String> {
    let id = |event: &Value| event["id"].as_str().unwrap().to_owned();
    events.iter().map(id).collect()
}

#[test]
fn a_receiver_that_was_down_gets_every_event_once_in_order() {
    let mut receiver = Receiver::down();
    let hub = setup(&webhook(&receiver, "")).start();
    let mut client = hub.client();
    let mut failed = vec![fail(&mut client, json!({}))];
    let target = until_failing(&mut client, "webhook", "cannot reach http://127.0.0.1:");
    assert_eq!(target["pending"], 1);
    assert!(target["failing"]["next_at"].is_f64(), "{target}");
    // Nothing listens; then it refuses, sends elsewhere, and does not answer.
    for (mode, why) in [
        ("500", "answered 500"),
        ("302", "redirects are not followed"),
        ("hang", "did not answer within 1s"),
    ] {
        receiver.mode(mode);
        if mode == "500" {
            receiver.start();
        }
        failed.extend((0..5).map(|_| fail(&mut client, json!({}))));
        until_failing(&mut client, "webhook", why);
    }
    assert_eq!(receiver.delivered(), [json!(null); 0]);
    let shown = text(&hub.cli(&["notify"]));
    assert!(shown.contains("failing\t16\tnever"), "{shown}");
    receiver.mode("200");
    let events = receiver.wait(16);
    until_settled(&mut client, "webhook");
    failed.push(fail(&mut client, json!({})));
    let events = [events, receiver.wait(17)[16..].to_vec()].concat();
    assert_eq!(tasks(&events), failed);
    let unique: BTreeSet<String> = ids(&events).into_iter().collect();
    assert_eq!(unique.len(), events.len(), "one id each");
    assert_eq!(receiver.delivered().len(), 17, "each once");
    for event in receiver.requests() {
        assert_eq!(event["signed"], true, "{event}");
        assert_eq!(event["type"], "application/json");
        assert_eq!(event["path"], "/hook", "no redirect was followed");
        assert_eq!(event["body"]["id"], event["id"]);
        assert!(unique.contains(event["id"].as_str().unwrap()), "{event}");
    }
    let shown = text(&hub.cli(&["notify"]));
    assert!(shown.contains("webhook\twebhook\tgood\t0\t"), "{shown}");
}

#[test]
fn an_event_has_no_private_texts_unless_they_are_included() {
    let receiver = Receiver::up();
    let more =
        "[[notify]]\nname = \"more\"\nkind = \"webhook\"\ninclude = [\"prompt\", \"result\"]\n";
    let url = receiver.url().replace("/hook", "/more");
    let settings = webhook(&receiver, "") + more + &format!("url = \"{url}\"\n");
    let hub = setup(&settings).start();
    let task = fail(&mut hub.client(), json!({"labels": ["a"]}));
    let events = receiver.wait(2);
    let of = |path: &str| events.iter().find(|it| it["path"] == path).unwrap();
    let body = &of("/hook")["body"];
    let expected = json!({
        "task_id": task, "status": "failed", "queue": "default", "type": "chat", "labels": ["a"],
        "attempts": 1, "error": "it broke",
    });
    assert_eq!(
        (&body["type"], &body["data"]),
        (&json!("failed"), &expected)
    );
    let time = body["timestamp"].as_str().unwrap();
    assert!(time.ends_with('Z') && time.len() == 24, "{time}");
    assert_eq!(of("/more")["body"]["data"]["prompt"], "a private prompt");
    assert_eq!(of("/more")["signed"], json!(null));
    assert_eq!(of("/more")["id"], of("/hook")["id"], "one event, one id");
}

#[test]
fn a_kill_between_commit_and_delivery_loses_no_event() {
    let receiver = Receiver::up();
    receiver.mode("500");
    let setup = setup(&webhook(&receiver, ""));
    let mut hub = setup.start();
    let mut failed = Vec::new();
    for _ in 0..3 {
        // The commit was answered, the delivery has failed or not begun.
        failed.extend((0..4).map(|_| fail(&mut hub.client(), json!({}))));
        hub = hub.kill().start();
    }
    until_failing(&mut hub.client(), "webhook", "500");
    let tried = receiver.requests();
    assert!(!tried.is_empty());
    let hub = hub.kill().start();
    receiver.mode("200");
    let events = receiver.wait(12);
    assert_eq!(tasks(&events), failed);
    assert_eq!(events[0]["id"], tried[0]["id"], "the id survives");
    until_settled(&mut hub.client(), "webhook");
    assert_eq!(receiver.delivered().len(), 12);
}

#[test]
fn a_receiver_may_ask_for_a_pause_or_for_the_end() {
    let receiver = Receiver::up();
    receiver.mode("429");
    let hub = setup(&webhook(&receiver, "")).start();
    let mut client = hub.client();
    fail(&mut client, json!({}));
    let failing = until_failing(&mut client, "webhook", "answered 429")["failing"].clone();
    let seconds = |name: &str| failing[name].as_f64().unwrap();
    assert!(seconds("next_at") - seconds("since") > 3500.0, "{failing}");
    receiver.mode("410");
    // A reload tries again at once.
    write(&hub.setup, &webhook(&receiver, "labels = []"));
    write(
        &hub.setup,
        &webhook(&receiver, "timeout = \"2s\"").replacen("timeout = \"1s\"\n", "", 1),
    );
    reload(&hub);
    let failing = until_failing(&mut client, "webhook", "answered 410")["failing"].clone();
    assert!(failing["next_at"].is_null(), "{failing}");
    let shown = text(&hub.cli(&["notify"]));
    assert!(shown.contains("stopped"), "{shown}");
    let tries = receiver.requests().len();
    receiver.mode("200");
    fail(&mut client, json!({}));
    assert_eq!(receiver.requests().len(), tries, "no further request");
    write(&hub.setup, &webhook(&receiver, ""));
    reload(&hub);
    receiver.wait(2);
    until_settled(&mut client, "webhook");
}

#[test]
fn a_test_goes_the_way_of_all_events() {
    let mut receiver = Receiver::up();
    let hub = setup(&webhook(
        &receiver,
        "name = \"ops\"\nevents = [\"drained\"]",
    ))
    .start();
    let output = hub.cli(&["notify", "test", "ops"]);
    assert!(output.status.success(), "{output:?}");
    assert!(text(&output).contains("ops has got the test"), "{output:?}");
    let event = receiver.wait(1).remove(0);
    assert_eq!(event["body"]["type"], "test");
    assert_eq!(event["body"]["data"], json!({"name": "ops"}));
    receiver.stop();
    let output = hub.cli(&["notify", "test", "ops", "--json"]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(answer["delivered"], false);
    assert!(answer["error"].as_str().unwrap().contains("cannot reach"));
    let output = hub.cli(&["notify", "test", "nothing"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output).contains("there are: ops"), "{output:?}");
}

#[test]
fn every_kind_of_event_is_sent() {
    let receiver = Receiver::up();
    let settings = webhook(&receiver, "")
        + r#"
[budget]
tokens = 100
[providers.gone]
kind = "command"
command = ["no-such-program-anywhere"]
[[pool]]
name = "gone"
provider = "gone"
size = 1
queues = ["gone"]
[[pool]]
name = "echo"
provider = "echo"
size = 1
"#;
    let hub = setup(&settings).up().start();
    let mut client = hub.client();
    let human = client.call("enqueue", json!({"prompt": "private?", "type": "human"}));
    let plan = "name: small\nsteps:\n  - id: a\n    prompt: hello\n";
    let run = client.call("enqueue", json!({"prompt": plan, "type": "plan"}));
    let run = run["task_id"].as_i64().unwrap();
    until("the run has ended", || {
        let status = client.call("get", json!({"task_id": run}))["task"]["status"].clone();
        (status == "done").then_some(())
    });
    fail(&mut client, json!({"queue": "mine"}));
    // A run that uses more than the budget.
    client.call("enqueue", json!({"prompt": "p", "queue": "mine"}));
    let leased = client.call("lease", json!({"queues": ["mine"]}))["tasks"][0].clone();
    let scope = json!({"scope": "hub", "tokens": 100, "per_seconds": 86400});
    client.call(
        "reserve",
        json!({"task_id": leased["task_id"], "fence": leased["fence"], "want": {"tokens": 10}, "scopes": [scope]}),
    );
    let usage = json!({"input_tokens": 200, "output_tokens": 1});
    client.call(
        "ack",
        json!({"task_id": leased["task_id"], "fence": leased["fence"], "status": "done", "result": "r", "usage": usage}),
    );
    let output = hub.cli(&["drain"]);
    assert!(output.status.success(), "{output:?}");
    let events = receiver.wait(6);
    let of = |kind: &str| {
        let found: Vec<&Value> = events
            .iter()
            .filter(|it| it["body"]["type"] == kind)
            .collect();
        assert_eq!(found.len(), 1, "{kind}: {events:?}");
        found[0]["body"]["data"].clone()
    };
    assert_eq!(of("waits_for_person")["task_id"], human["task_id"]);
    assert_eq!(of("waits_for_person")["type"], "human");
    assert_eq!(of("failed")["queue"], "mine");
    let ended = of("run_ended");
    assert_eq!(
        (&ended["task_id"], &ended["status"], &ended["name"]),
        (&json!(run), &json!("done"), &json!("small"))
    );
    let down = of("pool_down");
    assert_eq!(
        (&down["name"], &down["status"]),
        (&json!("gone"), &json!("missing"))
    );
    assert_eq!(of("budget_used_up")["name"], "hub");
    assert_eq!(of("drained"), json!({}));
    assert!(!format!("{events:?}").contains("private?"));
}
