//! A stream that loses patience with its peer.
//!
//! actix-http bounds how long a client may take for the head of its first request. It does not bound the heads that
//! follow on the same connection, nor how long a client may take to receive. Without this, one that sends half of a
//! second request, or asks for a long list and never reads it, would hold its connection for ever.

use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::web::Bytes;
use std::cell::Cell;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

/// How many requests of a connection are being answered. Whoever waits for us is not kept to any time.
#[derive(Clone, Debug, Default)]
pub(super) struct UnderWay(Rc<Cell<usize>>);

impl UnderWay {
    /// One more, until the returned value is dropped.
    pub(super) fn begin(&self) -> Answering {
        self.0.set(self.0.get() + 1);
        Answering(self.clone())
    }

    fn is_idle(&self) -> bool {
        self.0.get() == 0
    }
}

/// A request that is being answered.
#[derive(Debug)]
pub(super) struct Answering(UnderWay);

impl Drop for Answering {
    fn drop(&mut self) {
        let under_way = &self.0.0;
        under_way.set(under_way.get().saturating_sub(1));
    }
}

/// A body whose request is under way until it ends: a stream of events may be silent for long.
pub(super) struct Sending {
    body: Pin<Box<BoxBody>>,
    answering: Option<Answering>,
}

impl Sending {
    /// The body, unless it is one that can be sent at once.
    pub(super) fn watch(body: BoxBody, answering: Option<Answering>) -> BoxBody {
        match body.size() {
            BodySize::Stream => BoxBody::new(Sending {
                body: Box::pin(body),
                answering,
            }),
            _ => body,
        }
    }
}

impl MessageBody for Sending {
    type Error = <BoxBody as MessageBody>::Error;

    fn size(&self) -> BodySize {
        self.body.size()
    }

    fn poll_next(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Self::Error>>> {
        let next = self.body.as_mut().poll_next(cx);
        if matches!(next, Poll::Ready(None)) {
            self.answering = None;
        }
        next
    }
}

/// A stream whose peer has so long to send a request, and so long to take the next bytes of an answer.
pub(super) struct Patient<S> {
    stream: S,
    quiet: Duration,
    stall: Duration,
    under_way: UnderWay,
    /// Runs while nothing is asked.
    asks_nothing: Option<Pin<Box<Sleep>>>,
    /// Runs while a write is stalled.
    takes_nothing: Option<Pin<Box<Sleep>>>,
}

impl<S> Patient<S> {
    /// `quiet` is the time from one answer to the end of the next request's head, `stall` that of a write.
    pub(super) fn new(stream: S, quiet: Duration, stall: Duration) -> Patient<S> {
        Patient {
            stream,
            quiet,
            stall,
            under_way: UnderWay::default(),
            asks_nothing: None,
            takes_nothing: None,
        }
    }

    /// The requests of this connection that are being answered.
    pub(super) fn under_way(&self) -> &UnderWay {
        &self.under_way
    }

    /// Whether the peer has been asking nothing for too long. What it sends meanwhile does not count: only a whole head
    /// is a request.
    fn is_silent(&mut self, cx: &mut Context<'_>) -> bool {
        if !self.under_way.is_idle() {
            self.asks_nothing = None;
            return false;
        }
        let quiet = self.quiet;
        let timer = self
            .asks_nothing
            .get_or_insert_with(|| Box::pin(sleep(quiet)));
        timer.as_mut().poll(cx).is_ready()
    }

    /// Passes a write's outcome on, and gives up on one that has stalled for too long.
    fn watch<T>(
        &mut self,
        wrote: Poll<io::Result<T>>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<T>> {
        if wrote.is_ready() {
            self.takes_nothing = None;
            return wrote;
        }
        let stall = self.stall;
        let timer = self
            .takes_nothing
            .get_or_insert_with(|| Box::pin(sleep(stall)));
        timer
            .as_mut()
            .poll(cx)
            .map(|()| Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Patient<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.is_silent(cx) {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Patient<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        // Whoever takes an answer has asked: its time to ask again begins anew.
        self.asks_nothing = None;
        let wrote = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.watch(wrote, cx)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(cx);
        // A flush that is ready says nothing about the peer: it must not reset the timer of a stalled write.
        match flushed {
            Poll::Ready(outcome) => Poll::Ready(outcome),
            Poll::Pending => self.watch(Poll::Pending, cx),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    const TIME: Duration = Duration::from_secs(20);
    const NEARLY: Duration = Duration::from_secs(19);

    #[tokio::test(start_paused = true)]
    async fn a_reader_that_stops_is_given_up_and_a_slow_one_is_not() {
        let (mut reader, writer) = duplex(10);
        let mut writer = Patient::new(writer, TIME, TIME);
        let reading = tokio::spawn(async move {
            let mut bytes = [0; 10];
            for _ in 0..10 {
                sleep(NEARLY).await;
                reader.read_exact(&mut bytes).await.unwrap();
            }
            // Open still, and silent.
            sleep(TIME * 2).await;
            drop(reader);
        });
        writer.write_all(&[7; 100]).await.unwrap();
        writer.write_all(&[7; 10]).await.unwrap();
        let stuck = writer.write_all(&[7; 100]).await.unwrap_err();
        assert_eq!(stuck.kind(), io::ErrorKind::TimedOut);
        reading.await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_trickle_is_no_request_and_whoever_waits_for_us_may_be_silent() {
        let (mut client, stream) = duplex(1000);
        let mut stream = Patient::new(stream, TIME, TIME);
        let trickle = tokio::spawn(async move {
            while client.write_u8(b'x').await.is_ok() {
                sleep(Duration::from_secs(1)).await;
            }
        });
        let waiting = stream.under_way().begin();
        for _ in 0..60 {
            stream.read_u8().await.unwrap();
        }
        drop(waiting);
        let mut read = 0;
        let end = loop {
            match stream.read_u8().await {
                Ok(_) => read += 1,
                Err(error) => break error,
            }
        };
        assert_eq!(end.kind(), io::ErrorKind::TimedOut);
        assert!((19..=21).contains(&read), "{read}");
        drop(stream);
        trickle.await.unwrap();
    }
}
