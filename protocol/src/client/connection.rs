//! A connection to the hub: its bytes and its calls without an answer.

use super::endpoint::Stream;
use super::error::CallError;
use super::wire::{self, Incoming};
use crate::frame::fits;
use crate::{Limits, LineSplitter, SplitLine};
use serde_json::value::RawValue;
use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::io::{AsyncReadExt, ReadHalf, WriteHalf};
use tokio::sync::oneshot;

/// Bytes to reserve for each read from the socket.
pub(super) const READ_BYTES: usize = 16 << 10;
/// Unwritten bytes at which no further call is taken from the queue.
const WRITE_BYTES: usize = 256 << 10;

/// A call on its way to the driver.
pub(super) struct QueuedCall {
    pub(super) id: u64,
    pub(super) method: String,
    pub(super) line: Vec<u8>,
    /// Set before the first byte is written; see `Client::exchange`.
    pub(super) sent: Arc<AtomicBool>,
    pub(super) reply: oneshot::Sender<Result<Box<RawValue>, CallError>>,
}

/// A call that was sent and has no answer yet.
pub(super) struct PendingCall {
    pub(super) method: String,
    pub(super) reply: oneshot::Sender<Result<Box<RawValue>, CallError>>,
}

/// A connection to the hub.
pub(super) struct HubConnection {
    pub(super) reader: ReadHalf<Box<dyn Stream>>,
    pub(super) writer: WriteHalf<Box<dyn Stream>>,
    pub(super) lines: LineSplitter,
    /// Requests; the bytes from `written` on are not written yet.
    pub(super) out: Vec<u8>,
    pub(super) written: usize,
    pub(super) pending: HashMap<u64, PendingCall>,
    /// The hub's limits, from its answer to `hello`.
    pub(super) limits: Limits,
}

impl HubConnection {
    /// A connection over a new stream, before `hello`.
    pub(super) fn new(stream: Box<dyn Stream>, answer_bytes: usize) -> HubConnection {
        let (reader, writer) = tokio::io::split(stream);
        HubConnection {
            reader,
            writer,
            lines: LineSplitter::new(answer_bytes),
            out: Vec::new(),
            written: 0,
            pending: HashMap::new(),
            limits: Limits::default(),
        }
    }

    pub(super) fn has_space(&self) -> bool {
        self.out.len() - self.written < WRITE_BYTES
            && self.pending.len() < self.limits.in_flight_per_connection.max(1)
    }

    /// Takes a call to be written. Refuses one that is beyond the hub's limits: the hub would answer it without an id, and its
    /// caller would wait until the timeout.
    pub(super) fn accept(&mut self, call: QueuedCall) {
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
            PendingCall {
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

    /// Reads the next line. For the time before any call is written.
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

pub(super) fn incoming(line: SplitLine<'_>) -> io::Result<Incoming> {
    match line {
        SplitLine::Text(text) => Ok(wire::read(text)),
        SplitLine::Long(line) => Ok(wire::read(&line.join())),
        SplitLine::TooLong => Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "an answer is longer than this client takes",
        )),
    }
}
