//! A stream with timeouts for its peer.
//!
//! actix-http has a timeout for the head of the first request on a connection. It has none for the heads of further
//! requests, and none for a client that does not read. Without this stream, a client that sends half of a second request,
//! or never reads a long list, would occupy its connection without end.

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

/// Number of requests of a connection without a complete response. While there are any, the client has no timeout for its
/// next request.
#[derive(Clone, Debug, Default)]
pub(super) struct ActiveRequests(Rc<Cell<usize>>);

impl ActiveRequests {
    /// Counts one more request until the returned value is dropped.
    pub(super) fn begin(&self) -> ActiveRequest {
        self.0.set(self.0.get() + 1);
        ActiveRequest(self.clone())
    }

    fn is_idle(&self) -> bool {
        self.0.get() == 0
    }
}

/// A request without a complete response.
#[derive(Debug)]
pub(super) struct ActiveRequest(ActiveRequests);

impl Drop for ActiveRequest {
    fn drop(&mut self) {
        let active = &self.0.0;
        active.set(active.get().saturating_sub(1));
    }
}

/// A response body whose request is active until the body ends: a stream of events may be silent for long.
pub(super) struct ActiveBody {
    body: Pin<Box<BoxBody>>,
    answering: Option<ActiveRequest>,
}

impl ActiveBody {
    /// Wraps a streamed body; other bodies are returned as they are.
    pub(super) fn watch(body: BoxBody, answering: Option<ActiveRequest>) -> BoxBody {
        match body.size() {
            BodySize::Stream => BoxBody::new(ActiveBody {
                body: Box::pin(body),
                answering,
            }),
            _ => body,
        }
    }
}

impl MessageBody for ActiveBody {
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

/// A stream that fails with `TimedOut` when its peer sends no request, or does not read, for too long.
pub(super) struct TimedStream<S> {
    stream: S,
    idle: Duration,
    stall: Duration,
    active: ActiveRequests,
    /// Runs while no request is active.
    idle_timer: Option<Pin<Box<Sleep>>>,
    /// Runs while a write is stalled.
    stall_timer: Option<Pin<Box<Sleep>>>,
}

impl<S> TimedStream<S> {
    /// `idle` is the timeout from one response to the end of the next request's head, `stall` that of a write without
    /// progress.
    pub(super) fn new(stream: S, idle: Duration, stall: Duration) -> TimedStream<S> {
        TimedStream {
            stream,
            idle,
            stall,
            active: ActiveRequests::default(),
            idle_timer: None,
            stall_timer: None,
        }
    }

    /// The stream itself.
    pub(super) fn inner(&self) -> &S {
        &self.stream
    }

    /// The active requests of this connection.
    pub(super) fn active(&self) -> &ActiveRequests {
        &self.active
    }

    /// Whether the time for the next request is over. Single bytes do not reset it: only a complete head is a request.
    fn is_silent(&mut self, cx: &mut Context<'_>) -> bool {
        if !self.active.is_idle() {
            self.idle_timer = None;
            return false;
        }
        let idle = self.idle;
        let timer = self.idle_timer.get_or_insert_with(|| Box::pin(sleep(idle)));
        timer.as_mut().poll(cx).is_ready()
    }

    /// Returns the outcome of a write, or `TimedOut` for one that is stalled for too long.
    fn watch<T>(
        &mut self,
        wrote: Poll<io::Result<T>>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<T>> {
        if wrote.is_ready() {
            self.stall_timer = None;
            return wrote;
        }
        let stall = self.stall;
        let timer = self
            .stall_timer
            .get_or_insert_with(|| Box::pin(sleep(stall)));
        timer
            .as_mut()
            .poll(cx)
            .map(|()| Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for TimedStream<S> {
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

impl<S: AsyncWrite + Unpin> AsyncWrite for TimedStream<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        // A response ends the wait for a request: the time for the next one begins again.
        self.idle_timer = None;
        let wrote = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.watch(wrote, cx)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(cx);
        // A completed flush does not mean that the peer has read, so it must not reset the timer of a stalled write.
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
    async fn a_stopped_reader_times_out_and_a_slow_one_does_not() {
        let (mut reader, writer) = duplex(10);
        let mut writer = TimedStream::new(writer, TIME, TIME);
        let reading = tokio::spawn(async move {
            let mut bytes = [0; 10];
            for _ in 0..10 {
                sleep(NEARLY).await;
                reader.read_exact(&mut bytes).await.unwrap();
            }
            // Open, without a read.
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
    async fn single_bytes_do_not_reset_the_time_for_a_request() {
        let (mut client, stream) = duplex(1000);
        let mut stream = TimedStream::new(stream, TIME, TIME);
        let trickle = tokio::spawn(async move {
            while client.write_u8(b'x').await.is_ok() {
                sleep(Duration::from_secs(1)).await;
            }
        });
        let waiting = stream.active().begin();
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
