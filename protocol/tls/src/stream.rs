//! A server's end of a TLS connection.

use crate::Fingerprint;
use rustls::ServerConfig;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;
use tokio_rustls::{Accept, TlsAcceptor};

/// The first byte of a TLS connection: the type of a handshake record (RFC 8446, 5.1).
const HANDSHAKE_RECORD: u8 = 0x16;
/// Bytes of a client without TLS that are dropped before its connection is closed: unread ones would reset it, and with it the
/// refusal.
const DROPPED_BYTES: usize = 16 << 10;

/// Counts the bytes of a handshake. Dropped when the handshake has ended.
pub trait HandshakeMeter: Send {
    /// More bytes have been received.
    ///
    /// # Errors
    /// They are too many: the handshake fails.
    fn received(&mut self, bytes: usize) -> io::Result<()>;
}

/// The outcome of a handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Handshake {
    /// The connection is secure. The client has the private key of this certificate, if it has sent one.
    Secure(Option<Fingerprint>),
    /// The client does not speak TLS. Bytes that are written reach it as they are, and none are received from it.
    Plain,
}

/// A server's end of a TLS connection. It reads and writes after the handshake only, which the first read does.
pub struct ServerStream(TlsState);

enum TlsState {
    /// Nothing was received.
    New {
        stream: TcpStream,
        config: Arc<ServerConfig>,
        meter: Option<Box<dyn HandshakeMeter>>,
    },
    Handshake(Box<Accept<Metered>>),
    Secure(Box<TlsStream<Metered>>),
    /// The client does not speak TLS.
    Plain(TcpStream),
    /// The handshake has failed.
    Failed,
}

impl ServerStream {
    pub(crate) fn new(
        stream: TcpStream,
        config: Arc<ServerConfig>,
        meter: Option<Box<dyn HandshakeMeter>>,
    ) -> ServerStream {
        ServerStream(TlsState::New {
            stream,
            config,
            meter,
        })
    }

    /// Continues the handshake.
    ///
    /// # Errors
    /// The handshake has failed, or its bytes are too many.
    pub fn poll_handshake(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Handshake>> {
        loop {
            match &mut self.0 {
                TlsState::Secure(stream) => {
                    let certificates = stream.get_ref().1.peer_certificates();
                    let own = certificates.and_then(|all| all.first());
                    let certificate = own.map(|own| Fingerprint::of(own));
                    return Poll::Ready(Ok(Handshake::Secure(certificate)));
                }
                TlsState::Plain(_) => return Poll::Ready(Ok(Handshake::Plain)),
                TlsState::Failed => return Poll::Ready(Err(io::ErrorKind::NotConnected.into())),
                TlsState::New { stream, .. } => match ready!(first_byte(stream, cx)) {
                    Ok(first) => self.begin(first),
                    Err(error) => {
                        self.0 = TlsState::Failed;
                        return Poll::Ready(Err(error));
                    }
                },
                TlsState::Handshake(accept) => match ready!(Pin::new(&mut **accept).poll(cx)) {
                    Ok(mut stream) => {
                        stream.get_mut().0.meter = None;
                        self.0 = TlsState::Secure(Box::new(stream));
                    }
                    Err(error) => {
                        self.0 = TlsState::Failed;
                        return Poll::Ready(Err(error));
                    }
                },
            }
        }
    }

    fn begin(&mut self, first: u8) {
        let TlsState::New {
            stream,
            config,
            meter,
        } = std::mem::replace(&mut self.0, TlsState::Failed)
        else {
            return;
        };
        match first {
            HANDSHAKE_RECORD => {
                let metered = Metered { stream, meter };
                let accept = TlsAcceptor::from(config).accept(metered);
                self.0 = TlsState::Handshake(Box::new(accept));
            }
            _ => {
                let _ = stream.try_read(&mut [0; DROPPED_BYTES]);
                self.0 = TlsState::Plain(stream);
            }
        }
    }

    /// Whether the handshake has ended well.
    pub fn is_secure(&self) -> bool {
        matches!(self.0, TlsState::Secure(_))
    }

    /// The socket. `None` after a failed handshake.
    pub fn socket(&self) -> Option<&TcpStream> {
        match &self.0 {
            TlsState::New { stream, .. } | TlsState::Plain(stream) => Some(stream),
            TlsState::Handshake(accept) => accept.get_ref().map(|metered| &metered.stream),
            TlsState::Secure(stream) => Some(&stream.get_ref().0.stream),
            TlsState::Failed => None,
        }
    }

    /// Whether bytes that were written wait here for the socket.
    pub fn has_unsent(&self) -> bool {
        match &self.0 {
            TlsState::Secure(stream) => stream.get_ref().1.wants_write(),
            _ => false,
        }
    }

    /// Sends some of the bytes that wait here. Returns their number, as they are on the wire.
    ///
    /// # Errors
    /// The socket is closed or broken.
    pub fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let TlsState::Secure(stream) = &mut self.0 else {
            return Poll::Ready(Ok(0));
        };
        let (stream, session) = stream.get_mut();
        let mut writer = PollWriter { stream, cx };
        match session.write_tls(&mut writer) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Poll::Pending,
            sent => Poll::Ready(sent),
        }
    }
}

/// The first byte of a client, which stays in the socket.
fn first_byte(stream: &TcpStream, cx: &mut Context<'_>) -> Poll<io::Result<u8>> {
    let mut byte = [0];
    let mut buffer = ReadBuf::new(&mut byte);
    let seen = ready!(stream.poll_peek(cx, &mut buffer));
    Poll::Ready(match seen {
        Ok(0) => Err(io::ErrorKind::UnexpectedEof.into()),
        Ok(_) => Ok(byte[0]),
        Err(error) => Err(error),
    })
}

impl AsyncRead for ServerStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        ready!(self.poll_handshake(cx))?;
        match &mut self.0 {
            TlsState::Secure(stream) => Pin::new(stream).poll_read(cx, buffer),
            // As after the end of the stream.
            _ => Poll::Ready(Ok(())),
        }
    }
}

impl AsyncWrite for ServerStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match &mut self.0 {
            TlsState::Secure(stream) => Pin::new(stream).poll_write(cx, bytes),
            TlsState::Plain(stream) => Pin::new(stream).poll_write(cx, bytes),
            _ => Poll::Ready(Err(io::ErrorKind::NotConnected.into())),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.0 {
            TlsState::Secure(stream) => Pin::new(stream).poll_flush(cx),
            _ => Poll::Ready(Ok(())),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.0 {
            TlsState::Secure(stream) => Pin::new(stream).poll_shutdown(cx),
            TlsState::New { stream, .. } | TlsState::Plain(stream) => {
                Pin::new(stream).poll_shutdown(cx)
            }
            TlsState::Handshake(_) | TlsState::Failed => Poll::Ready(Ok(())),
        }
    }
}

/// A stream whose received bytes are counted during the handshake.
struct Metered {
    stream: TcpStream,
    meter: Option<Box<dyn HandshakeMeter>>,
}

impl AsyncRead for Metered {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buffer))?;
        if let Some(meter) = &mut self.meter {
            meter.received(buffer.filled().len() - before)?;
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Metered {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// A stream as `std::io::Write`, for one turn.
struct PollWriter<'a, 'b> {
    stream: &'a mut Metered,
    cx: &'a mut Context<'b>,
}

impl io::Write for PollWriter<'_, '_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match Pin::new(&mut *self.stream).poll_write(self.cx, bytes) {
            Poll::Ready(written) => written,
            Poll::Pending => Err(io::ErrorKind::WouldBlock.into()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
