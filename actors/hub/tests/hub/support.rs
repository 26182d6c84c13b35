//! A hub on the test's thread, and clients over pipes in memory.

use kirosu_hub::{HubOptions, HubParts, HubThreads, Rules, Sockets};
use kirosu_protocol::Limits;
use kirosu_protocol::settings::Keyless;
use kirosu_store::{Store, StoreOptions};
use kirosu_supervision::{Clock, Root, SupervisorSpec};
use serde_json::{Value, json};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, DuplexStream};
use tokio::sync::{Mutex, mpsc};

const START: u64 = 1_700_000_000_000;

/// A running hub.
pub struct TestHub {
    pub root: Root,
    pub clock: Clock,
    connect: mpsc::Sender<DuplexStream>,
}

impl TestHub {
    /// Starts a hub with its store in `directory`.
    pub fn start(directory: &Path) -> TestHub {
        let clock = Clock::test(START);
        let store_options = StoreOptions::new(directory.join("db"), START as i64);
        let (connect, incoming) = mpsc::channel(1);
        let sockets = Sockets {
            local: Some(Arc::new(Mutex::new(incoming))),
            ..Sockets::default()
        };
        let options = HubOptions {
            key: "key".into(),
            run_secret: "secret".into(),
            is_own_key: false,
            keyless: Keyless::Off,
            trust_all_tools: false,
            limits: Limits::default(),
            rules: Rules {
                session_grace: Duration::from_secs(10),
                retention: None,
                audit_retention: Duration::from_secs(3600),
                retry: store_options.retry_default,
                retry_jitter: store_options.retry_jitter,
                strict_expiry: store_options.strict_expiry,
                budgets: Vec::new(),
                children: store_options.children.clone(),
                notify: store_options.notify.clone(),
                notify_retention: Duration::from_secs(3600),
            },
            readers: 1,
            backup_dir: directory.join("backups"),
            pools: Vec::new(),
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
        TestHub {
            root,
            clock,
            connect,
        }
    }

    /// Connects a client.
    pub async fn client(&self) -> TestClient {
        let (ours, theirs) = tokio::io::duplex(1 << 16);
        self.connect.send(theirs).await.unwrap();
        TestClient(BufReader::new(ours))
    }
}

/// A client of a hub.
pub struct TestClient(BufReader<DuplexStream>);

impl TestClient {
    /// Sends a request without reading its answer.
    pub async fn send(&mut self, method: &str, params: Value) {
        let mut line = json!({"id": 1, "method": method, "params": params}).to_string();
        line.push('\n');
        let pipe = self.0.get_mut();
        pipe.write_all(line.as_bytes()).await.unwrap();
    }

    /// Reads the next line.
    pub async fn read(&mut self) -> Value {
        let mut line = String::new();
        self.0.read_line(&mut line).await.unwrap();
        serde_json::from_str(&line).unwrap()
    }

    /// Reads the next answer, which must be an error.
    pub async fn refusal(&mut self) -> Value {
        let answer = self.read().await;
        assert!(answer["result"].is_null(), "{answer}");
        answer["error"].clone()
    }

    /// Reads the next answer, which must not be an error.
    pub async fn answer(&mut self) -> Value {
        let answer = self.read().await;
        assert!(answer["error"].is_null(), "{answer}");
        answer["result"].clone()
    }

    /// The lines that are left when the hub has closed the connection.
    pub async fn rest(&mut self) -> String {
        let mut rest = String::new();
        self.0.read_to_string(&mut rest).await.unwrap();
        rest
    }

    /// Sends a request and reads its answer.
    pub async fn call(&mut self, method: &str, params: Value) -> Value {
        self.send(method, params).await;
        self.answer().await
    }

    /// The status of task 1.
    pub async fn status(&mut self) -> Value {
        self.call("get", json!({"task_id": 1})).await["task"]["status"].clone()
    }
}
