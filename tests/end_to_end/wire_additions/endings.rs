//! Sessions that end with very many leases: these go back in steps, while others are served.

use crate::common::{Client, Hub, Setup, ids, until};
use serde_json::{Value, json};

const MANY: u64 = 10_000;

/// A session with very many leases.
fn holder(hub: &Hub) -> Client {
    let mut holder = hub.session("s");
    let tasks: Vec<Value> = (0..MANY).map(|_| json!({"prompt": "x"})).collect();
    holder.call("enqueue_batch", json!({"tasks": tasks}));
    for _ in 0..MANY / 1000 {
        let ask = json!({"max_tasks": 1000, "lease_seconds": 3600});
        assert_eq!(ids(&holder.call("lease", ask)).len(), 1000);
    }
    holder
}

fn stat(client: &mut Client, name: &str) -> u64 {
    client.call("stats", json!({}))["stats"][name]
        .as_u64()
        .unwrap()
}

/// Waits until some of the leases have ended, and others have not.
fn halfway(client: &mut Client) {
    until("a part of the leases has ended", || {
        let leased = stat(client, "leased");
        assert!(leased > 0, "all at once");
        (leased < MANY).then_some(())
    });
}

#[test]
fn a_new_life_of_a_session_with_very_many_leases_begins_when_these_have_ended() {
    let hub = Hub::start();
    let mut other = hub.client();
    let mut old = holder(&hub);
    let mut new = hub.client();
    let hello = new.send("hello", json!({"session_id": "s", "resume": false}));
    let lease = new.send("lease", json!({"max_tasks": 5, "lease_seconds": 3600}));
    halfway(&mut other);
    let answer = new.result(hello);
    assert_eq!(
        (&answer["resumed"], &answer["leases"]),
        (&json!(false), &json!([]))
    );
    // A lease at that moment belongs to the new session.
    let mut own = ids(&new.result(lease));
    assert_eq!(own.len(), 5);
    assert!(old.is_closed());
    assert_eq!(
        (stat(&mut other, "leased"), stat(&mut other, "queued")),
        (5, MANY - 5)
    );
    let agents = other.call("agents", json!({}));
    let leases = agents["agents"][0]["leases"].as_array().unwrap().iter();
    own.sort_unstable();
    assert!(
        leases
            .map(|lease| lease["task_id"].as_i64().unwrap())
            .eq(own)
    );
}

#[test]
fn a_crash_while_the_leases_of_a_session_end_loses_none() {
    let setup = Setup::new().set("lease.session_grace=1s");
    let hub = setup.start();
    let mut other = hub.client();
    drop(holder(&hub));
    halfway(&mut other);
    let hub = Setup {
        port: 0,
        ..hub.kill()
    }
    .start();
    let mut other = hub.client();
    until("the rest has ended", || {
        (stat(&mut other, "leased") == 0).then_some(())
    });
    assert_eq!(stat(&mut other, "queued"), MANY);
    let mut again = hub.session("s");
    let lease = again.lease(json!({}));
    let first = again.call("get", json!({"task_id": lease["task_id"]}));
    assert_eq!(first["attempts"][0]["outcome"], "lost", "{first}");
}
