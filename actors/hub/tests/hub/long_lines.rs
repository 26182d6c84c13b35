//! Long lines are read on threads of their own, not on the one that all connections share.

use crate::support::{TestClient, TestHub};
use serde_json::json;
use std::sync::mpsc;
use std::time::Duration;
use tokio::runtime::Builder;
use tokio::time::timeout;

/// Timeout of the waits.
const PATIENCE: Duration = Duration::from_secs(20);

/// Waits until the connection that was opened first has a request without an answer.
async fn first_connection_waits(client: &mut TestClient) {
    loop {
        let agents = client.call("agents", json!({"all": true})).await;
        if agents["connections"][0]["in_flight"] == 1 {
            return;
        }
    }
}

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
    timeout(PATIENCE, first_connection_waits(&mut other))
        .await
        .expect("the long line waits for a thread");
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
