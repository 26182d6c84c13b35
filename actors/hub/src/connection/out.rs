//! Bytes on their way to a client: short lines in one buffer, long ones each as it is.

use std::collections::VecDeque;
use std::sync::Arc;
use tokio::sync::OwnedSemaphorePermit;

/// Longest line that is copied into the buffer of short ones.
const SHORT_BYTES: usize = 8 << 10;
/// A buffer that has grown beyond this is given back when it is empty.
const KEPT_BYTES: usize = 1 << 20;

/// See the module.
#[derive(Debug, Default)]
pub struct Out {
    /// What comes first.
    chunks: VecDeque<Chunk>,
    chunk_bytes: usize,
    /// What comes last.
    tail: Vec<u8>,
}

#[derive(Debug)]
struct Chunk {
    bytes: Bytes,
    /// So many of them are taken.
    at: usize,
    /// The room that they have among the long answers of all connections.
    _room: Option<OwnedSemaphorePermit>,
}

#[derive(Debug)]
enum Bytes {
    Own(Vec<u8>),
    Shared(Arc<[u8]>),
}

impl Chunk {
    fn left(&self) -> &[u8] {
        match &self.bytes {
            Bytes::Own(bytes) => &bytes[self.at..],
            Bytes::Shared(bytes) => &bytes[self.at..],
        }
    }
}

impl Out {
    /// The buffer to which short lines are appended.
    pub fn lines(&mut self) -> &mut Vec<u8> {
        &mut self.tail
    }

    /// Appends bytes, with the room that they hold until they are taken.
    pub fn push(&mut self, bytes: Vec<u8>, room: Option<OwnedSemaphorePermit>) {
        self.add(Bytes::Own(bytes), 0, room);
    }

    /// Appends a line that others get as well.
    pub fn share(&mut self, line: &Arc<[u8]>) {
        if line.len() <= SHORT_BYTES {
            self.tail.extend_from_slice(line);
        } else {
            self.add(Bytes::Shared(line.clone()), 0, None);
        }
    }

    fn add(&mut self, bytes: Bytes, at: usize, room: Option<OwnedSemaphorePermit>) {
        self.seal();
        self.put(bytes, at, room);
    }

    fn put(&mut self, bytes: Bytes, at: usize, _room: Option<OwnedSemaphorePermit>) {
        let chunk = Chunk { bytes, at, _room };
        let left = chunk.left().len();
        if left > 0 {
            self.chunk_bytes += left;
            self.chunks.push_back(chunk);
        }
    }

    /// Turns the buffer of short lines into a chunk.
    fn seal(&mut self) {
        if !self.tail.is_empty() {
            let tail = std::mem::take(&mut self.tail);
            self.put(Bytes::Own(tail), 0, None);
        }
    }

    /// Appends all that another has, and leaves that one empty.
    pub fn append(&mut self, other: &mut Out) {
        self.seal();
        other.seal();
        self.chunks.append(&mut other.chunks);
        self.chunk_bytes += std::mem::take(&mut other.chunk_bytes);
    }

    /// The next bytes to write; empty only when there are none.
    pub fn front(&self) -> &[u8] {
        match self.chunks.front() {
            Some(chunk) => chunk.left(),
            None => &self.tail,
        }
    }

    /// The first `taken` bytes of [`front`](Out::front) are written.
    pub fn advance(&mut self, taken: usize) {
        if let Some(chunk) = self.chunks.front_mut() {
            chunk.at += taken;
            self.chunk_bytes -= taken;
            if chunk.left().is_empty() {
                self.chunks.pop_front();
            }
        } else if taken < self.tail.len() {
            let tail = std::mem::take(&mut self.tail);
            self.put(Bytes::Own(tail), taken, None);
        } else if self.tail.capacity() > KEPT_BYTES {
            self.tail = Vec::new();
        } else {
            self.tail.clear();
        }
    }

    /// How many bytes there are.
    pub fn len(&self) -> usize {
        self.chunk_bytes + self.tail.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.chunks.is_empty() && self.tail.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(out: &mut Out, step: usize) -> Vec<u8> {
        let mut all = Vec::new();
        while !out.is_empty() {
            let front = out.front();
            let taken = front.len().min(step);
            all.extend_from_slice(&front[..taken]);
            out.advance(taken);
        }
        all
    }

    #[test]
    fn bytes_leave_in_the_order_in_which_they_came_whatever_is_taken_at_once() {
        let long: Arc<[u8]> = vec![b'x'; SHORT_BYTES + 1].into();
        for step in [1, 3, usize::MAX] {
            let mut out = Out::default();
            out.lines().extend_from_slice(b"ab");
            out.push(b"cd".to_vec(), None);
            out.lines().extend_from_slice(b"ef");
            out.share(&b"gh"[..].into());
            out.share(&long);
            let mut more = Out::default();
            more.lines().extend_from_slice(b"ij");
            out.append(&mut more);
            out.lines().extend_from_slice(b"kl");
            assert!(more.is_empty());
            assert_eq!(out.len(), 12 + long.len());
            let expected = [&b"abcdefgh"[..], &long, b"ijkl"].concat();
            assert_eq!(all(&mut out, step), expected);
        }
    }
}
