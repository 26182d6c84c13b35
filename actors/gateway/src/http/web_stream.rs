//! The stream of a client, with or without TLS.

use kirosu_tls::{Fingerprint, Handshake, ServerStream};
use std::cell::Cell;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// The response to a request without TLS.
const NOT_TLS: &[u8] = b"HTTP/1.1 400 Bad Request\r\ncontent-type: text/plain\r\nconnection: close\r\ncontent-length: 67\r\n\r\n\
this port takes only TLS: write https:// in the place of http:// !\n";

/// The certificate of a client whose private key it has; known when the handshake has ended.
#[derive(Clone, Default)]
pub(crate) struct ClientCertificate(Rc<Cell<Option<Fingerprint>>>);

impl ClientCertificate {
    pub(super) fn get(&self) -> Option<Fingerprint> {
        self.0.get()
    }
}

/// The stream of a client.
pub(crate) enum WebStream {
    /// Without TLS.
    Plain(TcpStream),
    /// Over TLS. The handshake is done by the first read.
    Tls {
        /// The connection.
        stream: Box<ServerStream>,
        /// Whether a client without TLS has got its response.
        is_refused: bool,
        /// That of the client.
        certificate: ClientCertificate,
    },
}

impl WebStream {
    /// The certificate of the client, once there is one.
    pub(super) fn certificate(&self) -> ClientCertificate {
        match self {
            WebStream::Plain(_) => ClientCertificate::default(),
            WebStream::Tls { certificate, .. } => certificate.clone(),
        }
    }

    /// The socket. `None` after a failed handshake.
    pub(super) fn socket(&self) -> Option<&TcpStream> {
        match self {
            WebStream::Plain(stream) => Some(stream),
            WebStream::Tls { stream, .. } => stream.socket(),
        }
    }
}

impl AsyncRead for WebStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let (stream, is_refused, certificate) = match &mut *self {
            WebStream::Plain(stream) => return Pin::new(stream).poll_read(cx, buffer),
            WebStream::Tls {
                stream,
                is_refused,
                certificate,
            } => (stream, is_refused, certificate),
        };
        if !stream.is_secure() {
            match ready!(stream.poll_handshake(cx))? {
                Handshake::Secure(own) => certificate.0.set(own),
                Handshake::Plain if !std::mem::replace(is_refused, true) => {
                    // A new socket takes it at once. The client may have disconnected.
                    let _ = Pin::new(&mut **stream).poll_write(cx, NOT_TLS);
                }
                Handshake::Plain => {}
            }
        }
        Pin::new(stream).poll_read(cx, buffer)
    }
}

impl AsyncWrite for WebStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match &mut *self {
            WebStream::Plain(stream) => Pin::new(stream).poll_write(cx, bytes),
            WebStream::Tls { stream, .. } => Pin::new(stream).poll_write(cx, bytes),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut *self {
            WebStream::Plain(stream) => Pin::new(stream).poll_flush(cx),
            WebStream::Tls { stream, .. } => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut *self {
            WebStream::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            WebStream::Tls { stream, .. } => Pin::new(stream).poll_shutdown(cx),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::NOT_TLS;

    #[test]
    fn the_refusal_has_the_length_that_it_states() {
        let text = std::str::from_utf8(NOT_TLS).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(
            head.ends_with(&format!("content-length: {}", body.len())),
            "{}",
            body.len()
        );
    }
}
