//! Agents, the tree, sessions and their leases.

use crate::common::{Hub, until, word};
use crate::wire_additions::event_with;
use serde_json::json;

#[test]
fn agents_tells_who_holds_what() {
    let hub = Hub::start();
    let mut client = hub.client();
    for _ in 0..3 {
        client.enqueue("x");
    }
    let mut agent = hub.session("host-1");
    agent.lease(json!({}));
    agent.lease(json!({}));
    client.lease(json!({}));
    let agents = client.call("agents", json!({}))["agents"].take();
    let agents = agents.as_array().unwrap();
    let mine = agents.iter().find(|a| a["session_id"] == "host-1").unwrap();
    assert_eq!(
        (&mine["name"], &mine["connected"]),
        (&json!("host-1"), &json!(true))
    );
    let mut held: Vec<i64> = mine["leases"]
        .as_array()
        .unwrap()
        .iter()
        .map(|l| l["task_id"].as_i64().unwrap())
        .collect();
    held.sort_unstable();
    assert_eq!(held, [1, 2]);
    assert!(mine["peer"].as_str().unwrap().starts_with("127.0.0.1:"));
    let loose = agents.iter().find(|a| a["session_id"].is_null()).unwrap();
    assert_eq!(loose["leases"], json!([{"task_id": 3, "fence": 1}]));
    drop(agent);
    until("the agent is seen to be away", || {
        let agents = client.call("agents", json!({}))["agents"].take();
        agents
            .as_array()
            .unwrap()
            .iter()
            .any(|a| a["session_id"] == "host-1" && a["connected"] == false)
            .then_some(())
    });
}

#[test]
fn the_tree_shows_who_is_supervised() {
    let hub = Hub::start();
    let mut client = hub.client();
    let tree = client.call("tree", json!({}))["tree"].take();
    assert_eq!(
        (&tree["name"], &tree["state"]),
        (&json!("root"), &json!("running"))
    );
    let names: Vec<&str> = tree["children"]
        .as_array()
        .unwrap()
        .iter()
        .map(|child| child["name"].as_str().unwrap())
        .collect();
    for name in ["writer", "readers", "bus", "reaper", "leases", "listener"] {
        assert!(names.contains(&name), "{name} in {names:?}");
    }
    let writer = tree["children"]
        .as_array()
        .unwrap()
        .iter()
        .find(|child| child["name"] == "writer")
        .unwrap();
    assert_eq!(
        (&writer["state"], &writer["restarts"]),
        (&json!("running"), &json!(0))
    );
}

#[test]
fn hello_introduces_both_sides() {
    let hub = Hub::with(&["limits.batch=77"]);
    let mut client = hub.client();
    let hello = client.call("hello", json!({"protocol": 1}));
    assert_eq!(
        (&hello["protocol"], &hello["server"], &hello["resumed"]),
        (&json!(1), &json!("kirosu"), &json!(false))
    );
    assert_eq!(hello["limits"]["batch"], 77);
    assert!(hello["session_id"].is_null() && !hello["version"].as_str().unwrap().is_empty());
    let boot = hello["boot_id"].as_str().unwrap().to_owned();
    let hub = hub.kill().start();
    assert_ne!(
        hub.client().call("hello", json!({}))["boot_id"],
        boot.as_str()
    );
    let mut client = hub.session("one");
    assert_eq!(
        word(&client.refused("hello", json!({"session_id": "two"}))),
        "wrong_state"
    );
}

#[test]
fn a_session_that_comes_back_keeps_its_leases() {
    let hub = Hub::start();
    let mut client = hub.client();
    let id = client.enqueue("x");
    let mut agent = hub.session("s");
    agent.lease(json!({}));
    drop(agent);
    let mut agent = hub.client();
    let hello = agent.call("hello", json!({"session_id": "s"}));
    assert_eq!(
        (&hello["resumed"], &hello["leases"]),
        (&json!(true), &json!([{"task_id": id, "fence": 1}]))
    );
    // Cancels reach the new connection.
    agent.call("heartbeat", json!({"task_id": id, "fence": 1}));
    client.call("cancel", json!({"task_id": id}));
    assert_eq!(agent.notice("cancel")["task_id"], id);
}

#[test]
fn a_session_survives_a_crash_of_the_hub() {
    let hub = Hub::start();
    let mut agent = hub.session("s");
    let id = agent.enqueue("x");
    agent.lease(json!({}));
    let hub = hub.kill().start();
    let mut agent = hub.client();
    let hello = agent.call("hello", json!({"session_id": "s"}));
    assert_eq!(
        (&hello["resumed"], &hello["leases"]),
        (&json!(true), &json!([{"task_id": id, "fence": 1}]))
    );
    agent.call("ack", json!({"task_id": id, "fence": 1, "status": "done"}));
}

#[test]
fn a_session_that_stays_away_loses_its_leases_and_a_plain_connection_does_not() {
    let hub = Hub::with(&["lease.session_grace=300ms"]);
    let (mut client, mut watcher) = (hub.client(), hub.client());
    watcher.call("watch", json!({"kinds": ["session"]}));
    let (with, without) = (client.enqueue("with"), client.enqueue("without"));
    let mut agent = hub.session("s");
    let mut plain = hub.client();
    assert_eq!(agent.lease(json!({}))["task_id"], with);
    assert_eq!(plain.lease(json!({}))["task_id"], without);
    drop((agent, plain));
    let again = client.lease(json!({}));
    assert_eq!(
        (&again["task_id"], &again["fence"], &again["attempts"]),
        (&json!(with), &json!(2), &json!(2))
    );
    assert_eq!(client.status(without), "leased");
    for state in ["opened", "closed", "lost"] {
        assert_eq!(event_with(&mut watcher, "state", state)["session_id"], "s");
    }
    let hello = hub.client().call("hello", json!({"session_id": "s"}));
    assert_eq!(
        (&hello["resumed"], &hello["leases"]),
        (&json!(false), &json!([]))
    );
}

#[test]
fn a_new_incarnation_gives_up_what_the_old_one_held() {
    let hub = Hub::start();
    let mut old = hub.session("s");
    let id = old.enqueue("x");
    old.lease(json!({}));
    let mut new = hub.client();
    let hello = new.call("hello", json!({"session_id": "s", "resume": false}));
    assert_eq!(
        (&hello["resumed"], &hello["leases"]),
        (&json!(false), &json!([]))
    );
    assert!(old.is_closed(), "one connection a session");
    let task = new.lease(json!({}));
    assert_eq!((&task["task_id"], &task["fence"]), (&json!(id), &json!(2)));
    // The end of the old connection means nothing to the new one.
    new.call("ack", json!({"task_id": id, "fence": 2, "status": "done"}));
}
