//! A server that plays one script a connection, and a provider that asks it.

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

/// What one connection does after its request was read.
pub type Script = Box<dyn FnOnce(&mut TcpStream) + Send>;

/// A request as it came.
#[derive(Debug)]
pub struct Asked {
    pub line: String,
    pub headers: BTreeMap<String, String>,
    pub body: Value,
}

pub struct Service {
    pub url: String,
    asked: Receiver<Asked>,
}

impl Service {
    /// Serves one connection after the other, each with the next script, then no more.
    pub fn play(scripts: Vec<Script>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/v1", listener.local_addr().unwrap());
        let (tell, asked) = channel();
        std::thread::spawn(move || {
            for script in scripts {
                let (mut stream, _) = listener.accept().unwrap();
                stream.set_read_timeout(Some(BOUND)).unwrap();
                stream.set_nodelay(true).unwrap();
                let _ = tell.send(read(&stream));
                script(&mut stream);
            }
        });
        Self { url, asked }
    }

    /// One connection that answers with this whole text.
    pub fn say(response: impl Into<String>) -> Self {
        Self::play(vec![said(response.into())])
    }

    /// The next request that came.
    pub fn asked(&self) -> Asked {
        self.asked.recv_timeout(BOUND).expect("a request")
    }

    /// How many requests came that were not looked at.
    pub fn more(&self) -> usize {
        self.asked.try_iter().count()
    }

    pub fn options(&self, kind: &str) -> ProviderOptions {
        ProviderOptions {
            name: "api".to_owned(),
            kind: kind.to_owned(),
            http: HttpServiceOptions {
                base_url: Some(self.url.clone()),
                // Always there, and no secret.
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

fn read(stream: &TcpStream) -> Asked {
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
    Asked {
        line: line.trim().to_owned(),
        headers,
        body: serde_json::from_slice(&body).unwrap_or_default(),
    }
}

/// Answers with this and closes.
pub fn said(response: String) -> Script {
    Box::new(move |stream| drop(stream.write_all(response.as_bytes())))
}

/// Answers with these events in pieces of `size`, in the chunks of HTTP, and ends in good order.
pub fn streamed(events: String, size: usize) -> Script {
    Box::new(move |stream| {
        begin(stream);
        for piece in events.as_bytes().chunks(size) {
            chunk(stream, piece);
        }
        let _ = stream.write_all(b"0\r\n\r\n");
    })
}

/// The head of an answer that is a stream of events.
pub fn begin(stream: &mut TcpStream) {
    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\ntransfer-encoding: chunked\r\n\r\n";
    let _ = stream.write_all(head.as_bytes());
}

/// One chunk of HTTP; false when nobody reads any more.
pub fn chunk(stream: &mut TcpStream, bytes: &[u8]) -> bool {
    let mut whole = format!("{:x}\r\n", bytes.len()).into_bytes();
    whole.extend_from_slice(bytes);
    whole.extend_from_slice(b"\r\n");
    stream.write_all(&whole).is_ok()
}

/// Waits until the other side has closed.
pub fn closed(stream: &mut TcpStream) -> bool {
    !matches!(stream.read(&mut [0; 64]), Ok(1..))
}

/// An answer with a status, more headers (each with its line end) and a body.
pub fn status(status: &str, headers: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "HTTP/1.1 {status}\r\n{headers}content-length: {length}\r\nconnection: close\r\n\r\n{body}"
    )
}

/// An answer that is one JSON document.
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

/// Runs to the end; the events, and what came of it.
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

/// All text that was streamed.
pub fn text(events: &[RunEvent]) -> String {
    let pieces = events.iter().filter_map(|event| match event {
        RunEvent::Text { text } => Some(text.as_str()),
        _ => None,
    });
    pieces.collect()
}
