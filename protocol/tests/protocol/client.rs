//! Tests of the client against a minimal hub, over pipes and TCP: pipelining, breaks, reconnects, notifications.

use kirosu_protocol::answer::{write_error, write_notification, write_result};
use kirosu_protocol::client::{CallError, Client, ClientOptions, ConnectionState, Endpoint};
use kirosu_protocol::verbs::hello::{HelloAnswer, HelloParams};
use kirosu_protocol::verbs::{enqueue::NewTask, lease::LeaseParams};
use kirosu_protocol::{Error, ErrorCode, Frame, Limits, LineSplitter, Notice, RawId, SplitLine};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream};
use tokio::net::TcpListener;
use tokio::sync::mpsc;

/// The longest wait for a condition.
const BOUND: Duration = Duration::from_secs(20);

/// The hub's end of a connection.
struct Peer<S> {
    stream: S,
    lines: LineSplitter,
}

/// A request: id, method, parameters.
type ClientRequest = (RawId, String, Value);

impl<S: AsyncRead + AsyncWrite + Unpin> Peer<S> {
    fn new(stream: S) -> Peer<S> {
        Peer {
            stream,
            lines: LineSplitter::new(1 << 20),
        }
    }

    /// The next request. `None` means that the client closed the connection.
    async fn next_request(&mut self) -> Option<ClientRequest> {
        loop {
            if let Some(SplitLine::Text(line)) = self.lines.next_line() {
                let whole: Value = serde_json::from_slice(line).expect("a request is JSON");
                let frame = Frame::read(line, &Limits::default()).expect("a request");
                return Some((frame.id, frame.method.into_owned(), whole["params"].clone()));
            }
            let read = tokio::time::timeout(BOUND, self.stream.read_buf(self.lines.buffer())).await;
            if read.expect("a request in time").unwrap_or(0) == 0 {
                return None;
            }
        }
    }

    async fn send(&mut self, bytes: &[u8]) {
        self.stream
            .write_all(bytes)
            .await
            .expect("the client reads");
    }

    async fn answer(&mut self, id: &RawId, result: Value) {
        let mut out = Vec::new();
        write_result(&mut out, id, false, &result);
        self.send(&out).await;
    }

    /// Answers `hello` and returns its parameters.
    async fn welcome(&mut self) -> Value {
        let (id, method, params) = self.next_request().await.expect("a hello");
        assert_eq!(method, "hello");
        let answer = HelloAnswer {
            protocol: 1,
            server: "tiny".into(),
            boot_id: "b".into(),
            ..HelloAnswer::default()
        };
        self.answer(&id, serde_json::to_value(answer).expect("JSON"))
            .await;
        params
    }
}

fn options() -> ClientOptions {
    ClientOptions {
        delays: Arc::new(|| Box::new(std::iter::repeat(Duration::from_millis(5)))),
        request_timeout: BOUND,
        ..ClientOptions::default()
    }
}

/// An in-memory endpoint, and the hub's ends of its connections.
fn pipes() -> (Endpoint, mpsc::Receiver<DuplexStream>) {
    let (sender, receiver) = mpsc::channel(1);
    (Endpoint::InMemory(sender), receiver)
}

async fn accept(pipes: &mut mpsc::Receiver<DuplexStream>) -> Peer<DuplexStream> {
    let stream = tokio::time::timeout(BOUND, pipes.recv())
        .await
        .expect("a connection in time");
    Peer::new(stream.expect("the client lives"))
}

#[tokio::test]
async fn calls_are_pipelined_and_matched_by_id_over_tcp() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let hub = tokio::spawn(async move {
        let mut peer = Peer::new(listener.accept().await.expect("a client").0);
        let hello = peer.welcome().await;
        let mut all = Vec::new();
        for _ in 0..100 {
            all.push(peer.next_request().await.expect("a request"));
        }
        // All requests arrive before the first answer, and the last one is answered first.
        for (id, _, params) in all.iter().rev() {
            let number: i64 = params["prompt"]
                .as_str()
                .and_then(|p| p.parse().ok())
                .expect("a number");
            peer.answer(id, json!({"task_id": number})).await;
        }
        (hello, peer.next_request().await.is_none())
    });
    let options = ClientOptions {
        key: Some("secret".into()),
        hello: HelloParams {
            session_id: Some("s1".into()),
            ..HelloParams::default()
        },
        ..options()
    };
    let client = Client::connect(Endpoint::Tcp("127.0.0.1".into(), port), options)
        .await
        .expect("connected");
    let calls = (0..100).map(|n| {
        let client = client.clone();
        tokio::spawn(async move {
            (
                n,
                client
                    .request(&NewTask::chat(n.to_string()))
                    .await
                    .expect("an answer")
                    .task_id,
            )
        })
    });
    for call in calls.collect::<Vec<_>>() {
        let (n, task_id) = call.await.expect("no panic");
        assert_eq!(n, task_id);
    }
    drop(client);
    let (hello, hung_up) = hub.await.expect("no panic");
    assert_eq!(
        hello,
        json!({"protocol": 1, "session_id": "s1", "resume": true, "auth_token": "secret"})
    );
    assert!(hung_up, "the last handle closes the connection");
}

#[tokio::test]
async fn a_break_ends_sent_calls_and_later_ones_use_the_next_connection() {
    let (endpoint, mut pipes) = pipes();
    let client = Client::start(endpoint, options());
    let mut first = accept(&mut pipes).await;
    first.welcome().await;
    let sent = tokio::spawn({
        let client = client.clone();
        async move { client.call("stats", json!({})).await }
    });
    assert_eq!(first.next_request().await.expect("a request").1, "stats");
    drop(first);
    let error = sent.await.expect("no panic").expect_err("never answered");
    assert!(
        matches!(error, CallError::Disconnected { .. }) && error.is_unknown(),
        "{error}"
    );

    let waiting = tokio::spawn({
        let client = client.clone();
        async move { client.call("stats", json!({})).await }
    });
    let mut second = accept(&mut pipes).await;
    second.welcome().await;
    let (id, _, _) = second.next_request().await.expect("the waiting call");
    second.answer(&id, json!({"n": 1})).await;
    assert_eq!(
        waiting.await.expect("no panic").expect("an answer"),
        json!({"n": 1})
    );
    assert!(
        matches!(&*client.state().borrow(), ConnectionState::Connected(hello) if hello.server == "tiny")
    );
}

#[tokio::test]
async fn notifications_and_refusals_come_through() {
    let (endpoint, mut pipes) = pipes();
    let client = Client::start(endpoint, options());
    let mut notifications = client.notifications();
    let mut peer = accept(&mut pipes).await;
    peer.welcome().await;
    let notice = Notice::LeaseLost {
        task_id: 4,
        fence: 2,
        reason: "expired".into(),
    };
    let hub = tokio::spawn({
        let notice = notice.clone();
        async move {
            let (id, _, params) = peer.next_request().await.expect("a lease");
            let mut out = Vec::new();
            notice.write(&mut out);
            write_notification(&mut out, "from_the_future", &json!({}));
            write_error(&mut out, &id, false, &Error::new(ErrorCode::Busy, "full"));
            peer.send(&out).await;
            (params, peer)
        }
    });
    let ask = LeaseParams {
        wait_ms: 1500,
        ..LeaseParams::one("w")
    };
    let error = client.request(&ask).await.expect_err("refused");
    assert_eq!(error.refusal().map(|e| e.code), Some(ErrorCode::Busy));
    assert!(!error.is_unknown());
    assert_eq!(
        notifications.recv().await.expect("a notification").notice(),
        Some(notice)
    );
    let unknown = notifications.recv().await.expect("another");
    assert_eq!(
        (unknown.method.as_str(), unknown.notice()),
        ("from_the_future", None)
    );
    assert_eq!(hub.await.expect("no panic").0["wait_seconds"], json!(1.5));
}

#[tokio::test]
async fn a_wrong_key_fails_connect_and_waiting_calls_at_once() {
    let (endpoint, mut pipes) = pipes();
    tokio::spawn(async move {
        while let Some(stream) = pipes.recv().await {
            let mut peer = Peer::new(stream);
            let Some((id, _, _)) = peer.next_request().await else {
                continue;
            };
            let mut out = Vec::new();
            write_error(&mut out, &id, false, &Error::unauthorized());
            peer.send(&out).await;
        }
    });
    let error = Client::connect(endpoint.clone(), options())
        .await
        .expect_err("refused");
    assert!(
        error.to_string().contains("Invalid KIRO_SWARM_KEY"),
        "{error}"
    );
    let client = Client::start(endpoint, options());
    let error = client.call("stats", json!({})).await.expect_err("refused");
    assert_eq!(
        error.refusal().map(|e| e.code),
        Some(ErrorCode::Unauthorized)
    );
}

#[tokio::test]
async fn a_hub_that_is_full_gets_another_hello() {
    let (endpoint, mut pipes) = pipes();
    let client = Client::start(endpoint, options());
    let call = tokio::spawn({
        let client = client.clone();
        async move { client.call("stats", json!({})).await }
    });
    let mut full = accept(&mut pipes).await;
    let mut out = Vec::new();
    write_error(
        &mut out,
        &RawId::null(),
        false,
        &Error::new(ErrorCode::Busy, "too many connections"),
    );
    full.send(&out).await;
    let mut peer = accept(&mut pipes).await;
    peer.welcome().await;
    let (id, _, _) = peer.next_request().await.expect("the call that waited");
    peer.answer(&id, json!({})).await;
    assert!(call.await.expect("no panic").is_ok());
}

#[tokio::test]
async fn an_unreachable_hub_is_one_clear_sentence() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    drop(listener);
    let endpoint = Endpoint::Tcp("127.0.0.1".into(), port);
    let error = Client::connect(endpoint.clone(), options())
        .await
        .expect_err("nobody");
    let expected = format!(
        "cannot reach the hub at 127.0.0.1:{port}: connection refused; start one with `kirosu up` or `kirosu hub`"
    );
    assert_eq!(error.to_string(), expected);

    // The error of a call that was not sent shows it, and a client whose delays end is closed.
    let few = ClientOptions {
        request_timeout: Duration::from_millis(50),
        delays: Arc::new(|| Box::new(std::iter::once(Duration::from_millis(200)))),
        ..options()
    };
    let client = Client::start(endpoint, few);
    let error = client.call("stats", json!({})).await.expect_err("nobody");
    assert!(
        matches!(error, CallError::Unreachable { .. }) && !error.is_unknown(),
        "{error}"
    );
    let mut state = client.state();
    let closed = tokio::time::timeout(
        BOUND,
        state.wait_for(|s| matches!(s, ConnectionState::Closed)),
    )
    .await;
    assert!(closed.is_ok());
    assert!(matches!(
        client.call("stats", json!({})).await,
        Err(CallError::Closed { .. })
    ));
}

#[tokio::test]
async fn a_call_that_was_not_sent_waits_no_longer_than_its_client_wants() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let endpoint = Endpoint::Tcp(
        "127.0.0.1".into(),
        listener.local_addr().expect("one").port(),
    );
    let hasty = ClientOptions {
        request_timeout: BOUND * 10,
        unsent_timeout: Some(Duration::from_millis(100)),
        ..options()
    };
    let client = Client::start(endpoint, hasty);
    let (stream, _) = listener.accept().await.expect("the client");
    let mut hub = Peer::new(stream);
    hub.welcome().await;
    let mut state = client.state();
    let up = state.wait_for(|it| matches!(it, ConnectionState::Connected(_)));
    assert!(up.await.is_ok());
    // A call that was sent ends with the connection; one that was not sent, after its timeout.
    let got = client.call("stats", json!({}));
    let lost = async {
        assert!(hub.next_request().await.is_some());
        drop((hub, listener));
    };
    let (error, ()) = tokio::join!(got, lost);
    assert!(error.expect_err("cut").is_unknown());
    let late = tokio::time::timeout(BOUND, client.call("stats", json!({}))).await;
    let error = late.expect("in time").expect_err("nobody");
    assert!(
        matches!(error, CallError::Unreachable { .. }) && !error.is_unknown(),
        "{error}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_silent_hub_times_out_and_can_be_dropped() {
    let (endpoint, mut pipes) = pipes();
    let client = Client::start(endpoint, options());
    let mut first = accept(&mut pipes).await;
    first.welcome().await;
    let error = client.call("stats", json!({})).await.expect_err("silent");
    assert!(
        matches!(error, CallError::Timeout { .. }) && error.is_unknown(),
        "{error}"
    );
    client.reconnect();
    accept(&mut pipes).await.welcome().await;
}

#[tokio::test]
async fn a_line_that_the_hub_would_skip_is_refused_here() {
    let (endpoint, mut pipes) = pipes();
    let hub = tokio::spawn(async move {
        let mut peer = accept(&mut pipes).await;
        let (id, _, _) = peer.next_request().await.expect("a hello");
        let limits = json!({"line_bytes": 1000, "nesting": 5});
        peer.answer(
            &id,
            json!({"protocol": 1, "server": "tiny", "version": "0", "boot_id": "b", "limits": limits}),
        )
        .await;
        let (id, method, _) = peer.next_request().await.expect("a request");
        peer.answer(&id, json!({})).await;
        method
    });
    let client = Client::start(endpoint, options());
    // The hub would answer such a line without an id, so that the call would get no answer.
    for params in [
        json!({"prompt": "x".repeat(1000)}),
        json!({"metadata": {"a": {"b": {"c": [[]]}}}}),
    ] {
        let refused = client.call("enqueue", params).await.expect_err("refused");
        let error = refused.refusal().expect("a refusal");
        assert_eq!(error.code, ErrorCode::TooLarge, "{error}");
    }
    let fits = json!({"metadata": {"a": {"b": "[[[[[[[[[["}}});
    client.call("stats", fits).await.expect("an answer");
    assert_eq!(hub.await.expect("the hub ends"), "stats");
}

#[tokio::test(start_paused = true)]
async fn more_calls_than_the_hub_takes_wait_their_turn() {
    let (endpoint, mut pipes) = pipes();
    let client = Client::start(
        endpoint,
        ClientOptions {
            queue: 2,
            ..options()
        },
    );
    let mut peer = accept(&mut pipes).await;
    let (id, _, _) = peer.next_request().await.expect("a hello");
    let limits = Limits {
        in_flight_per_connection: 3,
        ..Limits::default()
    };
    let hello = HelloAnswer {
        limits,
        ..HelloAnswer::default()
    };
    peer.answer(&id, serde_json::to_value(hello).expect("JSON"))
        .await;
    let calls: Vec<_> = (0..50)
        .map(|n| {
            let client = client.clone();
            tokio::spawn(async move { client.call("stats", json!({ "n": n })).await })
        })
        .collect();
    let mut open = Vec::new();
    for _ in 0..48 {
        while open.len() < 3 {
            open.push(peer.next_request().await.expect("a request").0);
        }
        // Time is paused: this elapses when every task waits.
        let fourth = tokio::time::timeout(Duration::from_millis(1), peer.next_request()).await;
        assert!(fourth.is_err(), "more in flight than the hub takes");
        let id = open.remove(0);
        peer.answer(&id, json!({})).await;
    }
    while let Ok(Some((id, _, _))) =
        tokio::time::timeout(Duration::from_millis(1), peer.next_request()).await
    {
        open.push(id);
    }
    for id in open {
        peer.answer(&id, json!({})).await;
    }
    for call in calls {
        assert!(call.await.expect("no panic").is_ok());
    }
}

#[tokio::test]
async fn resume_false_is_sent_until_it_is_answered_once() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let hello = HelloParams {
        session_id: Some("s".into()),
        resume: false,
        ..HelloParams::default()
    };
    let options = ClientOptions { hello, ..options() };
    let client = Client::start(Endpoint::Tcp("127.0.0.1".into(), port), options);
    let mut told = Vec::new();
    // The first connection breaks before `hello` is answered: the hub may not have read it.
    for answered in [false, true, true] {
        let (stream, _) = listener.accept().await.expect("a connection");
        let mut peer = Peer::new(stream);
        if answered {
            told.push(peer.welcome().await["resume"].clone());
            let mut state = client.state();
            let stands = state.wait_for(|state| matches!(state, ConnectionState::Connected(_)));
            tokio::time::timeout(BOUND, stands)
                .await
                .expect("in time")
                .expect("a client");
        } else {
            told.push(peer.next_request().await.expect("a hello").2["resume"].clone());
        }
    }
    assert_eq!(told, [false, false, true]);
}
