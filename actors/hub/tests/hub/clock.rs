//! The wall clock is set while the hub runs: leases expire after the same real time as without that.

use crate::support::TestHub;
use kirosu_supervision::testkit;
use serde_json::json;
use std::time::Duration;

const HOUR: i64 = 3_600_000;

/// Leases a task for a minute and sets the clock by `jump` ms after ten seconds. The client sends nothing more.
async fn set_by(jump: i64) {
    let directory = tempfile::tempdir().unwrap();
    let hub = TestHub::start(directory.path());
    let mut client = hub.client().await;
    client.call("enqueue", json!({"prompt": "x"})).await;
    let lease = json!({"worker_id": "w", "lease_seconds": 60});
    client.call("lease", lease).await;
    tokio::time::sleep(Duration::from_secs(10)).await;
    hub.clock.jump_ms(jump);
    tokio::time::sleep(Duration::from_secs(40)).await;
    assert_eq!(
        client.status().await,
        "leased",
        "lost too early, set by {jump}"
    );
    tokio::time::sleep(Duration::from_secs(21)).await;
    assert_eq!(
        client.status().await,
        "queued",
        "lives too long, set by {jump}"
    );
    drop(client);
    hub.root.shutdown().await;
}

#[test]
fn a_clock_set_forward_loses_no_lease() {
    testkit::run(set_by(HOUR));
}

#[test]
fn a_clock_set_back_extends_no_lease() {
    testkit::run(set_by(-HOUR));
}
