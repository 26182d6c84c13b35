//! A client of server-sent events.

use crate::common::PATIENCE;
use serde_json::Value;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::Instant;

/// A server-sent event.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sent {
    pub id: String,
    pub event: String,
    pub data: String,
}

impl Sent {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.data).unwrap_or_else(|e| panic!("{e} in {self:?}"))
    }
}

/// A stream of events, which arrives in chunks.
pub struct Stream {
    reader: BufReader<TcpStream>,
    /// Bytes of the body that are not read as lines yet.
    text: String,
    pub head: String,
    /// The last id, as a browser keeps it.
    pub last_id: String,
    pub comments: usize,
}

impl Stream {
    /// Sends the request, and reads the head of the response.
    pub fn open(address: &str, path: &str, headers: &str) -> Stream {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\n{headers}\r\n");
        stream.write_all(request.as_bytes()).unwrap();
        let mut reader = BufReader::new(stream);
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            assert!(reader.read_line(&mut head).unwrap() > 0, "{head}");
        }
        Stream {
            reader,
            text: String::new(),
            head: head.to_lowercase(),
            last_id: String::new(),
            comments: 0,
        }
    }

    /// Reads the next chunk. `false` at the end.
    fn more(&mut self) -> bool {
        let mut size = String::new();
        if self.reader.read_line(&mut size).unwrap_or(0) == 0 {
            return false;
        }
        let size =
            usize::from_str_radix(size.trim(), 16).unwrap_or_else(|e| panic!("{e}: {size:?}"));
        let mut chunk = vec![0; size + 2];
        if self.reader.read_exact(&mut chunk).is_err() || size == 0 {
            return false;
        }
        self.text
            .push_str(std::str::from_utf8(&chunk[..size]).unwrap());
        true
    }

    /// The next event. `None` at the end of the stream.
    pub fn next(&mut self) -> Option<Sent> {
        loop {
            let Some((block, rest)) = self.text.split_once("\n\n") else {
                if !self.more() {
                    return None;
                }
                // The comments that show that the connection is alive end no wait.
                assert!(self.comments < 100, "no event came");
                continue;
            };
            let mut sent = Sent::default();
            for line in block.lines() {
                match line.split_once(": ") {
                    Some(("id", id)) => sent.id = id.to_owned(),
                    Some(("event", name)) => sent.event = name.to_owned(),
                    Some(("data", data)) => sent.data = data.to_owned(),
                    Some(("", _)) => self.comments += 1,
                    other => panic!("{other:?} in {block:?}"),
                }
            }
            self.text = rest.to_owned();
            if !sent.id.is_empty() {
                self.last_id = sent.id.clone();
            }
            if !sent.data.is_empty() {
                return Some(sent);
            }
        }
    }

    /// The next event, which must come.
    pub fn must(&mut self) -> Sent {
        self.next().expect("an event before the end of the stream")
    }

    /// Reads up to the event that is looked for.
    pub fn find(&mut self, looked_for: impl Fn(&Sent) -> bool) -> Sent {
        let begun = Instant::now();
        loop {
            let sent = self.must();
            assert!(begun.elapsed() < PATIENCE, "not found up to {sent:?}");
            if looked_for(&sent) {
                return sent;
            }
        }
    }
}

/// Whether an event is about a task with this status.
pub fn is_task(sent: &Sent, task_id: i64, status: &str) -> bool {
    if sent.event != "event" {
        return false;
    }
    let event = sent.json();
    event["event"] == "task" && event["task_id"] == task_id && event["status"] == status
}
