//! What a client is told when there are too many connections: 503, at once, and no slot is taken.

use super::counts::Counts;
use crate::link::Slot;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

/// Most clients that are told; more are closed without a word.
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
    let Some(slot) = Slot::take(&counts.leaving, TOLD) else {
        return;
    };
    let answer = answer(most);
    tasks.spawn_local(async move {
        let _slot = slot;
        let tell = async {
            // Its request is read first: a socket closed with unread bytes takes the answer down with it.
            let mut head = [0; 8192];
            let _ = stream.read(&mut head).await?;
            stream.write_all(answer.as_bytes()).await?;
            stream.shutdown().await?;
            while stream.read(&mut head).await? > 0 {}
            std::io::Result::Ok(())
        };
        // A client that does not take it is no loss.
        let _ = tokio::time::timeout(TIME, tell).await;
    });
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
