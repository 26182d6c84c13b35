//! Leases that begin and end within one commit, and leases whose client is replaced before it has the answer.

use crate::common::{Client, Hub, ids, until};
use serde_json::{Value, json};

/// Requests in one packet, so that they are one commit; their results.
fn at_once(client: &mut Client, first_id: u64, requests: &[(&str, Value)]) -> Vec<Value> {
    let lines: String = (first_id..)
        .zip(requests)
        .map(|(id, (method, params))| {
            json!({"id": id, "method": method, "params": params}).to_string() + "\n"
        })
        .collect();
    client.raw(lines);
    (first_id..)
        .zip(requests)
        .map(|(id, _)| client.result(id))
        .collect()
}

/// Asserts that the hub lists no lease at all: no actor, no holder, no count.
fn nothing_is_held(hub: &Hub) {
    let mut client = hub.client();
    let agents = client.call("agents", json!({}))["agents"].take();
    for agent in agents.as_array().unwrap() {
        assert_eq!(agent["leases"], json!([]), "{agents}");
    }
    assert_eq!(client.call("stats", json!({}))["stats"]["leased"], 0);
    until("the actors of the leases have ended", || {
        let tree = client.call("tree", json!({}))["tree"].take();
        let leases = tree["children"].as_array().unwrap().iter();
        let leases = leases.into_iter().find(|child| child["name"] == "leases");
        leases.unwrap()["children"]
            .as_array()
            .unwrap()
            .is_empty()
            .then_some(())
    });
}

#[test]
fn a_lease_that_its_holder_ends_in_the_same_commit_leaves_nothing_behind() {
    let hub = Hub::start();
    let mut client = hub.session("s");
    let mut plain = hub.client();
    let lease = json!({"worker_id": "w"});
    for round in 0..20 {
        let id = 2 * round + 1;
        let done = json!({"task_id": id, "fence": 1, "status": "done"});
        let requests = [
            ("enqueue", json!({"prompt": "x"})),
            ("lease", lease.clone()),
            ("ack", done),
        ];
        let said = at_once(&mut client, 1000 * (round + 1), &requests);
        assert_eq!(ids(&said[1]), [id as i64]);
        let id = id + 1;
        let end = json!({"task_id": id, "fence": 1});
        let requests = [
            ("enqueue", json!({"prompt": "x"})),
            ("lease", lease.clone()),
            ("release", end.clone()),
            ("cancel", end),
        ];
        let said = at_once(&mut plain, 1000 * (round + 1), &requests);
        assert_eq!(ids(&said[1]), [id as i64]);
    }
    nothing_is_held(&hub);
    let hello = hub.client().call("hello", json!({"session_id": "s"}));
    assert_eq!(hello["leases"], json!([]));
}

#[test]
fn the_holder_of_a_lease_that_is_cancelled_in_the_same_commit_is_notified() {
    let hub = Hub::start();
    let mut greeted = hub.client();
    greeted.call("hello", json!({"name": "without a session"}));
    for mut holder in [hub.session("s"), greeted] {
        let id = holder.enqueue("x");
        let requests = [
            ("lease", json!({"worker_id": "w"})),
            ("cancel", json!({"task_id": id, "reason": "too late"})),
            ("retry", json!({"task_id": id})),
            ("lease", json!({"worker_id": "w"})),
        ];
        let said = at_once(&mut holder, 1000, &requests);
        assert_eq!((ids(&said[0]), ids(&said[3])), (vec![id], vec![id]));
        let notice = holder.notice("cancel");
        assert_eq!(
            (&notice["task_id"], &notice["fence"], &notice["reason"]),
            (&json!(id), &json!(1), &json!("too late"))
        );
        // The lease that followed it in the same commit is live, and the only one.
        let agents = holder.call("agents", json!({}))["agents"].take();
        let held: Vec<&Value> = agents
            .as_array()
            .unwrap()
            .iter()
            .flat_map(|agent| agent["leases"].as_array().unwrap())
            .collect();
        assert_eq!(held, [&json!({"task_id": id, "fence": 2})]);
        holder.call("output", json!({"task_id": id, "fence": 2, "text": "on"}));
        holder.call("cancel", json!({"task_id": id}));
        assert_eq!(holder.notice("cancel")["fence"], 2);
    }
    nothing_is_held(&hub);
}

#[test]
fn a_lease_on_its_way_to_a_connection_that_is_replaced_goes_back_at_once() {
    let hub = Hub::start();
    // Commits of several commands take a turn more, which is the moment that matters here.
    let busy = hub.client().another_handle();
    let flood = std::thread::spawn(move || {
        use std::io::{Read, Write};
        let mut busy = busy;
        let pair = "{\"id\":1,\"method\":\"pause\",\"params\":{\"queue\":\"n\"}}\n{\"id\":2,\"method\":\"resume\",\"params\":{\"queue\":\"n\"}}\n".repeat(5);
        let mut answers = [0; 4096];
        while busy.write_all(pair.as_bytes()).is_ok()
            && busy.read(&mut answers).is_ok_and(|n| n > 0)
        {}
    });
    let mut client = hub.client();
    for round in 0..100 {
        let queue = format!("q{round}");
        let id = client.enqueue_with(json!({"prompt": "x", "queue": queue}));
        let mut old = hub.session("s");
        let mut new = hub.client();
        new.call("stats", json!({}));
        let params = json!({"worker_id": "w", "queues": [queue], "lease_seconds": 600});
        old.send("lease", params);
        let hello = new.call("hello", json!({"session_id": "s"}));
        let listed = hello["leases"].as_array().unwrap();
        if let Some(lease) = listed.iter().find(|lease| lease["task_id"] == id) {
            // Handed to the successor: it can go on with it.
            let fence = &lease["fence"];
            new.call(
                "ack",
                json!({"task_id": id, "fence": fence, "status": "done"}),
            );
        } else {
            // The old connection had no answer, so that the task is free again: another worker gets it now.
            assert_eq!(client.lease(json!({"queues": [queue]}))["task_id"], id);
            client.call("ack", json!({"task_id": id, "status": "done"}));
        }
    }
    nothing_is_held(&hub);
    drop(hub);
    flood.join().unwrap();
}
