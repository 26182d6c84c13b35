//! The bytes of a connection: received lines, and answers on their way to the client.
//!
//! The connection itself writes first: nearly always the socket takes everything, which saves a wake-up. A background write
//! takes over the rest, and the sending half with it until it has ended.

mod peer;
mod send_buffer;
mod socket;

pub use peer::Peer;
pub use send_buffer::SendBuffer;
pub use socket::{Inbound, ReadGate, Received, RestWritten, SendHalf, write_rest};

use crate::identity::PeerOwner;
use crate::listener::process::PeerProcess;
use kirosu_protocol::LineSplitter;
use socket::{ReadHalf, TURN_BYTES, close, write_now};
use std::cell::RefCell;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use tokio::sync::OwnedSemaphorePermit;

/// Bytes of answers that may wait in memory for a client. Above it, no more requests are read or started.
const UNREAD_BYTES: usize = 1 << 20;

/// The transport of one connection.
pub struct Transport {
    /// The peer's name, for people.
    pub peer: String,
    /// The owner of the peer's process.
    pub owner: PeerOwner,
    /// The way to that process.
    pub process: PeerProcess,
    /// Received bytes, split into lines. Shared with the reading stream.
    pub splitter: Rc<RefCell<LineSplitter>>,
    /// Pauses the reading stream.
    pub gate: Rc<ReadGate>,
    reading: Option<ReadHalf>,
    /// `None` while a background write has it, and after the end.
    writing: Option<SendHalf>,
    /// Whole lines that wait to be sent.
    lines: SendBuffer,
    /// Bytes that are sent before `lines`: the rest of the last write, or a part of a long answer.
    partial: SendBuffer,
    broken: bool,
    unread: bool,
}

impl Transport {
    /// The transport to a client. `None` as the peer: the actor was restarted, and its client is gone.
    pub fn new(peer: Option<Peer>, line_bytes: usize) -> Transport {
        let (peer, owner, process, reading, writing) = match peer {
            Some(peer) => (
                peer.name,
                peer.owner,
                peer.process,
                Some(peer.reading),
                Some(peer.writing),
            ),
            None => (
                String::new(),
                PeerOwner::Unknown,
                PeerProcess::None,
                None,
                None,
            ),
        };
        Transport {
            peer,
            owner,
            process,
            splitter: Rc::new(RefCell::new(LineSplitter::new(line_bytes))),
            gate: Rc::default(),
            reading,
            writing,
            lines: SendBuffer::default(),
            partial: SendBuffer::default(),
            broken: false,
            unread: false,
        }
    }

    /// The reading stream, once.
    pub fn take_inbound(&mut self) -> Option<Inbound> {
        let reading = self.reading.take()?;
        Some(Inbound::new(
            reading,
            self.splitter.clone(),
            self.gate.clone(),
        ))
    }

    /// The buffer to which whole lines are appended.
    pub fn lines(&mut self) -> &mut Vec<u8> {
        self.lines.tail()
    }

    /// Appends a line that other connections send as well.
    pub fn share(&mut self, line: &Arc<[u8]>) {
        self.lines.share(line);
    }

    /// Begins a line in parts: all whole lines are sent before it. Returns the buffer for its beginning.
    pub fn begin_line(&mut self) -> &mut Vec<u8> {
        self.partial.append(&mut self.lines);
        self.partial.tail()
    }

    /// The buffer for short parts of a line that has begun.
    pub fn line_part(&mut self) -> &mut Vec<u8> {
        self.partial.tail()
    }

    /// Appends a part of a line that has begun, with the memory that it holds until it is sent.
    pub fn push_part(&mut self, bytes: Vec<u8>, memory: Option<OwnedSemaphorePermit>) {
        self.partial.push(bytes, memory);
    }

    /// Bytes of whole lines that wait to be sent.
    pub fn waiting_bytes(&self) -> usize {
        self.lines.len()
    }

    /// Whether the client reads its answers fast enough to be given more.
    pub fn has_room(&self) -> bool {
        self.lines.len() < UNREAD_BYTES
    }

    /// Whether all bytes have been passed to the kernel: none wait here, and no background write has a rest. A connection that
    /// stops earlier drops its background write, and with it the end of the last answer.
    pub fn is_flushed(&self) -> bool {
        self.is_idle() && self.lines.is_empty() && self.partial.is_empty()
    }

    /// Whether the next write begins at once: no background write is under way.
    pub fn is_idle(&self) -> bool {
        self.writing.is_some()
    }

    /// Whether the next part of a long answer may be read: the client has taken the one before.
    pub fn takes_part(&self) -> bool {
        self.is_idle() && self.partial.is_empty()
    }

    /// Whether the socket failed or the client was given up. Nothing reaches it.
    pub fn is_broken(&self) -> bool {
        self.broken
    }

    /// Whether the client was given up because it does not read its answers. Nothing more is read from it, either.
    pub fn is_unread(&self) -> bool {
        self.unread
    }

    /// Whether the client is known to be gone.
    pub fn is_gone(&self) -> bool {
        self.writing.as_ref().is_some_and(SendHalf::is_gone)
    }

    /// Writes as much as the socket takes now, up to one turn's bytes. `in_line`: a line is sent in part, so whole lines wait
    /// until it is complete. Returns the sending half and the rest if a background write has to continue.
    ///
    /// # Errors
    ///
    /// Fails if the socket is closed or broken.
    pub fn write(&mut self, in_line: bool) -> io::Result<Option<(SendHalf, SendBuffer)>> {
        if self.broken {
            self.clear();
        }
        let Some(io) = self.writing.as_mut() else {
            return Ok(None);
        };
        let mut left = TURN_BYTES;
        loop {
            let from = match (self.partial.is_empty(), in_line) {
                (false, _) => &mut self.partial,
                (true, false) if !self.lines.is_empty() => &mut self.lines,
                _ => break,
            };
            let bytes = from.front();
            let bytes = &bytes[..bytes.len().min(left)];
            let written = write_now(io, bytes)?;
            let is_all = written == bytes.len();
            from.advance(written);
            left -= written;
            if !is_all || left == 0 {
                break;
            }
        }
        if !in_line {
            self.partial.append(&mut self.lines);
        }
        if self.partial.is_empty() && !self.has_unsent() {
            return Ok(None);
        }
        let rest = std::mem::take(&mut self.partial);
        Ok(self.writing.take().map(|io| (io, rest)))
    }

    /// Whether TLS holds bytes that were written and that the socket has not taken.
    fn has_unsent(&self) -> bool {
        self.writing.as_ref().is_some_and(SendHalf::has_unsent)
    }

    /// The background write has ended.
    pub fn give_back(&mut self, io: SendHalf) {
        self.writing = Some(io);
    }

    /// Gives the client up because it does not read.
    pub fn mark_unread(&mut self) {
        self.unread = true;
        self.gate.close();
    }

    /// Drops all bytes that wait. Returns false if the transport was broken before.
    pub fn mark_broken(&mut self) -> bool {
        self.clear();
        !std::mem::replace(&mut self.broken, true)
    }

    fn clear(&mut self) {
        self.lines = SendBuffer::default();
        self.partial = SendBuffer::default();
    }

    /// Closes the sending side, unless a background write has it.
    pub fn close(&mut self) {
        if let Some(io) = self.writing.take() {
            close(io);
        }
    }
}
