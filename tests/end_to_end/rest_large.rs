//! Large tasks over REST: the gateway passes them on, and holds none of them.

use crate::common::process::Api;
use crate::common::{Client, Hub};
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::TcpStream;

/// Bytes of one result.
const LARGE: usize = 12 << 20;
/// Requests at once.
const REQUESTS: usize = 20;
/// The memory per client in `docs/rest.md`, plus the buffers of the allocator and of actix.
const BOUND: u64 = (REQUESTS as u64 + 12) << 20;

/// A task whose result is large; its id.
fn large(client: &mut Client) -> i64 {
    let id = client.enqueue("x");
    let lease = client.lease(json!({}));
    let result = "r".repeat(LARGE);
    let ack = json!({"task_id": id, "fence": lease["fence"], "status": "done", "result": result});
    client.call("ack", ack);
    id
}

/// The bytes of an answer that is read to its end, and its beginning and end.
fn read(address: &str, path: &str, version: &str) -> (usize, String, String) {
    let mut stream = TcpStream::connect(address).unwrap();
    let request =
        format!("GET {path} HTTP/{version}\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    let (mut bytes, mut head, mut tail) = (0, Vec::new(), Vec::new());
    let mut piece = vec![0; 64 << 10];
    loop {
        match stream.read(&mut piece).unwrap() {
            0 => break,
            n => {
                bytes += n;
                let room = 400_usize.saturating_sub(head.len()).min(n);
                head.extend_from_slice(&piece[..room]);
                tail.extend_from_slice(&piece[..n]);
                let left = tail.len().saturating_sub(400);
                tail.drain(..left);
            }
        }
    }
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (bytes, text(head), text(tail))
}

#[test]
fn many_requests_for_huge_tasks_take_little_memory_in_the_gateway() {
    let hub = Hub::start();
    let mut client = hub.client();
    let id = large(&mut client);
    let api = Api::start(&hub.setup, hub.port, &[]);
    // One of each kind, so that everything is loaded.
    for path in [format!("/tasks/{id}"), format!("/tasks/{id}/wait")] {
        read(&api.address, &path, "1.1");
    }
    let before = api.most_resident();
    let readers: Vec<_> = (0..REQUESTS)
        .map(|number| {
            let wait = if number % 4 == 0 { "/wait" } else { "" };
            let (address, path) = (api.address.clone(), format!("/tasks/{id}{wait}"));
            std::thread::spawn(move || read(&address, &path, "1.1"))
        })
        .collect();
    for reader in readers {
        let (bytes, head, tail) = reader.join().unwrap();
        assert!(head.starts_with("HTTP/1.1 200"), "{head}");
        assert!(
            bytes > LARGE && tail.ends_with("0\r\n\r\n"),
            "{bytes} {tail}"
        );
    }
    // The kernel counts per processor and adds up roughly: the later peak may seem the smaller one.
    let grown = api.most_resident().saturating_sub(before);
    assert!(grown < BOUND, "grew by {} MiB", grown >> 20);
}

#[test]
fn a_large_task_is_whole_for_every_client() {
    let hub = Hub::start();
    let mut client = hub.client();
    let id = large(&mut client);
    let api = Api::start(&hub.setup, hub.port, &[]);
    let result = |answer: &crate::common::http::Answer| -> Value {
        assert_eq!(answer.status, 200, "{}", answer.head);
        let body: Value = serde_json::from_str(&answer.body).unwrap();
        assert_eq!(body["task"]["result"].as_str().unwrap().len(), LARGE);
        body
    };
    let request = |path: &str| {
        let request = format!("GET {path} HTTP/1.0\r\n\r\n");
        crate::common::http::raw(&api.address, request.as_bytes()).unwrap()
    };
    let got = result(&request(&format!("/tasks/{id}")));
    assert_eq!(got["attempts"].as_array().unwrap().len(), 1);
    let waited = result(&request(&format!("/tasks/{id}/wait")));
    assert_eq!(waited["finished"], true);
    // A short answer has a length.
    let small = client.enqueue("small");
    let short = crate::common::http::get(&api.address, &format!("/tasks/{small}"));
    assert!(short.head.contains("content-length"), "{}", short.head);
    assert_eq!(short.json()["task"]["status"], "queued");
    let waits = crate::common::http::get(&api.address, &format!("/tasks/{small}/wait?seconds=0"));
    assert_eq!(waits.json()["finished"], false);
    for path in ["/tasks/99", "/tasks/99/wait"] {
        assert_eq!(crate::common::http::get(&api.address, path).status, 404);
    }
}
