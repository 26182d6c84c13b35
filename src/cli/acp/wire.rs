//! The connection to the editor: JSON-RPC messages, one per line, on standard input and output.

use kirosu_protocol::{Limits, LineSplitter, SplitLine};
use kirosu_providers::rpc::{self, RpcError};
use serde_json::{Value, json};
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::io;
use std::rc::Rc;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::{mpsc, oneshot};

/// Messages that wait to be written. A sender of more waits until the editor has read.
const QUEUE: usize = 256;
/// Bytes that one read takes.
const READ: usize = 16 << 10;

/// The sending side. Cheap to clone.
#[derive(Clone)]
pub struct Wire {
    lines: mpsc::Sender<Vec<u8>>,
    open: Rc<RefCell<HashMap<u64, oneshot::Sender<RpcOutcome>>>>,
    next: Rc<Cell<u64>>,
}

type RpcOutcome = Result<Value, RpcError>;

/// A request that the editor has not answered.
pub struct OpenRequest {
    /// Its id.
    pub id: u64,
    /// Its answer; closed if the connection ends.
    pub answer: oneshot::Receiver<RpcOutcome>,
}

impl Wire {
    /// The sending side, and the lines that [`write_all`] writes.
    pub fn new() -> (Wire, mpsc::Receiver<Vec<u8>>) {
        let (lines, queue) = mpsc::channel(QUEUE);
        let wire = Wire {
            lines,
            open: Rc::default(),
            next: Rc::new(Cell::new(1)),
        };
        (wire, queue)
    }

    /// Sends a message. It is dropped if the editor has closed the connection, which the reader notices.
    pub async fn send(&self, message: &Value) {
        let mut line = message.to_string().into_bytes();
        line.push(b'\n');
        let _ = self.lines.send(line).await;
    }

    /// Sends an update of a session.
    pub async fn update(&self, session: &str, update: Value) {
        let params = json!({"sessionId": session, "update": update});
        self.send(&rpc::notification("session/update", params))
            .await;
    }

    /// Sends a request.
    pub async fn request(&self, method: &str, params: Value) -> OpenRequest {
        let id = self.next.replace(self.next.get() + 1);
        let (reply, answer) = oneshot::channel();
        self.open.borrow_mut().insert(id, reply);
        self.send(&rpc::request(id, method, params)).await;
        OpenRequest { id, answer }
    }

    /// Tells the editor that the answer to a request is of no use any more.
    pub async fn withdraw(&self, id: u64) {
        if self.open.borrow_mut().remove(&id).is_some() {
            let params = json!({"requestId": id});
            self.send(&rpc::notification("$/cancel_request", params))
                .await;
        }
    }

    /// Passes an answer on to its request. One that answers nothing is ignored.
    pub fn answered(&self, id: u64, outcome: RpcOutcome) {
        if let Some(reply) = self.open.borrow_mut().remove(&id) {
            let _ = reply.send(outcome);
        }
    }
}

/// Writes the lines until all senders are gone.
///
/// # Errors
/// The editor has closed the connection.
pub async fn write_all(
    mut queue: mpsc::Receiver<Vec<u8>>,
    mut out: impl AsyncWrite + Unpin,
) -> io::Result<()> {
    while let Some(line) = queue.recv().await {
        out.write_all(&line).await?;
        while let Ok(line) = queue.try_recv() {
            out.write_all(&line).await?;
        }
        out.flush().await?;
    }
    Ok(())
}

/// A line of the editor.
#[derive(Debug, PartialEq, Eq)]
pub enum EditorLine {
    /// A line that is not blank.
    Text(Vec<u8>),
    /// A line beyond the limit of the hub's own protocol, which was skipped.
    TooLong,
}

/// The lines of the editor.
pub struct EditorLines<R> {
    reader: R,
    splitter: LineSplitter,
    is_over: bool,
}

impl<R: AsyncRead + Unpin> EditorLines<R> {
    /// The lines that a reader reads.
    pub fn new(reader: R) -> EditorLines<R> {
        EditorLines {
            reader,
            splitter: LineSplitter::new(Limits::default().line_bytes),
            is_over: false,
        }
    }

    /// The next line; `None` at the end.
    ///
    /// # Errors
    /// The reader fails.
    pub async fn next(&mut self) -> io::Result<Option<EditorLine>> {
        loop {
            if let Some(line) = self.splitter.next_line() {
                return Ok(Some(owned(line)));
            }
            if self.is_over {
                return Ok(self.splitter.finish().map(owned));
            }
            let buffer = self.splitter.buffer();
            buffer.reserve(READ);
            self.is_over = self.reader.read_buf(buffer).await? == 0;
        }
    }
}

fn owned(line: SplitLine<'_>) -> EditorLine {
    match line {
        SplitLine::Text(text) => EditorLine::Text(text.to_vec()),
        SplitLine::Long(line) => EditorLine::Text(line.join()),
        SplitLine::TooLong => EditorLine::TooLong,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run<T>(work: impl Future<Output = T>) -> T {
        let runtime = tokio::runtime::Builder::new_current_thread().build();
        runtime.unwrap().block_on(work)
    }

    #[test]
    fn lines_are_read_to_the_end_and_long_ones_are_reported() {
        let long = "x".repeat(Limits::default().line_bytes + 1);
        let text = format!("one\n\n{long}\r\ntwo");
        let mut lines = EditorLines::new(text.as_bytes());
        run(async {
            let mut next = async || lines.next().await.unwrap();
            assert_eq!(next().await, Some(EditorLine::Text(b"one".to_vec())));
            assert_eq!(next().await, Some(EditorLine::TooLong));
            assert_eq!(next().await, Some(EditorLine::Text(b"two".to_vec())));
            assert_eq!(next().await, None);
        });
    }

    #[test]
    fn an_answer_reaches_its_request_and_a_withdrawn_one_is_reported_once() {
        run(async {
            let (wire, mut queue) = Wire::new();
            let one = wire.request("a", json!({})).await;
            let two = wire.request("b", json!({})).await;
            wire.answered(two.id, Ok(json!(2)));
            assert_eq!(two.answer.await.unwrap().unwrap(), json!(2));
            wire.withdraw(one.id).await;
            wire.withdraw(one.id).await;
            wire.answered(one.id, Ok(json!(1)));
            assert!(one.answer.await.is_err());
            drop(wire);
            let mut sent = Vec::new();
            while let Some(line) = queue.recv().await {
                sent.push(String::from_utf8(line).unwrap());
            }
            assert_eq!(sent.len(), 3, "{sent:?}");
            assert!(sent[2].contains("$/cancel_request"), "{sent:?}");
        });
    }
}
