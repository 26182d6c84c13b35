//! Copies between a program's pipes and the event channel. Each pump has one buffer and waits for the channel, so a flooding
//! program waits for its readers and memory stays bounded.

use std::os::fd::AsFd;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::unix::pipe;
use tokio::sync::oneshot;

use super::clock::RunClock;
use super::patience::ExitPatience;
use crate::event::{EventSink, RunEvent};
use crate::output::{Outlook, RunOutputReader, StderrWatch};
use crate::text::lines::PARTIAL_PATIENCE;
use crate::text::{Decoder, StderrTail};

/// Bytes per read, and about the size of one event.
const BUFFER: usize = 16 * 1024;
/// Bytes of stdout that a pipe can hold: the maximum that Linux grants to users.
const PIPE: usize = 1024 * 1024;

/// Writes the prompt and closes stdin. An error is ignored, because a program may exit without reading its stdin.
pub(super) async fn feed(mut stdin: pipe::Sender, prompt: Vec<u8>) {
    drop(stdin.write_all(&prompt).await);
}

/// Sends `Started` when the program has started. Sends nothing when it never does.
pub(super) async fn announce(started: oneshot::Receiver<u32>, events: &EventSink) {
    if let Ok(pid) = started.await {
        let started = RunEvent::Started {
            pid: Some(pid),
            session: None,
            model: None,
        };
        events.send(started).await;
    }
}

/// Reads stdout to its end and sends the events in it.
pub(super) async fn stdout(
    mut pipe: impl AsyncRead + AsFd + Unpin,
    reader: &mut RunOutputReader,
    events: &EventSink,
    clock: &RunClock,
    patience: &ExitPatience,
) {
    widen(&pipe);
    let mut buffer = vec![0; BUFFER];
    let mut may_flush = true;
    loop {
        let reported = tokio::select! {
            biased;
            bytes = next(&mut pipe, &mut buffer, clock) => match bytes {
                Some(bytes) => {
                    may_flush = true;
                    reader.push(bytes)
                }
                None => break,
            },
            () = tokio::time::sleep(PARTIAL_PATIENCE), if may_flush && reader.has_partial() => {
                may_flush = false;
                reader.flush()
            }
        };
        let outlook = reader.outlook();
        for event in reported {
            clock.excused(events.send(event)).await;
        }
        patience.stdout(outlook);
    }
    for event in reader.end() {
        clock.excused(events.send(event)).await;
    }
}

/// Reads stderr to its end, keeps its tail and sends all of it.
pub(super) async fn stderr(
    mut pipe: impl AsyncRead + Unpin,
    (tail, mut watch): (&mut StderrTail, Option<StderrWatch>),
    events: &EventSink,
    clock: &RunClock,
    patience: &ExitPatience,
) {
    let mut buffer = vec![0; BUFFER];
    let mut decoder = Decoder::default();
    while let Some(bytes) = next(&mut pipe, &mut buffer, clock).await {
        tail.push(bytes);
        let outlook = watch
            .as_mut()
            .map_or(Outlook::Unchanged, |it| it.push(bytes));
        patience.stderr(outlook);
        let text = decoder.push(bytes);
        if !text.is_empty() {
            clock.excused(events.send(RunEvent::Stderr { text })).await;
        }
    }
}

/// Enlarges a pipe so that it holds a large answer: some programs exit before their output is read, and lose what did not
/// fit. When the system refuses, the pipe stays as it is.
fn widen(pipe: &impl AsFd) {
    let _ = rustix::pipe::fcntl_setpipe_size(pipe, PIPE);
}

/// The next bytes of a pipe. `None` at its end.
async fn next<'a>(
    pipe: &mut (impl AsyncRead + Unpin),
    buffer: &'a mut [u8],
    clock: &RunClock,
) -> Option<&'a [u8]> {
    match pipe.read(buffer).await {
        Ok(count @ 1..) => {
            clock.touch();
            if count == buffer.len() {
                // More output is ready. Yield, so that the other tasks of this thread are not starved.
                tokio::task::yield_now().await;
            }
            Some(&buffer[..count])
        }
        Ok(0) | Err(_) => None,
    }
}
