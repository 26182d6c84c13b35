//! The wall clock is set while the hub runs: leases expire after the same real time as without that.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use kirosu_hub::{HubOptions, HubParts, HubThreads, Sockets};
use kirosu_protocol::Limits;
use kirosu_store::{Store, StoreOptions};
use kirosu_supervision::{Clock, Root, SupervisorSpec, testkit};
use serde_json::{Value, json};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, DuplexStream};
use tokio::sync::{Mutex, mpsc};

const START: u64 = 1_700_000_000_000;
const HOUR: i64 = 3_600_000;

/// A hub on this thread, with one client over a pipe in memory.
struct TestHub {
    root: Root,
    pipe: BufReader<DuplexStream>,
    clock: Clock,
}

impl TestHub {
    async fn start(directory: &Path) -> TestHub {
        let clock = Clock::test(START);
        let store_options = StoreOptions::new(directory.join("db"), START as i64);
        let (connect, incoming) = mpsc::channel(1);
        let sockets = Sockets {
            local: Some(Arc::new(Mutex::new(incoming))),
            ..Sockets::default()
        };
        let options = HubOptions {
            host: None,
            port: 0,
            socket: None,
            key: None,
            trust_all_tools: false,
            limits: Limits::default(),
            session_grace: Duration::from_secs(10),
            retention: None,
            readers: 1,
            backup_dir: directory.join("backups"),
            store_path: store_options.path.clone(),
        };
        let store = Store::open(&store_options).unwrap();
        let threads = HubThreads::default();
        let boot = "boot".to_owned();
        let parts = HubParts::build(options, store, store_options, sockets, &threads, boot);
        let spec = SupervisorSpec::new("root")
            .child(parts.bus)
            .child(parts.sessions)
            .child(parts.leases)
            .child(parts.lease_registry)
            .child(parts.writer)
            .child(parts.readers)
            .child(parts.reaper)
            .child(parts.listener);
        let root = Root::start(spec, clock.clone());
        let (ours, theirs) = tokio::io::duplex(1 << 16);
        connect.send(theirs).await.unwrap();
        TestHub {
            root,
            pipe: BufReader::new(ours),
            clock,
        }
    }

    async fn call(&mut self, method: &str, params: Value) -> Value {
        let mut line = json!({"id": 1, "method": method, "params": params}).to_string();
        line.push('\n');
        self.pipe
            .get_mut()
            .write_all(line.as_bytes())
            .await
            .unwrap();
        let mut answer = String::new();
        self.pipe.read_line(&mut answer).await.unwrap();
        let answer: Value = serde_json::from_str(&answer).unwrap();
        assert!(answer["error"].is_null(), "{method}: {answer}");
        answer["result"].clone()
    }

    async fn status(&mut self) -> Value {
        self.call("get", json!({"task_id": 1})).await["task"]["status"].clone()
    }
}

/// Leases a task for a minute and sets the clock by `jump` ms after ten seconds. The client sends nothing more.
async fn set_by(jump: i64) {
    let directory = tempfile::tempdir().unwrap();
    let mut hub = TestHub::start(directory.path()).await;
    hub.call("enqueue", json!({"prompt": "x"})).await;
    let lease = json!({"worker_id": "w", "lease_seconds": 60});
    hub.call("lease", lease).await;
    tokio::time::sleep(Duration::from_secs(10)).await;
    hub.clock.jump_ms(jump);
    tokio::time::sleep(Duration::from_secs(40)).await;
    assert_eq!(
        hub.status().await,
        "leased",
        "lost too early, set by {jump}"
    );
    tokio::time::sleep(Duration::from_secs(21)).await;
    assert_eq!(
        hub.status().await,
        "queued",
        "lives too long, set by {jump}"
    );
    drop(hub.pipe);
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
