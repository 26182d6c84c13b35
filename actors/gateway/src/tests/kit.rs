//! A gateway on a free port, a hub with fixed answers, and a small client.

use crate::{GatewayOptions, HttpCounts, HttpPeer, HttpServerOptions, HttpTimeouts, specs};
use kirosu_protocol::client::Endpoint;
use kirosu_supervision::{Clock, Root, SupervisorSpec};
use serde_json::{Value, json};
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, DuplexStream};
use tokio::net::TcpStream;
use tokio::sync::mpsc;

/// Timeout of every wait.
pub(super) const PATIENCE: Duration = Duration::from_secs(20);

/// A running gateway.
pub(super) struct Gateway {
    root: Root,
    address: SocketAddr,
    pub(super) counts: Arc<HttpCounts>,
}

/// Runs a test with a gateway.
pub(super) fn with_gateway<F>(
    change: impl FnOnce(&mut HttpServerOptions),
    hub: fn(&Value) -> Option<Value>,
    test: impl FnOnce(Arc<Gateway>) -> F,
) where
    F: Future<Output = ()>,
{
    actix_rt::System::new().block_on(async {
        let (connect, incoming) = mpsc::channel(8);
        tokio::task::spawn_local(answer_all(incoming, hub));
        let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        socket.set_nonblocking(true).unwrap();
        let mut http = HttpServerOptions {
            socket: Arc::new(socket),
            tls: None,
            peer: |_, _| HttpPeer::Own,
            mcp_decisions: true,
            body_bytes: 1 << 20,
            connections: 64,
            timeouts: HttpTimeouts::default(),
        };
        change(&mut http);
        let (spec, handle) = specs(GatewayOptions {
            endpoint: Endpoint::InMemory(connect),
            hub_key: None,
            key: None,
            http: Some(http),
            metrics: None,
        });
        let root = Root::start(SupervisorSpec::new("root").child(spec), Clock::system());
        let gateway = Arc::new(Gateway {
            root,
            address: handle.http.unwrap(),
            counts: handle.counts,
        });
        tokio::time::timeout(PATIENCE, test(gateway.clone()))
            .await
            .unwrap();
        gateway.root.shutdown().await;
    });
}

/// A hub that answers each line with the result of `say`, and does not answer for `None`.
async fn answer_all(mut incoming: mpsc::Receiver<DuplexStream>, say: fn(&Value) -> Option<Value>) {
    while let Some(pipe) = incoming.recv().await {
        tokio::task::spawn_local(async move {
            let (reading, mut writing) = tokio::io::split(pipe);
            let mut lines = BufReader::new(reading).lines();
            while let Ok(Some(line)) = lines.next_line().await {
                let asked: Value = serde_json::from_str(&line).unwrap();
                let hello = json!({
                    "protocol": 1, "server": "test", "version": "0", "boot_id": "b", "limits": {"in_flight_per_connection": 4}
                });
                let result = match asked["method"].as_str() {
                    Some("hello") => Some(hello),
                    // The check of a client that sends no key.
                    Some("ping") => Some(json!({"boot_id": "b", "time": 0.0})),
                    _ => say(&asked),
                };
                let Some(result) = result else { continue };
                // In the order of the hub, which the streaming of answers counts on.
                let id = &asked["id"];
                let answer = format!("{{\"id\":{id},\"result\":{result},\"error\":null}}\n");
                writing.write_all(answer.as_bytes()).await.unwrap();
            }
        });
    }
}

impl Gateway {
    /// A new connection.
    pub(super) async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// Sends bytes over a new connection and reads to its end.
    pub(super) async fn exchange(&self, bytes: &[u8]) -> String {
        let mut stream = self.connect().await;
        stream.write_all(bytes).await.unwrap();
        rest(&mut stream).await
    }

    /// The path of the actor `http` in the tree.
    pub(super) fn path(&self) -> &'static str {
        "root/gateway/http"
    }

    /// Makes an actor panic.
    pub(super) fn panic_in(&self, path: &str) -> bool {
        self.root.tree().inject_panic(path)
    }
}

/// All bytes up to the end of the stream.
pub(super) async fn rest(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    // A reset after the response is an end too.
    let _ = stream.read_to_end(&mut bytes).await;
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Polls until `holds` returns true.
pub(super) async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let looking = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let looked = tokio::time::timeout(PATIENCE, looking).await;
    assert!(looked.is_ok(), "waited in vain until {what}");
}
