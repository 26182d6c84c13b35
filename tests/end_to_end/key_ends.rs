//! The end of a key: whatever was begun with it ends, too.

use crate::common::http::with;
use crate::common::process::{address, setup};
use crate::common::{Client, Hub, sentence, until, word};
use serde_json::{Value, json};

fn add(hub: &Hub, name: &str, role: &str, limits: Value) -> String {
    let mut params = limits;
    params["name"] = json!(name);
    params["role"] = json!(role);
    let added = hub.client().call("key_add", params);
    added["key"].as_str().unwrap().to_owned()
}

/// Waits until a key is refused.
fn expires(hub: &Hub, key: &str) {
    until("the key expires", || {
        let mut client = hub.client();
        let id = client.send("stats", json!({"auth_token": key}));
        client.answer(id)["error"].is_object().then_some(())
    });
}

/// A watch that sends its key with the request only, or with `hello`.
fn watching(hub: &Hub, key: &str, greets: bool) -> Client {
    let mut client = hub.client();
    match greets {
        true => {
            client.call("hello", json!({"auth_token": key}));
            client.call("watch", json!({"kinds": ["task"]}));
        }
        false => drop(client.call("watch", json!({"kinds": ["task"], "auth_token": key}))),
    }
    client
}

#[test]
fn a_watch_ends_with_its_key() {
    let hub = Hub::start();
    for greets in [true, false] {
        for is_revoked in [true, false] {
            let name = format!("spy-{greets}-{is_revoked}");
            let limits = match is_revoked {
                true => json!({}),
                false => json!({"expires_seconds": 1}),
            };
            let key = add(&hub, &name, "observe", limits);
            let mut spy = watching(&hub, &key, greets);
            match is_revoked {
                true => drop(hub.client().call("key_revoke", json!({"name": name}))),
                false => expires(&hub, &key),
            }
            let secret = hub
                .client()
                .enqueue_with(json!({"prompt": "p", "queue": name}));
            let mut other = watching(&hub, "", false);
            hub.client().call("cancel", json!({"task_id": secret}));
            // Another watch has the event: it has been sent to all that watch.
            assert_eq!(other.read()["params"]["task_id"], secret);
            // The watch has ended, and the client learns the reason when it watches again.
            assert_eq!(spy.read()["params"]["lagged"], true);
            let refused = spy.refused("watch", json!({"auth_token": key}));
            assert_eq!(word(&refused), "unauthorized");
        }
    }
}

#[test]
fn a_wait_is_not_answered_after_the_end_of_its_key() {
    let hub = Hub::start();
    let task = hub.client().enqueue("the answer is secret");
    let key = add(&hub, "short", "observe", json!({"expires_seconds": 1}));
    let mut client = hub.client();
    let wait = json!({"task_ids": [task], "timeout_seconds": 600, "auth_token": key});
    let waiting = client.send("wait", wait);
    expires(&hub, &key);
    hub.client().call("cancel", json!({"task_id": task}));
    let answer = client.answer(waiting);
    assert_eq!(word(&answer["error"]), "unauthorized", "{answer}");
}

#[test]
fn a_key_that_would_end_at_once_is_refused() {
    let hub = Hub::start();
    for given in [json!(0), json!("0"), json!(0.0), json!(false), json!(0.5)] {
        let params = json!({"name": "x", "role": "observe", "expires_seconds": given});
        let refused = hub.client().refused("key_add", params);
        assert_eq!(word(&refused), "invalid_params", "{refused}");
        assert!(sentence(&refused).contains("expires_seconds"), "{refused}");
    }
    let listed = hub.client().call("key_list", json!({}));
    assert_eq!(listed["keys"], json!([]));
}

#[test]
fn what_a_key_may_not_do_is_refused_before_it_takes_long() {
    let hub = Hub::start();
    let key = add(&hub, "reader", "observe", json!({}));
    // Each of these takes milliseconds to compile: all of them more than may be spent on a request.
    let slow: Vec<Value> = (0..900)
        .map(|n| json!({"prompt": "p", "accept": {"regex": format!("\\w{{20}}{n}")}}))
        .collect();
    let batch = json!({"tasks": slow, "auth_token": key});
    let refused = hub.client().refused("enqueue_batch", batch);
    assert_eq!(word(&refused), "forbidden", "{refused}");
}

#[test]
fn a_hubs_key_of_hexadecimal_digits_is_no_fingerprint() {
    let key = "0123456789abcdef".repeat(4);
    let hub = setup().environment("KIRO_SWARM_KEY", &key).start();
    let header = format!("x-kiro-key: {key}\r\n");
    let answer = with(&address(&hub), "GET", "/stats", &header, "");
    assert_eq!(answer.status, 200, "{answer:?}");
}
