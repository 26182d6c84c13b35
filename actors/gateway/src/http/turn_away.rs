//! The response to a client beyond the limit of connections: 503, without a slot.

use super::counts::HttpCounts;
use crate::link::RequestSlot;
use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

/// Maximum number of clients whose request is read before the response. Beyond it, the response is sent without a wait
/// and may be lost.
const MAX_WAITING: usize = 256;
/// Timeout for the request and the response.
const TIMEOUT: Duration = Duration::from_millis(500);

/// Sends 503 and closes the connection.
pub(super) fn turn_away(
    mut stream: TcpStream,
    most: usize,
    counts: &HttpCounts,
    tasks: &mut JoinSet<()>,
) {
    let answer = answer(most);
    let Some(slot) = RequestSlot::take(&counts.leaving, MAX_WAITING) else {
        // The client may have disconnected.
        let _ = send_without_wait(stream, &answer);
        return;
    };
    tasks.spawn_local(async move {
        let _slot = slot;
        let send = async {
            // The request is read first: the close of a socket with unread bytes discards the response.
            let mut head = [0; 8192];
            let _ = stream.read(&mut head).await?;
            stream.write_all(answer.as_bytes()).await?;
            stream.shutdown().await?;
            while stream.read(&mut head).await? > 0 {}
            io::Result::Ok(())
        };
        // The client may have disconnected.
        let _ = tokio::time::timeout(TIMEOUT, send).await;
    });
}

/// Reads the available bytes, sends the response and closes, without a wait.
fn send_without_wait(stream: TcpStream, answer: &str) -> io::Result<()> {
    let mut stream = stream.into_std()?;
    match stream.read(&mut [0; 4096]) {
        Err(error) if error.kind() != io::ErrorKind::WouldBlock => return Err(error),
        _ => {}
    }
    stream.write_all(answer.as_bytes())?;
    stream.shutdown(Shutdown::Write)
}

fn answer(most: usize) -> String {
    let error = crate::rest::HttpError::busy(format!(
        "the gateway has {most} connections, its limit; try again later"
    ));
    let body = error.body();
    format!(
        "HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/json\r\nretry-after: 1\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
}
