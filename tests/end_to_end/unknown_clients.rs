//! Clients that the hub does not know: other protocols, web pages, clients that send no key.

use crate::common::process::shell;
use crate::common::{Client, Hub, Setup, sentence, until, word};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// The only line that the hub sends, before it closes the connection.
fn turned_away(client: &mut Client) -> Value {
    let line = client.line();
    assert!(client.is_closed(), "after {line}");
    serde_json::from_str(&line).unwrap()
}

#[test]
fn a_request_in_the_body_of_a_web_pages_request_is_not_read() {
    let hub = Hub::start();
    let body = r#"{"method":"enqueue","params":{"prompt":"p"}}"#;
    let forms = [
        format!("POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: text/plain\r\n\r\n{body}\n"),
        format!("\r\n\r\nGET / HTTP/1.1\n{body}\n"),
        format!("[{body}]\n{body}\n"),
        format!("x={{\n{body}\n"),
    ];
    for form in forms {
        let mut client = hub.client();
        client.raw(&form);
        let answer = turned_away(&mut client);
        assert_eq!(word(&answer["error"]), "parse_error", "{form}");
        assert!(sentence(&answer["error"]).contains("port of a Kirosu hub"));
    }
    // A body without a line end, whose sender closes its side.
    let mut client = hub.client();
    client.raw(format!("POST / HTTP/1.1\r\n\r\n{body}"));
    client.half_close();
    turned_away(&mut client);
    let stats = hub.client().call("stats", json!({}));
    assert_eq!(stats["stats"]["total_tasks"], 0);
}

#[test]
fn the_first_byte_of_another_protocol_closes_the_connection() {
    let hub = Hub::start();
    // A TLS hello, an SSH banner, a Redis request: none of them has a line end that would have to come first.
    for bytes in [&b"\x16\x03\x01\x02\x00"[..], b"SSH-2.0-x", b"*1"] {
        let mut client = hub.client();
        client.raw(bytes);
        turned_away(&mut client);
    }
    // After a first request a bad line is an error like any other.
    let mut client = hub.client();
    client.call("stats", json!({}));
    client.raw("GET / HTTP/1.1\n");
    assert_eq!(word(&client.read()["error"]), "parse_error");
    client.call("stats", json!({}));
}

fn with_key() -> Hub {
    Setup::new()
        .environment("KIRO_SWARM_KEY", "the-key-of-this-hub")
        .start()
}

#[test]
fn a_client_without_the_key_has_ten_seconds() {
    let hub = with_key();
    let (mut idle, mut wrong, mut known) = (hub.client(), hub.client(), hub.client());
    known.call("stats", json!({"auth_token": "the-key-of-this-hub"}));
    wrong.refused("stats", json!({"auth_token": "wrong"}));
    let begun = Instant::now();
    for client in [&mut idle, &mut wrong] {
        assert_eq!(word(&turned_away(client)["error"]), "unauthorized");
    }
    assert!(begun.elapsed() > Duration::from_secs(8));
    known.call("stats", json!({"auth_token": "the-key-of-this-hub"}));
}

#[test]
fn unfinished_lines_of_unknown_clients_take_bounded_memory() {
    let hub = with_key();
    let line = format!(
        "{{\"method\":\"enqueue\",\"params\":{{\"prompt\":\"{}",
        "x".repeat(7 << 20)
    );
    let mut clients: Vec<Client> = (0..40).map(|_| hub.client()).collect();
    for client in &mut clients {
        // Those that are turned away may be closed before all of it is sent.
        let _ = client.try_raw(&line);
    }
    let resident = hub.resident();
    assert!(resident < 200 << 20, "{resident}");
    // One with the key is served, also with a long line.
    let prompt = "p".repeat(4 << 20);
    let mut known = hub.client();
    known.call("hello", json!({"auth_token": "the-key-of-this-hub"}));
    known.enqueue(&prompt);
    drop(clients);
    // The memory of those who have gone counts no more.
    until("a client with a long first request is served", || {
        let mut client = hub.client();
        let params = json!({"prompt": prompt, "auth_token": "the-key-of-this-hub"});
        let request = json!({"id": 1, "method": "enqueue", "params": params});
        let answer = client
            .try_raw(format!("{request}\n"))
            .map(|()| client.read());
        answer
            .is_ok_and(|answer| answer["error"].is_null())
            .then_some(())
    });
}

#[test]
fn blank_bytes_without_a_line_end_hold_up_no_other_client() {
    let hub = Hub::start();
    // In small chunks: each arrival used to look at all bytes again.
    for has_line in [false, true] {
        let mut blank = hub.client();
        if has_line {
            blank.call("stats", json!({}));
        }
        let before = hub.processor_time();
        for _ in 0..960 {
            blank.raw(" ".repeat(8 << 10));
        }
        blank.raw("\n");
        blank.call("stats", json!({}));
        let spent = hub.processor_time() - before;
        assert!(spent < Duration::from_secs(2), "{spent:?}");
    }
}

/// A hub with at most 40 connections, and a task whose program opens connections without end. On each it sends `line`, an
/// expression of Python. Returns when connections of the program are refused.
fn crowded(line: &str) -> Hub {
    let hub = shell().set("limits.connections=40").start();
    let refused = hub.setup.directory.path().join("refused");
    let script = format!(
        "exec python3 - <<'END'\nimport os, select, socket\n\
         host, port = os.environ['KIROSU_HUB'].rsplit(':', 1)\n\
         line = {line}\nheld = []\n\
         while True:\n\
         \x20 s = socket.create_connection((host, int(port)))\n\
         \x20 held.append(s)\n\
         \x20 try:\n\
         \x20   s.sendall(line)\n\
         \x20 except OSError: pass\n\
         \x20 for s in select.select(held, [], [], 0)[0]:\n\
         \x20   try:\n\
         \x20     got = s.recv(65536)\n\
         \x20   except OSError:\n\
         \x20     got = b''\n\
         \x20   if b'the programs of runs' in got:\n\
         \x20     open('{refused}', 'wb').write(got)\n\
         \x20   if not got:\n\
         \x20     held.remove(s)\n\
         END\n",
        refused = refused.display()
    );
    hub.client()
        .enqueue_with(json!({"prompt": script, "max_attempts": 1}));
    until("connections of the program are refused", || {
        refused.exists().then_some(())
    });
    hub
}

#[test]
fn programs_of_runs_do_not_take_all_connections() {
    for line in [
        "b''",
        "b'{\"method\":\"hello\",\"params\":{\"auth_token\":\"%s\"}}\\n' % os.environ['KIROSU_TOKEN'].encode()",
    ] {
        let hub = crowded(line);
        for _ in 0..20 {
            hub.client().call("stats", json!({}));
        }
        let log = hub.log();
        assert!(log.contains("too many connections from one place"), "{log}");
        assert!(log.matches("too many connections").count() < 5, "{log}");
    }
}
