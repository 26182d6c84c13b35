//! One connection to the hub after `hello`: bytes and open calls, without policy.

use super::endpoint::Stream;
use super::error::CallError;
use super::wire::{self, Incoming};
use crate::codec::{Line, LineSplitter};
use crate::frame::fits;
use crate::limits::Limits;
use serde_json::value::RawValue;
use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::io::{AsyncReadExt, ReadHalf, WriteHalf};
use tokio::sync::oneshot;

/// Bytes taken from the socket at once.
pub(super) const READ_BYTES: usize = 16 << 10;
/// Bytes waiting to be written beyond which no further call is taken from the queue.
const WRITE_BYTES: usize = 256 << 10;

/// A call on its way.
pub(super) struct Call {
    pub(super) id: u64,
    pub(super) method: String,
    pub(super) line: Vec<u8>,
    /// Set before the first byte may leave; see `Client::exchange`.
    pub(super) sent: Arc<AtomicBool>,
    pub(super) reply: oneshot::Sender<Result<Box<RawValue>, CallError>>,
}

/// A call that waits for its answer.
pub(super) struct Pending {
    pub(super) method: String,
    pub(super) reply: oneshot::Sender<Result<Box<RawValue>, CallError>>,
}

/// One connection after `hello`.
pub(super) struct Connection {
    pub(super) reader: ReadHalf<Box<dyn Stream>>,
    pub(super) writer: WriteHalf<Box<dyn Stream>>,
    pub(super) lines: LineSplitter,
    /// Requests not written yet, from `written` on.
    pub(super) out: Vec<u8>,
    pub(super) written: usize,
    pub(super) pending: HashMap<u64, Pending>,
    /// What the hub takes; told by `hello`.
    pub(super) limits: Limits,
}

impl Connection {
    /// Over a fresh stream, before `hello`.
    pub(super) fn new(stream: Box<dyn Stream>, answer_bytes: usize) -> Connection {
        let (reader, writer) = tokio::io::split(stream);
        Connection {
            reader,
            writer,
            lines: LineSplitter::new(answer_bytes),
            out: Vec::new(),
            written: 0,
            pending: HashMap::new(),
            limits: Limits::default(),
        }
    }

    pub(super) fn has_room(&self) -> bool {
        self.out.len() - self.written < WRITE_BYTES
            && self.pending.len() < self.limits.in_flight_per_connection.max(1)
    }

    /// Takes a call to be written. One that the hub would skip as too long or too deep is refused here: the hub answers
    /// such a line without an id, and its caller would wait in vain.
    pub(super) fn accept(&mut self, call: Call) {
        let line = call.line.strip_suffix(b"\n").unwrap_or(&call.line);
        if let Err(error) = fits(line, &self.limits) {
            let _ = call.reply.send(Err(CallError::Refused(error)));
            return;
        }
        call.sent.store(true, Ordering::SeqCst);
        if call.reply.is_closed() {
            return;
        }
        self.out.extend_from_slice(&call.line);
        self.pending.insert(
            call.id,
            Pending {
                method: call.method,
                reply: call.reply,
            },
        );
    }

    pub(super) fn advance(&mut self, n: usize) {
        self.written += n;
        if self.written == self.out.len() {
            self.out.clear();
            self.written = 0;
            self.out.shrink_to(WRITE_BYTES);
        }
    }

    /// The next line, while nothing is to be written.
    pub(super) async fn next(&mut self) -> io::Result<Incoming> {
        loop {
            if let Some(line) = self.lines.next_line() {
                return incoming(line);
            }
            let buffer = self.lines.buffer();
            buffer.reserve(READ_BYTES);
            if self.reader.read_buf(buffer).await? == 0 {
                return Err(io::Error::new(
                    io::ErrorKind::UnexpectedEof,
                    "the hub closed the connection",
                ));
            }
        }
    }
}

pub(super) fn incoming(line: Line<'_>) -> io::Result<Incoming> {
    match line {
        Line::Text(text) => Ok(wire::read(text)),
        Line::TooLong => Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "an answer is longer than this client takes",
        )),
    }
}
