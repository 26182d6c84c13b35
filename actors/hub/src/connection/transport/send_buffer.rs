//! Bytes on their way to a client. Short lines are copied into one buffer; long ones are kept as they are.

use std::collections::VecDeque;
use std::sync::Arc;
use tokio::sync::OwnedSemaphorePermit;

/// Longest line that is copied into the buffer of short ones.
const SHORT_BYTES: usize = 8 << 10;
/// A larger buffer is freed when it is empty.
const LARGEST_IDLE_BYTES: usize = 1 << 20;

/// A queue of bytes.
#[derive(Debug, Default)]
pub struct SendBuffer {
    /// Sent before `tail`.
    chunks: VecDeque<Chunk>,
    chunk_bytes: usize,
    /// Short lines, sent last.
    tail: Vec<u8>,
}

#[derive(Debug)]
struct Chunk {
    bytes: ChunkBytes,
    /// The number of bytes that are sent.
    at: usize,
    /// Their share of the memory for long answers. Freed when the chunk is sent.
    _memory: Option<OwnedSemaphorePermit>,
}

#[derive(Debug)]
enum ChunkBytes {
    Own(Vec<u8>),
    Shared(Arc<[u8]>),
}

impl Chunk {
    fn left(&self) -> &[u8] {
        match &self.bytes {
            ChunkBytes::Own(bytes) => &bytes[self.at..],
            ChunkBytes::Shared(bytes) => &bytes[self.at..],
        }
    }
}

impl SendBuffer {
    /// The buffer to which short lines are appended.
    pub fn tail(&mut self) -> &mut Vec<u8> {
        &mut self.tail
    }

    /// Appends bytes, with the memory that they hold until they are sent.
    pub fn push(&mut self, bytes: Vec<u8>, memory: Option<OwnedSemaphorePermit>) {
        self.add(ChunkBytes::Own(bytes), 0, memory);
    }

    /// Appends a line that other connections send as well.
    pub fn share(&mut self, line: &Arc<[u8]>) {
        if line.len() <= SHORT_BYTES {
            self.tail.extend_from_slice(line);
        } else {
            self.add(ChunkBytes::Shared(line.clone()), 0, None);
        }
    }

    fn add(&mut self, bytes: ChunkBytes, at: usize, memory: Option<OwnedSemaphorePermit>) {
        self.seal();
        self.put(bytes, at, memory);
    }

    fn put(&mut self, bytes: ChunkBytes, at: usize, _memory: Option<OwnedSemaphorePermit>) {
        let chunk = Chunk { bytes, at, _memory };
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
            self.put(ChunkBytes::Own(tail), 0, None);
        }
    }

    /// Moves all bytes of `other` to the end.
    pub fn append(&mut self, other: &mut SendBuffer) {
        self.seal();
        other.seal();
        self.chunks.append(&mut other.chunks);
        self.chunk_bytes += std::mem::take(&mut other.chunk_bytes);
    }

    /// The next bytes to send. Empty only if the queue is empty.
    pub fn front(&self) -> &[u8] {
        match self.chunks.front() {
            Some(chunk) => chunk.left(),
            None => &self.tail,
        }
    }

    /// Removes the first `taken` bytes of [`front`](SendBuffer::front), which are sent.
    pub fn advance(&mut self, taken: usize) {
        if let Some(chunk) = self.chunks.front_mut() {
            chunk.at += taken;
            self.chunk_bytes -= taken;
            if chunk.left().is_empty() {
                self.chunks.pop_front();
            }
        } else if taken < self.tail.len() {
            let tail = std::mem::take(&mut self.tail);
            self.put(ChunkBytes::Own(tail), taken, None);
        } else if self.tail.capacity() > LARGEST_IDLE_BYTES {
            self.tail = Vec::new();
        } else {
            self.tail.clear();
        }
    }

    /// The number of bytes.
    pub fn len(&self) -> usize {
        self.chunk_bytes + self.tail.len()
    }

    /// Whether there are no bytes.
    pub fn is_empty(&self) -> bool {
        self.chunks.is_empty() && self.tail.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(buffer: &mut SendBuffer, step: usize) -> Vec<u8> {
        let mut all = Vec::new();
        while !buffer.is_empty() {
            let front = buffer.front();
            let taken = front.len().min(step);
            all.extend_from_slice(&front[..taken]);
            buffer.advance(taken);
        }
        all
    }

    #[test]
    fn bytes_leave_in_order_whatever_the_socket_takes_at_once() {
        let long: Arc<[u8]> = vec![b'x'; SHORT_BYTES + 1].into();
        for step in [1, 3, usize::MAX] {
            let mut buffer = SendBuffer::default();
            buffer.tail().extend_from_slice(b"ab");
            buffer.push(b"cd".to_vec(), None);
            buffer.tail().extend_from_slice(b"ef");
            buffer.share(&b"gh"[..].into());
            buffer.share(&long);
            let mut more = SendBuffer::default();
            more.tail().extend_from_slice(b"ij");
            buffer.append(&mut more);
            buffer.tail().extend_from_slice(b"kl");
            assert!(more.is_empty());
            assert_eq!(buffer.len(), 12 + long.len());
            let expected = [&b"abcdefgh"[..], &long, b"ijkl"].concat();
            assert_eq!(all(&mut buffer, step), expected);
        }
    }
}
