//! Long lines are read on threads of their own, not on the one that all connections share.

use crate::support::TestHub;
use serde_json::json;
use std::sync::mpsc;
use std::time::Duration;
use tokio::runtime::Builder;
use tokio::time::timeout;

/// Round trips of another client, in which the hub reads and answers everything that it can.
const ROUND_TRIPS: usize = 500;

async fn test() {
    let directory = tempfile::tempdir().unwrap();
    let hub = TestHub::start(directory.path());
    let (mut client, mut other) = (hub.client().await, hub.client().await);
    let padding = |bytes: usize| json!({"padding": "x".repeat(bytes)});
    // Both connections are open.
    client.call("ping", json!({})).await;
    // From now on no other thread can read a line.
    let (release, released) = mpsc::channel::<()>();
    let occupied = tokio::task::spawn_blocking(move || released.recv());
    client.call("ping", padding(100 << 10)).await;
    client.send("ping", padding(200 << 10)).await;
    for _ in 0..ROUND_TRIPS {
        other.call("ping", json!({})).await;
    }
    let early = timeout(Duration::from_millis(1), client.answer()).await;
    early.expect_err("the long line waits for a thread");
    drop(release);
    client.answer().await;
    occupied.await.unwrap().unwrap_err();
    drop((client, other));
    hub.root.shutdown().await;
}

#[test]
fn a_long_line_is_not_read_on_the_hubs_thread() {
    let one_thread = || {
        let mut runtime = Builder::new_current_thread();
        runtime
            .enable_all()
            .max_blocking_threads(1)
            .build()
            .unwrap()
    };
    actix_rt::System::with_tokio_rt(one_thread).block_on(test());
}
