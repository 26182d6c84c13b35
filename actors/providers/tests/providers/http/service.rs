//! A server that plays one script per connection, and a provider that calls it.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use kirosu_providers::{
    Cancel, Containment, EventSink, Finished, HttpServiceOptions, Job, Provider, ProviderOptions,
    RunEvent, RunFailure, RunnerCommand, build,
};
use serde_json::Value;

/// No single wait of a test is longer.
pub const BOUND: Duration = Duration::from_secs(30);

/// The behaviour of one connection after its request was read.
pub type Script = Box<dyn FnOnce(&mut TcpStream) + Send>;

/// A received request.
#[derive(Debug)]
pub struct ReceivedRequest {
    pub line: String,
    pub headers: BTreeMap<String, String>,
    pub body: Value,
}

pub struct Service {
    pub url: String,
    requests: Receiver<ReceivedRequest>,
}

impl Service {
    /// Serves one connection after the other, each with the next script, then no more.
    pub fn play(scripts: Vec<Script>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/v1", listener.local_addr().unwrap());
        let (sender, requests) = channel();
        std::thread::spawn(move || {
            for script in scripts {
                let (mut stream, _) = listener.accept().unwrap();
                stream.set_read_timeout(Some(BOUND)).unwrap();
                stream.set_nodelay(true).unwrap();
                let _ = sender.send(read(&stream));
                script(&mut stream);
            }
        });
        Self { url, requests }
    }

    /// Serves one connection with this whole response.
    pub fn respond(response: impl Into<String>) -> Self {
        Self::play(vec![responding(response.into())])
    }

    /// The next request.
    pub fn request(&self) -> ReceivedRequest {
        self.requests.recv_timeout(BOUND).expect("a request")
    }

    /// The number of requests that were not read.
    pub fn unread_requests(&self) -> usize {
        self.requests.try_iter().count()
    }

    pub fn options(&self, kind: &str) -> ProviderOptions {
        ProviderOptions {
            name: "api".to_owned(),
            kind: kind.to_owned(),
            http: HttpServiceOptions {
                base_url: Some(self.url.clone()),
                // Always set, and not secret.
                key_env: Some("CARGO_PKG_NAME".to_owned()),
                ..HttpServiceOptions::default()
            },
            ..ProviderOptions::default()
        }
    }

    pub fn provider(&self, kind: &str) -> Arc<dyn Provider> {
        provider(&self.options(kind))
    }
}

fn read(stream: &TcpStream) -> ReceivedRequest {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).unwrap();
    let mut headers = BTreeMap::new();
    loop {
        let mut header = String::new();
        reader.read_line(&mut header).unwrap();
        match header.trim().split_once(": ") {
            Some((name, value)) => headers.insert(name.to_lowercase(), value.to_owned()),
            None => break,
        };
    }
    let length = headers.get("content-length");
    let length = length.map_or(0, |it| it.parse().unwrap());
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    ReceivedRequest {
        line: line.trim().to_owned(),
        headers,
        body: serde_json::from_slice(&body).unwrap_or_default(),
    }
}

/// A script that sends this and closes.
pub fn responding(response: String) -> Script {
    Box::new(move |stream| drop(stream.write_all(response.as_bytes())))
}

/// A script that sends these events in pieces of `size`, as HTTP chunks, and ends in order.
pub fn streamed(events: String, size: usize) -> Script {
    Box::new(move |stream| {
        begin(stream);
        for piece in events.as_bytes().chunks(size) {
            chunk(stream, piece);
        }
        let _ = stream.write_all(b"0\r\n\r\n");
    })
}

/// Sends the head of a response that is a stream of events.
pub fn begin(stream: &mut TcpStream) {
    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\ntransfer-encoding: chunked\r\n\r\n";
    let _ = stream.write_all(head.as_bytes());
}

/// Sends one HTTP chunk. False when the connection is closed.
pub fn chunk(stream: &mut TcpStream, bytes: &[u8]) -> bool {
    let mut whole = format!("{:x}\r\n", bytes.len()).into_bytes();
    whole.extend_from_slice(bytes);
    whole.extend_from_slice(b"\r\n");
    stream.write_all(&whole).is_ok()
}

/// Waits until the other side has closed the connection.
pub fn closed(stream: &mut TcpStream) -> bool {
    !matches!(stream.read(&mut [0; 64]), Ok(1..))
}

/// A response with a status, further headers (each with its line end) and a body.
pub fn status(status: &str, headers: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "HTTP/1.1 {status}\r\n{headers}content-length: {length}\r\nconnection: close\r\n\r\n{body}"
    )
}

/// A response that is one JSON document.
pub fn document(body: &Value) -> String {
    status(
        "200 OK",
        "content-type: application/json\r\n",
        &body.to_string(),
    )
}

pub fn provider(options: &ProviderOptions) -> Arc<dyn Provider> {
    let runner = RunnerCommand {
        program: PathBuf::from("/nowhere"),
        args: Vec::new(),
    };
    build(options, &Containment::new(runner, "http")).unwrap()
}

/// Runs a job to its end. Returns the events and the outcome.
pub async fn run(
    provider: &dyn Provider,
    job: Job,
    cancel: Cancel,
) -> (Vec<RunEvent>, Result<Finished, RunFailure>) {
    let (sink, mut stream) = EventSink::channel(4);
    let events = Arc::new(Mutex::new(Vec::new()));
    let kept = events.clone();
    let gather = async move {
        while let Some(event) = stream.recv().await {
            kept.lock().unwrap().push(event);
        }
    };
    let both = async { tokio::join!(provider.run(job, sink, cancel), gather).0 };
    let outcome = tokio::time::timeout(BOUND, both).await;
    let outcome = outcome.expect("the run ends");
    let events = std::mem::take(&mut *events.lock().unwrap());
    (events, outcome)
}

/// Runs a plain job.
pub async fn ask(provider: &dyn Provider) -> (Vec<RunEvent>, Result<Finished, RunFailure>) {
    let mut job = Job::new("two and two?", "/");
    job.model = Some("m-1".to_owned());
    run(provider, job, Cancel::never()).await
}

/// All streamed text.
pub fn text(events: &[RunEvent]) -> String {
    let pieces = events.iter().filter_map(|event| match event {
        RunEvent::Text { text } => Some(text.as_str()),
        _ => None,
    });
    pieces.collect()
}
