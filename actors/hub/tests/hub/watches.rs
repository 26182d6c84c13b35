//! Watches of events over a connection.

use crate::support::TestHub;
use serde_json::json;
use tokio::runtime::Builder;

/// Tasks of which a list is read piece by piece, as its client reads.
const TASKS: usize = 40;
/// Bytes of the prompt of each.
const PROMPT_BYTES: usize = 60_000;
/// Round trips of another client, in which the hub reads and starts everything that has arrived.
const ROUND_TRIPS: usize = 100;

async fn test() {
    let directory = tempfile::tempdir().unwrap();
    let hub = TestHub::start(directory.path());
    let (mut admin, mut spy) = (hub.client().await, hub.client().await);
    for _ in 0..TASKS {
        let prompt = "x".repeat(PROMPT_BYTES);
        admin.call("enqueue", json!({"prompt": prompt})).await;
    }
    let key = json!({"name": "spy", "role": "observe"});
    let key = admin.call("key_add", key).await["key"].clone();
    spy.call("hello", json!({"auth_token": key})).await;
    // The answer to the watch waits for that to the request before it, which the client does not read yet.
    spy.send("list", json!({"limit": TASKS})).await;
    spy.send("watch", json!({"kinds": ["task"]})).await;
    for _ in 0..ROUND_TRIPS {
        admin.call("ping", json!({})).await;
    }
    admin.call("key_revoke", json!({"name": "spy"})).await;
    for _ in 0..ROUND_TRIPS {
        admin.call("ping", json!({})).await;
    }
    let list = spy.answer().await;
    assert_eq!(list["tasks"].as_array().unwrap().len(), TASKS);
    let watch = spy.answer().await;
    assert!(watch["seq"].is_u64(), "{watch}");
    admin.call("cancel", json!({"task_id": 1})).await;
    let end = spy.read().await;
    assert_eq!(end["params"]["lagged"], true, "{end}");
    drop((admin, spy));
    hub.root.shutdown().await;
}

#[test]
fn the_end_of_a_watch_does_not_overtake_its_answer() {
    // In real time: while the other threads of the hub work, paused time would pass.
    let one_thread = || Builder::new_current_thread().enable_all().build().unwrap();
    actix_rt::System::with_tokio_rt(one_thread).block_on(test());
}
