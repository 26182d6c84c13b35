//! The two directions of a connection's socket.
//!
//! Reading: all that is there is read at once and split into lines, so that pipelined requests become one batch; a gate
//! stops the reading while the connection owes too many answers, and TCP tells the client to slow down. Writing: the
//! actor's own attempt comes first, as it nearly always takes everything and spares a wake-up.

use super::flow::TURN_BYTES;
use super::out::Out;
use futures_util::Stream;
use kirosu_protocol::codec::LineSplitter;
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

/// Bytes read at once. One buffer a thread, so that ten thousand idle connections hold none.
const READ_BYTES: usize = 64 << 10;

/// Bytes given to the socket at once: it copies them, and meanwhile nothing else happens on this thread.
const WRITE_BYTES: usize = 256 << 10;

/// Reads in a row before other connections get their turn.
const READS_A_TURN: usize = 4;

thread_local! {
    static SCRATCH: RefCell<Vec<u8>> = RefCell::new(vec![0; READ_BYTES]);
}

/// The reading half, whatever the transport.
pub type Reading = Box<dyn AsyncRead + Unpin + Send>;
/// The writing half.
pub enum Writing {
    /// Over TCP.
    Tcp(tcp::OwnedWriteHalf),
    /// Over a Unix socket.
    Unix(unix::OwnedWriteHalf),
    /// From within the process.
    Local(WriteHalf<DuplexStream>),
}

impl Writing {
    /// Whether the client is known to be gone, not only silent. Who closes its sending side only (a half-close) looks the
    /// same as who closes all, until the system finds out: a Unix socket at once, TCP when a keep-alive is refused.
    pub fn is_gone(&self) -> bool {
        match self {
            Writing::Tcp(half) => hung_up(half.as_ref()),
            Writing::Unix(half) => hung_up(half.as_ref()),
            // Its other end is a client of this process, which does not half-close.
            Writing::Local(_) => true,
        }
    }

    fn half(&mut self) -> Pin<&mut (dyn AsyncWrite + Unpin)> {
        Pin::new(match self {
            Writing::Tcp(half) => half,
            Writing::Unix(half) => half,
            Writing::Local(half) => half,
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

/// Opened and closed by the actor, obeyed by the reading stream.
#[derive(Debug, Default)]
pub struct Gate {
    closed: Cell<bool>,
    waiting: RefCell<Option<Waker>>,
}

impl Gate {
    /// No more reading until [`open`](Gate::open).
    pub fn close(&self) {
        self.closed.set(true);
    }

    /// Goes on reading.
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

/// What the reading stream tells the actor.
#[derive(Debug)]
pub enum Arrived {
    /// Bytes lie in the splitter.
    Bytes,
    /// The client sends no more.
    End,
    /// The socket broke.
    Broken(io::Error),
}

/// Reads into a splitter shared with the actor.
pub struct Inbound {
    io: Option<Reading>,
    splitter: Rc<RefCell<LineSplitter>>,
    gate: Rc<Gate>,
}

impl Inbound {
    /// A stream that ends after [`Arrived::End`] or [`Arrived::Broken`].
    pub fn new(io: Reading, splitter: Rc<RefCell<LineSplitter>>, gate: Rc<Gate>) -> Inbound {
        Inbound {
            io: Some(io),
            splitter,
            gate,
        }
    }

    fn read_once(&mut self, cx: &mut TaskContext<'_>) -> Poll<io::Result<usize>> {
        let Some(io) = self.io.as_mut() else {
            return Poll::Ready(Ok(0));
        };
        SCRATCH.with_borrow_mut(|scratch| {
            let mut buf = ReadBuf::new(scratch);
            std::task::ready!(Pin::new(io).poll_read(cx, &mut buf))?;
            self.splitter.borrow_mut().push(buf.filled());
            Poll::Ready(Ok(buf.filled().len()))
        })
    }
}

impl Stream for Inbound {
    type Item = Arrived;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<Option<Arrived>> {
        if self.io.is_none() {
            return Poll::Ready(None);
        }
        if self.gate.is_closed() {
            *self.gate.waiting.borrow_mut() = Some(cx.waker().clone());
            return Poll::Pending;
        }
        for turn in 0..READS_A_TURN {
            match self.read_once(cx) {
                Poll::Pending if turn == 0 => return Poll::Pending,
                Poll::Ready(Ok(READ_BYTES)) => {}
                Poll::Pending => break,
                Poll::Ready(Ok(0)) if turn == 0 => {
                    self.io = None;
                    return Poll::Ready(Some(Arrived::End));
                }
                Poll::Ready(Ok(_)) => break,
                Poll::Ready(Err(error)) => {
                    self.io = None;
                    return Poll::Ready(Some(Arrived::Broken(error)));
                }
            }
        }
        Poll::Ready(Some(Arrived::Bytes))
    }
}

/// Writes as much as the socket takes without waiting; gives the number of bytes taken.
pub fn write_now(io: &mut Writing, bytes: &[u8]) -> io::Result<usize> {
    let mut cx = TaskContext::from_waker(Waker::noop());
    let mut taken = 0;
    while taken < bytes.len() {
        match io.half().poll_write(&mut cx, &bytes[taken..]) {
            Poll::Ready(Ok(0)) => return Err(io::ErrorKind::WriteZero.into()),
            Poll::Ready(Ok(n)) => taken += n,
            Poll::Ready(Err(error)) => return Err(error),
            Poll::Pending => break,
        }
    }
    Ok(taken)
}

/// How a longer write ended.
pub enum Written {
    /// The socket has taken all.
    All(Writing),
    /// It took no byte for as long as it may; what is left.
    Stuck(Writing, Out),
}

/// Writes the rest as the socket takes it, and gives the writing half back: at the end, or when the socket takes no byte
/// for `patience`.
pub async fn write_rest(mut io: Writing, mut rest: Out, patience: Duration) -> io::Result<Written> {
    let mut written = 0;
    while !rest.is_empty() {
        let write = poll_fn(|cx| {
            let bytes = rest.front();
            io.half()
                .poll_write(cx, &bytes[..bytes.len().min(WRITE_BYTES)])
        });
        match timeout(patience, write).await {
            Ok(Ok(0)) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(n) => {
                let n = n?;
                rest.advance(n);
                written += n;
            }
            Err(_) => return Ok(Written::Stuck(io, rest)),
        }
        if written >= TURN_BYTES {
            written = 0;
            yield_now().await;
        }
    }
    Ok(Written::All(io))
}

/// Tells the client that no more comes.
pub fn close(mut io: Writing) {
    let mut cx = TaskContext::from_waker(Waker::noop());
    let _ = io.half().poll_shutdown(&mut cx);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(bytes: Vec<u8>) -> Out {
        let mut out = Out::default();
        out.push(bytes, None);
        out
    }

    use tokio::io::{AsyncReadExt, duplex, split};
    use tokio::time::sleep;

    const PATIENCE: Duration = Duration::from_secs(30);

    #[test]
    fn who_reads_slowly_gets_all_and_who_does_not_read_is_stuck() {
        kirosu_supervision::testkit::run(async {
            let (ours, mut theirs) = duplex(10);
            let (_reading, half) = split(ours);
            let write = write_rest(Writing::Local(half), bytes(vec![7; 35]), PATIENCE);
            let read = async {
                let mut some = [0; 10];
                for _ in 0..3 {
                    sleep(PATIENCE - Duration::from_secs(1)).await;
                    theirs.read_exact(&mut some).await.unwrap();
                }
            };
            let (written, ()) = tokio::join!(write, read);
            let Written::All(io) = written.unwrap() else {
                panic!("a slow reader is no deaf one");
            };
            match write_rest(io, bytes(vec![8; 35]), PATIENCE).await.unwrap() {
                Written::Stuck(_, rest) => assert_eq!(rest.len(), 30, "five had room"),
                Written::All(_) => panic!("nobody has read it"),
            }
        });
    }
}
