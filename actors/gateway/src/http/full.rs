//! What a client is told when there are too many connections: 503, at once, and no slot is taken.

use super::counts::Counts;
use crate::link::Slot;
use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

/// Most clients that are told in peace; more are told in passing, which some of them will not hear.
const TOLD: usize = 256;
/// How long one may take to send its request and take the answer.
const TIME: Duration = Duration::from_millis(500);

/// Tells the client to come back later.
pub(super) fn turn_away(
    mut stream: TcpStream,
    most: usize,
    counts: &Counts,
    tasks: &mut JoinSet<()>,
) {
    let answer = answer(most);
    let Some(slot) = Slot::take(&counts.leaving, TOLD) else {
        // A client that does not take it is no loss.
        let _ = tell_in_passing(stream, &answer);
        return;
    };
    tasks.spawn_local(async move {
        let _slot = slot;
        let tell = async {
            // Its request is read first: a socket closed with unread bytes takes the answer down with it.
            let mut head = [0; 8192];
            let _ = stream.read(&mut head).await?;
            stream.write_all(answer.as_bytes()).await?;
            stream.shutdown().await?;
            while stream.read(&mut head).await? > 0 {}
            io::Result::Ok(())
        };
        // A client that does not take it is no loss.
        let _ = tokio::time::timeout(TIME, tell).await;
    });
}

/// Reads what is there, answers, and closes, without waiting.
fn tell_in_passing(stream: TcpStream, answer: &str) -> io::Result<()> {
    let mut stream = stream.into_std()?;
    match stream.read(&mut [0; 4096]) {
        Err(error) if error.kind() != io::ErrorKind::WouldBlock => return Err(error),
        _ => {}
    }
    stream.write_all(answer.as_bytes())?;
    stream.shutdown(Shutdown::Write)
}

fn answer(most: usize) -> String {
    let error = crate::rest::Refusal::busy(format!(
        "the gateway has {most} connections, its limit; try again later"
    ));
    let body = error.body();
    format!(
        "HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/json\r\nretry-after: 1\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
}
