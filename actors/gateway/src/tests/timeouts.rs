//! Slow clients, too many clients, and a crash of the actor.

use super::kit::{rest, until, with_gateway};
use crate::HttpTimeouts;
use serde_json::{Value, json};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const SHORT: Duration = Duration::from_millis(200);
/// actix-http's clock ticks twice per second: a shorter timeout may be over immediately.
const TICKS: Duration = Duration::from_millis(1100);
const GET: &[u8] = b"GET /stats HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";

fn stats(_: &Value) -> Option<Value> {
    Some(json!({"stats": {"queued": 1}}))
}

/// An answer that is larger than the buffers of a socket.
fn much(_: &Value) -> Option<Value> {
    Some(json!({"stats": "x".repeat(32 << 20)}))
}

fn nothing(_: &Value) -> Option<Value> {
    None
}

#[test]
fn heads_bodies_and_idle_connections_have_timeouts() {
    let short = HttpTimeouts {
        head: TICKS,
        body: SHORT,
        idle: TICKS,
        stall: SHORT,
    };
    with_gateway(
        |http| http.timeouts = short,
        stats,
        async |gateway| {
            let silent = gateway.exchange(b"").await;
            assert!(silent.is_empty() || silent.contains(" 408 "), "{silent}");
            let half_a_head = gateway.exchange(b"GET /stats HTTP/1.1\r\nhost: loc").await;
            assert!(half_a_head.contains(" 408 "), "{half_a_head}");
            let head =
                "POST /tasks HTTP/1.1\r\nhost: localhost\r\ncontent-length: 100\r\n\r\n{\"prompt\"";
            let half_a_body = gateway.exchange(head.as_bytes()).await;
            assert!(half_a_body.contains(" 408 "), "{half_a_body}");
            assert!(
                half_a_body.contains("was not received within"),
                "{half_a_body}"
            );
            let idle = gateway
                .exchange(b"GET /stats HTTP/1.1\r\nhost: localhost\r\n\r\n")
                .await;
            assert!(idle.contains("\"queued\":1"), "{idle}");
            until("all connections have ended", || {
                gateway.counts.connections() == 0
            })
            .await;
        },
    );
}

#[test]
fn the_head_of_a_second_request_has_a_timeout() {
    let short = HttpTimeouts {
        head: SHORT,
        idle: TICKS,
        ..HttpTimeouts::default()
    };
    with_gateway(
        |http| http.timeouts = short,
        stats,
        async |gateway| {
            let mut stream = gateway.connect().await;
            let first = b"GET /stats HTTP/1.1\r\nhost: localhost\r\n\r\nGET /stats HTTP/1.1\r\nx: ";
            stream.write_all(first).await.unwrap();
            // Single bytes, which never complete a request.
            until("it is given up", || {
                let _ = stream.try_write(b"x");
                gateway.counts.accepted.load(Ordering::Relaxed) == 1
                    && gateway.counts.connections() == 0
            })
            .await;
            assert_eq!(gateway.counts.requests.load(Ordering::Relaxed), 1);
        },
    );
}

#[test]
fn a_client_that_does_not_read_is_disconnected() {
    let short = HttpTimeouts {
        stall: SHORT,
        ..HttpTimeouts::default()
    };
    with_gateway(
        |http| http.timeouts = short,
        much,
        async |gateway| {
            let mut stream = gateway.connect().await;
            stream.write_all(GET).await.unwrap();
            // The response has begun, so the request is active.
            stream.read_u8().await.unwrap();
            assert_eq!(gateway.counts.connections(), 1);
            until("its connection is given up", || {
                gateway.counts.connections() == 0
            })
            .await;
        },
    );
}

#[test]
fn a_connection_beyond_the_limit_receives_503_and_no_slot() {
    with_gateway(
        |http| http.connections = 2,
        stats,
        async |gateway| {
            let held = [gateway.connect().await, gateway.connect().await];
            until("both are taken", || gateway.counts.connections() == 2).await;
            let answer = gateway.exchange(GET).await;
            assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
            assert!(answer.contains("retry-after: 1\r\n"), "{answer}");
            assert!(answer.contains("has 2 connections, its limit"), "{answer}");
            assert_eq!(gateway.counts.turned_away.load(Ordering::Relaxed), 1);
            drop(held);
            until("both have left", || gateway.counts.connections() == 0).await;
            let answer = gateway.exchange(GET).await;
            assert!(answer.contains("\"queued\":1"), "{answer}");
        },
    );
}

#[test]
fn a_client_that_disconnects_during_a_wait_releases_its_connection() {
    with_gateway(
        |_| (),
        nothing,
        async |gateway| {
            let mut stream = gateway.connect().await;
            let head = b"GET /tasks/1/wait?seconds=3000 HTTP/1.1\r\nhost: localhost\r\n\r\n";
            stream.write_all(head).await.unwrap();
            until("it waits", || gateway.counts.connections() == 1).await;
            drop(stream);
            until("its connection has ended", || {
                gateway.counts.connections() == 0
            })
            .await;
        },
    );
}

/// Number of waits that the hub of the test below has received.
static WAITS: AtomicUsize = AtomicUsize::new(0);

fn stats_and_endless_waits(asked: &Value) -> Option<Value> {
    match asked["method"].as_str() {
        Some("wait") => {
            WAITS.fetch_add(1, Ordering::Relaxed);
            None
        }
        _ => stats(asked),
    }
}

#[test]
fn waits_take_at_most_half_of_the_slots_even_after_a_disconnect() {
    with_gateway(
        |_| (),
        stats_and_endless_waits,
        async |gateway| {
            let head = "GET /tasks/1/wait?seconds=3000 HTTP/1.1\r\nhost: localhost\r\n";
            for n in 1..=2 {
                let mut stream = gateway.connect().await;
                stream
                    .write_all(format!("{head}\r\n").as_bytes())
                    .await
                    .unwrap();
                until("it waits", || WAITS.load(Ordering::Relaxed) == n).await;
            }
            until("both have left", || gateway.counts.connections() == 0).await;
            let third = format!("{head}connection: close\r\n\r\n");
            let refused = gateway.exchange(third.as_bytes()).await;
            assert!(refused.starts_with("HTTP/1.1 503 "), "{refused}");
            assert!(refused.contains("2 parked requests in flight"), "{refused}");
            let answer = gateway.exchange(GET).await;
            assert!(answer.contains("\"queued\":1"), "{answer}");
        },
    );
}

#[test]
fn a_crash_of_the_actor_closes_its_connections_and_keeps_the_socket() {
    with_gateway(
        |_| (),
        stats,
        async |gateway| {
            let mut old = gateway.connect().await;
            until("it is taken", || gateway.counts.connections() == 1).await;
            assert!(gateway.panic_in(gateway.path()));
            assert_eq!(rest(&mut old).await, "");
            // Waits in the system's queue until the next incarnation accepts it.
            let answer = gateway.exchange(GET).await;
            assert!(answer.contains("\"queued\":1"), "{answer}");
        },
    );
}
