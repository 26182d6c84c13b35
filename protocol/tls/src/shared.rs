//! The two directions of a server's TLS connection.

use crate::stream::{Handshake, ServerStream};
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

type Shared = Arc<Mutex<ServerStream>>;

/// The receiving half.
pub struct SharedReader(Shared);

/// The sending half.
pub struct SharedWriter(Shared);

/// Splits a connection, as [`tokio::io::split`] does; the sending half has the socket and the state of its buffer, too.
pub fn shared(stream: ServerStream) -> (SharedReader, SharedWriter) {
    let shared = Arc::new(Mutex::new(stream));
    (SharedReader(shared.clone()), SharedWriter(shared))
}

fn lock(shared: &Shared) -> MutexGuard<'_, ServerStream> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

impl SharedReader {
    /// As [`ServerStream::poll_handshake`].
    ///
    /// # Errors
    /// As there.
    pub fn poll_handshake(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Handshake>> {
        lock(&self.0).poll_handshake(cx)
    }
}

impl AsyncRead for SharedReader {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut *lock(&self.0)).poll_read(cx, buffer)
    }
}

impl SharedWriter {
    /// As [`ServerStream::has_unsent`].
    pub fn has_unsent(&self) -> bool {
        lock(&self.0).has_unsent()
    }

    /// As [`ServerStream::poll_send`].
    ///
    /// # Errors
    /// As there.
    pub fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        lock(&self.0).poll_send(cx)
    }

    /// Passes the socket to `look`. `None` after a failed handshake.
    pub fn with_socket<T>(&self, look: impl FnOnce(&TcpStream) -> T) -> Option<T> {
        lock(&self.0).socket().map(look)
    }
}

impl AsyncWrite for SharedWriter {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut *lock(&self.0)).poll_write(cx, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *lock(&self.0)).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *lock(&self.0)).poll_shutdown(cx)
    }
}
