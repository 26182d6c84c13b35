//! The two directions of a connection's socket.

use super::send_buffer::SendBuffer;
use futures_util::Stream;
use kirosu_protocol::LineSplitter;
use kirosu_tls::{Fingerprint, Handshake, SharedReader, SharedWriter};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::io;
use std::os::fd::AsFd;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context as TaskContext, Poll, Waker};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf, WriteHalf};
use tokio::net::{tcp, unix};
use tokio::task::yield_now;
use tokio::time::timeout;

/// Bytes per read. One buffer per thread, so that ten thousand idle connections hold none.
const READ_BYTES: usize = 64 << 10;

/// Bytes per write: the socket copies them, and the thread does nothing else meanwhile.
const WRITE_BYTES: usize = 256 << 10;

/// Bytes written in a row before other connections get their turn.
pub(super) const TURN_BYTES: usize = 1 << 20;

/// Reads in a row before other connections get their turn.
const READS_PER_TURN: usize = 4;

thread_local! {
    static SCRATCH: RefCell<Vec<u8>> = RefCell::new(vec![0; READ_BYTES]);
}

/// The reading half of a socket or pipe.
pub enum ReadHalf {
    /// Without TLS.
    Plain(Box<dyn AsyncRead + Unpin + Send>),
    /// Over TLS. Its handshake comes first.
    Tls(SharedReader),
}

impl ReadHalf {
    fn half(&mut self) -> Pin<&mut (dyn AsyncRead + Unpin)> {
        match self {
            ReadHalf::Plain(half) => Pin::new(half),
            ReadHalf::Tls(half) => Pin::new(half),
        }
    }
}

/// The writing half of a socket or pipe.
pub enum SendHalf {
    /// Over TCP.
    Tcp(tcp::OwnedWriteHalf),
    /// Over TLS.
    Tls(SharedWriter),
    /// Over a Unix socket.
    Unix(unix::OwnedWriteHalf),
    /// A pipe within the process.
    Local(WriteHalf<DuplexStream>),
}

impl SendHalf {
    /// Whether the client is known to be gone. A client that closed only its sending side (a half-close) looks the same as a
    /// client that closed both, until the system reports it: a Unix socket at once, TCP when a keep-alive probe is refused.
    pub fn is_gone(&self) -> bool {
        match self {
            SendHalf::Tcp(half) => hung_up(half.as_ref()),
            SendHalf::Unix(half) => hung_up(half.as_ref()),
            SendHalf::Tls(half) => half.with_socket(hung_up).unwrap_or(true),
            // Clients within this process do not half-close.
            SendHalf::Local(_) => true,
        }
    }

    /// Whether bytes that were written are not with the system yet.
    pub fn has_unsent(&self) -> bool {
        match self {
            SendHalf::Tls(half) => half.has_unsent(),
            SendHalf::Tcp(_) | SendHalf::Unix(_) | SendHalf::Local(_) => false,
        }
    }

    /// Passes some of such bytes to the system. Returns their number.
    fn poll_send(&mut self, cx: &mut TaskContext<'_>) -> Poll<io::Result<usize>> {
        match self {
            SendHalf::Tls(half) => half.poll_send(cx),
            SendHalf::Tcp(_) | SendHalf::Unix(_) | SendHalf::Local(_) => Poll::Ready(Ok(0)),
        }
    }

    fn half(&mut self) -> Pin<&mut (dyn AsyncWrite + Unpin)> {
        Pin::new(match self {
            SendHalf::Tcp(half) => half,
            SendHalf::Tls(half) => half,
            SendHalf::Unix(half) => half,
            SendHalf::Local(half) => half,
        })
    }
}

fn hung_up(socket: &impl AsFd) -> bool {
    let mut fds = [PollFd::new(socket, PollFlags::empty())];
    let now = Timespec::default();
    match poll(&mut fds, Some(&now)) {
        Ok(_) => fds[0].revents().intersects(PollFlags::HUP | PollFlags::ERR),
        Err(_) => false,
    }
}

/// Pauses the reading stream. The connection closes it while it has too many unanswered requests; TCP then slows the client
/// down.
#[derive(Debug, Default)]
pub struct ReadGate {
    closed: Cell<bool>,
    waiting: RefCell<Option<Waker>>,
}

impl ReadGate {
    /// Stops reading until [`open`](ReadGate::open).
    pub fn close(&self) {
        self.closed.set(true);
    }

    /// Resumes reading.
    pub fn open(&self) {
        if self.closed.replace(false)
            && let Some(waker) = self.waiting.borrow_mut().take()
        {
            waker.wake();
        }
    }

    /// Whether reading is stopped.
    pub fn is_closed(&self) -> bool {
        self.closed.get()
    }
}

/// An item of the reading stream.
#[derive(Debug)]
pub enum Received {
    /// The splitter has more bytes.
    Bytes,
    /// The client sends no more.
    End,
    /// The socket failed.
    Broken(io::Error),
    /// The TLS handshake has ended. The client has the private key of this certificate, if it has sent one.
    Secure(Option<Fingerprint>),
    /// The client does not speak TLS.
    NotTls,
    /// The TLS handshake failed.
    NotSecure(io::Error),
}

/// A stream that reads into a splitter shared with the connection. It reads everything that has arrived at once, so that
/// pipelined requests become one submission to the writer.
pub struct Inbound {
    io: Option<ReadHalf>,
    splitter: Rc<RefCell<LineSplitter>>,
    gate: Rc<ReadGate>,
    /// Whether a TLS handshake comes first.
    begins: bool,
}

impl Inbound {
    /// The stream ends after [`Received::End`], [`Received::NotTls`] or a failure.
    pub fn new(io: ReadHalf, splitter: Rc<RefCell<LineSplitter>>, gate: Rc<ReadGate>) -> Inbound {
        Inbound {
            begins: matches!(io, ReadHalf::Tls(_)),
            io: Some(io),
            splitter,
            gate,
        }
    }

    fn poll_handshake(&mut self, cx: &mut TaskContext<'_>) -> Poll<Option<Received>> {
        let Some(ReadHalf::Tls(io)) = self.io.as_mut() else {
            return Poll::Ready(None);
        };
        let ended = std::task::ready!(io.poll_handshake(cx));
        self.begins = false;
        let received = match ended {
            Ok(Handshake::Secure(certificate)) => {
                return Poll::Ready(Some(Received::Secure(certificate)));
            }
            Ok(Handshake::Plain) => Received::NotTls,
            Err(error) => Received::NotSecure(error),
        };
        self.io = None;
        Poll::Ready(Some(received))
    }

    fn read_once(&mut self, cx: &mut TaskContext<'_>) -> Poll<io::Result<usize>> {
        let Some(io) = self.io.as_mut() else {
            return Poll::Ready(Ok(0));
        };
        SCRATCH.with_borrow_mut(|scratch| {
            let mut buf = ReadBuf::new(scratch);
            std::task::ready!(io.half().poll_read(cx, &mut buf))?;
            self.splitter.borrow_mut().push(buf.filled());
            Poll::Ready(Ok(buf.filled().len()))
        })
    }
}

impl Stream for Inbound {
    type Item = Received;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<Option<Received>> {
        if self.io.is_none() {
            return Poll::Ready(None);
        }
        if self.begins {
            return self.poll_handshake(cx);
        }
        if self.gate.is_closed() {
            *self.gate.waiting.borrow_mut() = Some(cx.waker().clone());
            return Poll::Pending;
        }
        for turn in 0..READS_PER_TURN {
            match self.read_once(cx) {
                Poll::Pending if turn == 0 => return Poll::Pending,
                // A full buffer: there is probably more.
                Poll::Ready(Ok(READ_BYTES)) => {}
                Poll::Pending => break,
                Poll::Ready(Ok(0)) if turn == 0 => {
                    self.io = None;
                    return Poll::Ready(Some(Received::End));
                }
                Poll::Ready(Ok(_)) => break,
                Poll::Ready(Err(error)) => {
                    self.io = None;
                    return Poll::Ready(Some(Received::Broken(error)));
                }
            }
        }
        Poll::Ready(Some(Received::Bytes))
    }
}

/// Writes as much as the socket takes without waiting. Returns the number of bytes written.
///
/// # Errors
///
/// Fails if the socket is closed or broken.
pub fn write_now(io: &mut SendHalf, bytes: &[u8]) -> io::Result<usize> {
    let mut cx = TaskContext::from_waker(Waker::noop());
    let mut written = 0;
    while written < bytes.len() {
        match io.half().poll_write(&mut cx, &bytes[written..]) {
            Poll::Ready(Ok(0)) => return Err(io::ErrorKind::WriteZero.into()),
            Poll::Ready(Ok(n)) => written += n,
            Poll::Ready(Err(error)) => return Err(error),
            Poll::Pending => break,
        }
    }
    Ok(written)
}

/// The end of [`write_rest`].
pub enum RestWritten {
    /// The socket has taken everything.
    All(SendHalf),
    /// The socket took no byte for the whole timeout; the bytes that are left.
    Stuck(SendHalf, SendBuffer),
}

/// Writes bytes as the socket takes them. Gives up when the socket takes no byte for `unread_timeout`.
///
/// # Errors
///
/// Fails if the socket is closed or broken.
pub async fn write_rest(
    mut io: SendHalf,
    mut rest: SendBuffer,
    unread_timeout: Duration,
) -> io::Result<RestWritten> {
    let mut written = 0;
    while !rest.is_empty() || io.has_unsent() {
        let bytes = rest.front();
        let bytes = &bytes[..bytes.len().min(WRITE_BYTES)];
        let write = poll_fn(|cx| match bytes {
            [] => io.poll_send(cx),
            bytes => io.half().poll_write(cx, bytes),
        });
        match timeout(unread_timeout, write).await {
            Ok(Ok(0)) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(n) => {
                let n = n?;
                if !rest.is_empty() {
                    rest.advance(n);
                }
                written += n;
            }
            Err(_) => return Ok(RestWritten::Stuck(io, rest)),
        }
        if written >= TURN_BYTES {
            written = 0;
            yield_now().await;
        }
    }
    Ok(RestWritten::All(io))
}

/// Closes the sending side.
pub fn close(mut io: SendHalf) {
    let mut cx = TaskContext::from_waker(Waker::noop());
    let _ = io.half().poll_shutdown(&mut cx);
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, duplex, split};
    use tokio::time::sleep;

    const TIMEOUT: Duration = Duration::from_secs(30);

    fn buffer(bytes: Vec<u8>) -> SendBuffer {
        let mut buffer = SendBuffer::default();
        buffer.push(bytes, None);
        buffer
    }

    #[test]
    fn a_slow_reader_gets_everything_and_a_client_that_does_not_read_is_stuck() {
        kirosu_supervision::testkit::run(async {
            let (ours, mut theirs) = duplex(10);
            let (_reading, half) = split(ours);
            let write = write_rest(SendHalf::Local(half), buffer(vec![7; 35]), TIMEOUT);
            let read = async {
                let mut some = [0; 10];
                for _ in 0..3 {
                    sleep(TIMEOUT - Duration::from_secs(1)).await;
                    theirs.read_exact(&mut some).await.unwrap();
                }
            };
            let (written, ()) = tokio::join!(write, read);
            let RestWritten::All(io) = written.unwrap() else {
                panic!("a slow reader is not stuck");
            };
            match write_rest(io, buffer(vec![8; 35]), TIMEOUT).await.unwrap() {
                RestWritten::Stuck(_, rest) => assert_eq!(rest.len(), 30, "the pipe holds five"),
                RestWritten::All(_) => panic!("the client has read nothing"),
            }
        });
    }
}
